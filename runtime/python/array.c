/* Arrays between Python and gram, without a copy: in through the buffer protocol (numpy, array, memoryview) or DLPack
 * (torch, jax, cupy on the CPU), out as an object with the buffer protocol that numpy.asarray wraps. */
#include <string.h>

#include "dlpack.h"
#include "module.h"

/* struct's letter for each type. numpy has none for bf16: its bits show as integers. */
static const char *const FORMATS[GRAM_NDTYPES] = {
    [GRAM_B1] = "?", [GRAM_I1] = "b", [GRAM_I2] = "h",   [GRAM_I4] = "i", [GRAM_I8] = "q",
    [GRAM_U1] = "B", [GRAM_U2] = "H", [GRAM_U4] = "I",   [GRAM_U8] = "Q", [GRAM_F2] = "e",
    [GRAM_F4] = "f", [GRAM_F8] = "d", [GRAM_BF16] = "H",
};

static int find_dtype(char kind, size_t bytes, gram_dtype *dtype)
{
    for (*dtype = 0; *dtype < GRAM_NDTYPES; ++*dtype)
        if (gram_dtype_kind(*dtype) == kind && gram_dtype_size(*dtype) == bytes)
            return 0;
    return -1;
}

/* ---- the buffer protocol ---- */

static char kind_of_letter(char letter)
{
    static const char *const letters[] = {"b?", "fefd", "ibhilqn", "uBHILQN"}; /* a kind, and the letters of it */
    for (int k = 0; k < 4; k++)
        if (strchr(letters[k] + 1, letter))
            return letters[k][0];
    return 0;
}

static int take_shape(const char *name, const Py_buffer *view, gram_array *array)
{
    if (view->ndim > GRAM_MAX_DIMS) {
        PyErr_Format(PyExc_ValueError, "%s has %d axes: at most %d are supported", name, view->ndim, GRAM_MAX_DIMS);
        return -1;
    }
    array->ndim = view->ndim;
    array->data = view->buf;
    for (int axis = 0; axis < view->ndim; axis++) {
        if (view->strides[axis] % view->itemsize != 0) {
            PyErr_Format(PyExc_ValueError, "%s has strides that are no multiple of its entries' size: copy it", name);
            return -1;
        }
        array->shape[axis] = view->shape[axis];
        array->stride[axis] = view->strides[axis] / view->itemsize;
    }
    return 0;
}

static int take_buffer(const char *name, gram_array *array, const Py_buffer *view)
{
    const char *format = view->format ? view->format : "B";
    const int one = 1, little = *(const char *)&one == 1;
    if (*format && strchr(little ? "@=<" : "@=>!", *format))
        format++;
    if (!*format || format[1] || find_dtype(kind_of_letter(*format), (size_t)view->itemsize, &array->dtype) != 0) {
        PyErr_Format(PyExc_TypeError,
                     "%s has entries of type '%s': expected bool, integers or floats of the machine's "
                     "byte order",
                     name, view->format ? view->format : "B");
        return -1;
    }
    return take_shape(name, view, array);
}

/* ---- DLPack ---- */

static const char CAPSULE[] = "dltensor", USED[] = "used_dltensor";

static int take_tensor(const char *name, gram_array *array, const DLTensor *t)
{
    static const char kinds[] = {[DL_INT] = 'i', [DL_UINT] = 'u', [DL_FLOAT] = 'f', [DL_BFLOAT] = 'e', [DL_BOOL] = 'b'};
    const char kind = t->dtype.code < sizeof kinds ? kinds[t->dtype.code] : 0;
    if (t->device.type != DL_CPU && t->device.type != DL_CUDA_HOST) {
        PyErr_Format(PyExc_ValueError, "%s is not in the CPU's memory", name);
        return -1;
    }
    if (!kind || t->dtype.lanes != 1 || find_dtype(kind, t->dtype.bits / 8u, &array->dtype) != 0 ||
        t->ndim > GRAM_MAX_DIMS) {
        PyErr_Format(PyExc_TypeError, "%s has entries or axes that gram does not take", name);
        return -1;
    }
    *array = gram_array_dense(array->dtype, t->ndim, t->shape, (char *)t->data + t->byte_offset);
    if (t->strides)
        memcpy(array->stride, t->strides, (size_t)t->ndim * sizeof array->stride[0]);
    return 0;
}

static int take_dlpack(const char *name, PyObject *object, gram_array *array, gram_held *held)
{
    PyObject *capsule = PyObject_CallMethod(object, "__dlpack__", NULL);
    if (!capsule)
        return -1;
    held->tensor = PyCapsule_GetPointer(capsule, CAPSULE);
    if (held->tensor && PyCapsule_SetName(capsule, USED) == 0)
        held->kind = GRAM_HELD_DLPACK;
    Py_DECREF(capsule);
    return held->kind == GRAM_HELD_DLPACK ? take_tensor(name, array, &held->tensor->tensor) : -1;
}

