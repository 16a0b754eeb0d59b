/* import gram: the Python module over libgram. __init__.py shows what is here; __init__.pyi says how it is used. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "module.h"

/* ---- errors ---- */

/* "FILE:LINE: error: ..." has a place; "error: ..." has none. Sets the exception's file and line. */
static void set_place(PyObject *error, const char *message)
{
    const char *end = strstr(message, ": error: "), *start = end;
    while (start && start > message && isdigit((unsigned char)start[-1]))
        start--;
    if (!start || start == end || start == message || start[-1] != ':')
        return;
    PyObject *file = PyUnicode_DecodeFSDefaultAndSize(message, start - 1 - message);
    PyObject *line = PyLong_FromLong(atol(start));
    if (file && line) {
        PyObject_SetAttrString(error, "file", file);
        PyObject_SetAttrString(error, "line", line);
    }
    Py_XDECREF(file);
    Py_XDECREF(line);
}

PyObject *gram_python_raise(gram_module_state *state, gram_status status, const char *message)
{
    if (status == GRAM_NO_MEMORY)
        return PyErr_NoMemory();
    const char *text = strncmp(message, "error: ", 7) == 0 ? message + 7 : message;
    PyObject *words = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    PyObject *error = words ? PyObject_CallFunctionObjArgs(state->error, words, NULL) : NULL;
    if (error) {
        set_place(error, message);
        PyErr_SetObject(state->error, error);
    }
    Py_XDECREF(words);
    Py_XDECREF(error);
    return NULL;
}

/* ---- loading ---- */

/* The dict's numbers by name, to be freed with PyMem_Free; the names live as long as the dict. */
static int take_set(PyObject *set, gram_load_options *options)
{
    PyObject *name, *value;
    if (!set || set == Py_None)
        return 0;
    if (!PyDict_Check(set)) {
        PyErr_SetString(PyExc_TypeError, "set is a dict of numbers by name");
        return -1;
    }
    gram_option *list = PyMem_Malloc((size_t)(PyDict_Size(set) + 1) * sizeof *list);
    options->options = list;
    if (!list) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t at = 0; PyDict_Next(set, &at, &name, &value); options->noptions++) {
        const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8AndSize(name, NULL) : "";
        if (!text)
            return -1;
        list[options->noptions] = (gram_option){text, PyFloat_AsDouble(value)};
        if (PyErr_Occurred())
            return -1;
    }
    return 0;
}

static PyObject *load(gram_module_state *state, const char *path, const char *text, const char *name,
                      const gram_load_options *options)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_kernel *kernel;
    gram_status status;
    Py_BEGIN_ALLOW_THREADS status = text ? gram_load_text(name, text, options, &kernel, message, sizeof message)
                                         : gram_load_file(path, options, &kernel, message, sizeof message);
    Py_END_ALLOW_THREADS return status == GRAM_OK ? gram_python_kernel(state, kernel)
                                                  : gram_python_raise(state, status, message);
}

static const char load_doc[] =
    "load(spec, *, text=None, name='spec', jit='tcc', cc=None, flags=None, threads=0, dtype='f32', set=None, "
    "seconds=0)\n\n"
    "The kernel of a spec: a file, or a text with a name for messages.";

static PyObject *load_function(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"spec", "text", "name", "jit", "cc", "flags", "threads", "dtype", "set", "seconds", NULL};
    gram_module_state *state = PyModule_GetState(module);
    gram_load_options options = {.store = state->store};
    PyObject *path = NULL, *set = NULL, *kernel = NULL;
    const char *text = NULL, *name = "spec";
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O&$zszzzisOd:load", names, PyUnicode_FSConverter, &path, &text,
                                     &name, &options.jit, &options.cc, &options.flags, &options.threads, &options.dtype,
                                     &set, &options.max_seconds))
        return NULL;
    if (!path == !text)
        PyErr_SetString(PyExc_TypeError, "load takes a spec's file, or text=...");
    else if (options.threads < 0 || options.threads > 1024)
        PyErr_SetString(PyExc_ValueError, "threads is a number from 1 to 1024, or 0 for one for each CPU");
    else if (take_set(set, &options) == 0)
        kernel = load(state, path ? PyBytes_AsString(path) : NULL, text, name, &options);
    PyMem_Free((void *)options.options);
    Py_XDECREF(path);
    return kernel;
}

