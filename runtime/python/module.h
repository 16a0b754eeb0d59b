/* What the files of the Python module share. It is written to CPython's limited API, and knows nothing of numpy's:
 * arrays come and go through the buffer protocol and DLPack. */
#ifndef GRAM_PYTHON_MODULE_H
#define GRAM_PYTHON_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "gram.h"

/* The module's own data. */
typedef struct gram_module_state {
    PyObject *error;   /* gram.Error */
    PyObject *port;    /* gram.Port */
    PyObject *kernel;  /* gram.Kernel */
    PyObject *buffer;  /* what holds the data of arrays that gram made */
    PyObject *asarray; /* numpy.asarray, or memoryview where there is no numpy */
    gram_store *store;
} gram_module_state;

/* Raises gram.Error with the message's file and line; MemoryError where memory ran out. Returns NULL. */
PyObject *gram_python_raise(gram_module_state *state, gram_status status, const char *message);

/* ---- array.c ---- */

/* What keeps a caller's array in place while it is used. */
typedef struct gram_held {
    enum { GRAM_HELD_NOTHING, GRAM_HELD_BUFFER, GRAM_HELD_DLPACK } kind;
    Py_buffer view;
    struct DLManagedTensor *tensor;
    double number; /* of a Python number */
} gram_held;

/* Describes an object's array: anything with the buffer protocol, DLPack on the CPU, or a number. Returns 0, or -1 with
 * an exception. Release it in either case. */
int gram_python_take(const char *name, PyObject *object, int writable, gram_array *array, gram_held *held);
void gram_python_release(gram_held *held);

/* An array's data for Python: numpy's view of it, which frees it with gram_array_free in the end. Takes over the
 * storage, even where it fails; `owner` (may be NULL) is kept alive for as long. */
PyObject *gram_python_array(gram_module_state *state, const gram_array *array, PyObject *owner);
extern PyType_Spec gram_python_buffer_spec;

/* ---- kernel.c, files.c ---- */
extern PyType_Spec gram_python_kernel_spec;
extern PyStructSequence_Desc gram_python_port_desc;
PyObject *gram_python_kernel(gram_module_state *state, gram_kernel *kernel);
PyObject *gram_python_read(PyObject *module, PyObject *args, PyObject *keywords);
PyObject *gram_python_weights(gram_module_state *state, const gram_kernel *kernel, PyObject *path);

/* A slot or method table holds functions as object pointers or as another function type. */
#define GRAM_SLOT(f) (__extension__(void *)(f))
#define GRAM_METHOD(f) ((PyCFunction)(void (*)(void))(f))

#endif