/* ---- both ---- */

static int take_number(PyObject *object, gram_array *array, gram_held *held)
{
    held->number = PyFloat_AsDouble(object);
    *array = gram_array_dense(GRAM_F8, 0, NULL, &held->number);
    if (PyFloat_Check(object))
        return PyErr_Occurred() ? -1 : 0;
    const int64_t integer = held->number >= -0x1p53 && held->number <= 0x1p53 ? (int64_t)held->number : INT64_MAX;
    memcpy(&held->number, &integer, sizeof integer);
    array->dtype = GRAM_I8;
    return PyErr_Occurred() ? -1 : 0;
}

/* What has a buffer that does not suit (of a type that the protocol lacks, say) may still have DLPack; where that fails
 * too, the buffer's error is the one to read. */
static int take_dlpack_instead(const char *name, PyObject *object, gram_array *array, gram_held *held)
{
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    const int status = take_dlpack(name, object, array, held);
    if (status == 0 || !type) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(trace);
        return status;
    }
    PyErr_Restore(type, value, trace);
    return -1;
}

int gram_python_take(const char *name, PyObject *object, int writable, gram_array *array, gram_held *held)
{
    memset(array, 0, sizeof *array);
    held->kind = GRAM_HELD_NOTHING;
    if (PyObject_CheckBuffer(object) &&
        PyObject_GetBuffer(object, &held->view, writable ? PyBUF_RECORDS : PyBUF_RECORDS_RO) == 0) {
        held->kind = GRAM_HELD_BUFFER;
        return take_buffer(name, array, &held->view);
    }
    if (PyObject_HasAttrString(object, "__dlpack__"))
        return take_dlpack_instead(name, object, array, held);
    if (PyErr_Occurred())
        return -1;
    if (!writable && (PyFloat_Check(object) || PyLong_Check(object)))
        return take_number(object, array, held);
    PyErr_Format(PyExc_TypeError, "%s is a %R: expected an array (buffer protocol or DLPack)", name, Py_TYPE(object));
    return -1;
}

void gram_python_release(gram_held *held)
{
    if (held->kind == GRAM_HELD_BUFFER)
        PyBuffer_Release(&held->view);
    if (held->kind == GRAM_HELD_DLPACK && held->tensor->deleter)
        held->tensor->deleter(held->tensor);
    held->kind = GRAM_HELD_NOTHING;
}

/* ---- arrays that gram made ---- */

typedef struct buffer {
    PyObject_HEAD gram_array array;
    PyObject *owner;
    Py_ssize_t shape[GRAM_MAX_DIMS], strides[GRAM_MAX_DIMS]; /* in bytes */
} buffer;

static int get_buffer(PyObject *self, Py_buffer *view, int flags)
{
    buffer *b = (buffer *)self;
    (void)flags;
    const Py_ssize_t bytes = (Py_ssize_t)gram_dtype_size(b->array.dtype);
    *view = (Py_buffer){.buf = b->array.data,
                        .itemsize = bytes,
                        .ndim = b->array.ndim,
                        .format = (char *)FORMATS[b->array.dtype],
                        .shape = b->shape,
                        .strides = b->strides};
    view->len = (Py_ssize_t)gram_array_count(b->array.dtype, b->array.ndim, b->array.shape) * bytes;
    Py_INCREF(self);
    view->obj = self;
    return 0;
}

static void free_buffer(PyObject *self)
{
    buffer *b = (buffer *)self;
    PyTypeObject *type = Py_TYPE(self);
    gram_array_free(&b->array);
    Py_XDECREF(b->owner);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot buffer_slots[] = {
    {Py_bf_getbuffer, GRAM_SLOT(get_buffer)},
    {Py_tp_dealloc, GRAM_SLOT(free_buffer)},
    {0, NULL},
};
PyType_Spec gram_python_buffer_spec = {"gram._gram.Buffer", sizeof(buffer), 0, Py_TPFLAGS_DEFAULT, buffer_slots};

PyObject *gram_python_array(gram_module_state *state, const gram_array *array, PyObject *owner)
{
    buffer *b = PyObject_New(buffer, (PyTypeObject *)state->buffer);
    gram_array mine = *array;
    if (!b) {
        gram_array_free(&mine);
        return NULL;
    }
    b->array = mine;
    b->owner = owner;
    Py_XINCREF(owner);
    for (int axis = 0; axis < mine.ndim; axis++) {
        b->shape[axis] = (Py_ssize_t)mine.shape[axis];
        b->strides[axis] = (Py_ssize_t)(mine.stride[axis] * (int64_t)gram_dtype_size(mine.dtype));
    }
    PyObject *view = PyObject_CallFunctionObjArgs(state->asarray, (PyObject *)b, NULL);
    Py_DECREF(b);
    return view;
}