/* ---- the module ---- */

static PyMethodDef functions[] = {
    {"load", GRAM_METHOD(load_function), METH_VARARGS | METH_KEYWORDS, load_doc},
    {"read", GRAM_METHOD(gram_python_read), METH_VARARGS | METH_KEYWORDS,
     "read(path, *, widen=False)\n\nThe array of a .npy file, or the arrays by name of a .safetensors or .npz file."},
    {NULL, NULL, 0, NULL},
};

/* numpy is not required: without it, outputs are memoryviews. */
static PyObject *find_asarray(void)
{
    PyObject *numpy = PyImport_ImportModule("numpy"), *asarray = NULL;
    if (numpy)
        asarray = PyObject_GetAttrString(numpy, "asarray");
    Py_XDECREF(numpy);
    if (asarray || !PyErr_ExceptionMatches(PyExc_ImportError))
        return asarray;
    PyErr_Clear();
    PyObject *builtins = PyImport_ImportModule("builtins");
    asarray = builtins ? PyObject_GetAttrString(builtins, "memoryview") : NULL;
    Py_XDECREF(builtins);
    return asarray;
}

static int make_error(gram_module_state *state)
{
    static const char doc[] = "A spec, an array or a compiler was at fault. file and line say where in the spec, or "
                              "are None.";
    PyObject *attributes = Py_BuildValue("{s:O,s:O}", "file", Py_None, "line", Py_None);
    state->error = attributes ? PyErr_NewExceptionWithDoc("gram.Error", doc, PyExc_ValueError, attributes) : NULL;
    Py_XDECREF(attributes);
    return state->error ? 0 : -1;
}

static int add_object(PyObject *module, const char *name, PyObject *object)
{
    Py_XINCREF(object);
    if (object && PyModule_AddObject(module, name, object) == 0)
        return 0;
    Py_XDECREF(object);
    return -1;
}

static int execute(PyObject *module)
{
    gram_module_state *state = PyModule_GetState(module);
    state->store = gram_store_new();
    state->kernel = PyType_FromModuleAndSpec(module, &gram_python_kernel_spec, NULL);
    state->buffer = PyType_FromModuleAndSpec(module, &gram_python_buffer_spec, NULL);
    state->port = (PyObject *)PyStructSequence_NewType(&gram_python_port_desc);
    state->asarray = find_asarray();
    if (!state->store)
        PyErr_NoMemory();
    if (!state->store || !state->kernel || !state->buffer || !state->port || !state->asarray || make_error(state) != 0)
        return -1;
    if (add_object(module, "Error", state->error) || add_object(module, "Kernel", state->kernel) ||
        add_object(module, "Port", state->port))
        return -1;
    return PyModule_AddStringConstant(module, "__version__", GRAM_VERSION);
}

static PyObject **references(gram_module_state *state, int i)
{
    PyObject **const all[] = {&state->error, &state->port, &state->kernel, &state->buffer, &state->asarray, NULL};
    return all[i];
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    gram_module_state *state = PyModule_GetState(module);
    for (int i = 0; references(state, i); i++)
        Py_VISIT(*references(state, i));
    return 0;
}

static int clear(PyObject *module)
{
    gram_module_state *state = PyModule_GetState(module);
    for (int i = 0; references(state, i); i++)
        Py_CLEAR(*references(state, i));
    return 0;
}

static void free_module(void *module)
{
    gram_module_state *state = PyModule_GetState(module);
    clear(module);
    gram_store_free(state->store);
    state->store = NULL;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, GRAM_SLOT(execute)}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "gram._gram",
    "gram over libgram.",
    sizeof(gram_module_state),
    functions,
    slots,
    traverse,
    clear,
    free_module,
};

PyMODINIT_FUNC PyInit__gram(void)
{
    return PyModuleDef_Init(&definition);
}
