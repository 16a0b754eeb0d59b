/* gram.read and k.weights: arrays over a mapped file, which stays open for as long as any of them lives. */
#include <stdio.h>

#include "module.h"

static const char CAPSULE[] = "gram.tensors";

static void close_file(PyObject *capsule)
{
    gram_tensors_close(PyCapsule_GetPointer(capsule, CAPSULE));
}

/* The open file in a capsule that closes it. */
static PyObject *open_file(gram_module_state *state, const char *path, gram_tensors **file)
{
    char message[GRAM_MESSAGE_SIZE];
    int status;
    Py_BEGIN_ALLOW_THREADS status = gram_tensors_open(file, path, message, sizeof message);
    Py_END_ALLOW_THREADS if (status != 0) return gram_python_raise(state, GRAM_BAD_ARRAYS, message);
    PyObject *capsule = PyCapsule_New(*file, CAPSULE, close_file);
    if (!capsule)
        gram_tensors_close(*file);
    return capsule;
}

/* A copy of 16-bit floats as float32. */
static PyObject *widened(gram_module_state *state, const gram_array *array)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_array wide;
    if (gram_array_new(&wide, GRAM_F4, array->ndim, array->shape, message, sizeof message) != 0 ||
        gram_array_assign(&wide, array, message, sizeof message) != 0)
        return gram_python_raise(state, GRAM_BAD_ARRAYS, message);
    return gram_python_array(state, &wide, NULL);
}

static PyObject *array_of(gram_module_state *state, const gram_array *array, PyObject *owner, int widen)
{
    const int narrow = array->dtype == GRAM_F2 || array->dtype == GRAM_BF16;
    gram_array view = *array;
    view.storage = NULL;
    return widen && narrow ? widened(state, array) : gram_python_array(state, &view, owner);
}

static int put(gram_module_state *state, PyObject *dict, const char *name, const gram_array *array, PyObject *owner,
               int widen)
{
    PyObject *value = array_of(state, array, owner, widen);
    const int failed = !value || PyDict_SetItemString(dict, name, value) != 0;
    Py_XDECREF(value);
    return failed ? -1 : 0;
}

/* A .npy file is one array without a name. */
static PyObject *read_all(gram_module_state *state, const gram_tensors *file, PyObject *owner, int widen)
{
    if (file->n == 1 && !*file->tensors[0].name)
        return array_of(state, &file->tensors[0].array, owner, widen);
    PyObject *dict = PyDict_New();
    for (int i = 0; dict && i < file->n; i++)
        if (put(state, dict, file->tensors[i].name, &file->tensors[i].array, owner, widen) != 0)
            Py_CLEAR(dict);
    return dict;
}

PyObject *gram_python_read(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"path", "widen", NULL};
    gram_module_state *state = PyModule_GetState(module);
    PyObject *path = NULL, *result = NULL;
    gram_tensors *file;
    int widen = 0;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&|$p:read", names, PyUnicode_FSConverter, &path, &widen))
        return NULL;
    PyObject *owner = open_file(state, PyBytes_AsString(path), &file);
    if (owner)
        result = read_all(state, file, owner, widen);
    Py_XDECREF(owner);
    Py_DECREF(path);
    return result;
}

/* An input's key has to be in the file; a name may be missing, as not all inputs are weights. bf16 goes in as float32.
 * */
static int put_weights(gram_module_state *state, PyObject *dict, const gram_port *port, const gram_tensors *file,
                       PyObject *owner, const char *path)
{
    char message[GRAM_MESSAGE_SIZE];
    const gram_array *array = gram_port_weights(port, file);
    if (array)
        return put(state, dict, port->name, array, owner, array->dtype == GRAM_BF16);
    if (!port->key)
        return 0;
    snprintf(message, sizeof message, "%s has no tensor %s for %s", path, port->key, port->name);
    gram_python_raise(state, GRAM_BAD_ARRAYS, message);
    return -1;
}

PyObject *gram_python_weights(gram_module_state *state, const gram_kernel *kernel, PyObject *path)
{
    const gram_port *ports;
    const int n = gram_inputs(kernel, &ports);
    gram_tensors *file;
    PyObject *bytes = NULL;
    if (!PyUnicode_FSConverter(path, &bytes))
        return NULL;
    PyObject *owner = open_file(state, PyBytes_AsString(bytes), &file), *dict = owner ? PyDict_New() : NULL;
    for (int i = 0; dict && i < n; i++)
        if (put_weights(state, dict, &ports[i], file, owner, PyBytes_AsString(bytes)) != 0)
            Py_CLEAR(dict);
    Py_XDECREF(owner);
    Py_DECREF(bytes);
    return dict;
}
