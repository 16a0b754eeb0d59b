/* gram.Kernel: called with arrays by name it runs, without Python's lock; its properties say what it is.
 *
 *     out = k(Q=q, K=k_, V=v)                 a dict of all outputs, made here
 *     k(Q=q, K=k_, V=v, out={"O": o})         only O, into the array o; {"O": None} makes it
 *     k({"out": x})                           inputs in a dict, whatever their names */
#include <string.h>

#include "module.h"

typedef struct kernel {
    PyObject_HEAD gram_kernel *gram;
    PyObject *gradient[2]; /* the kernels that grad calls, without and with outputs given; NULL until it does */
} kernel;

enum { SPARE = 8 }; /* so many names that the kernel does not have still get the error that says so */

static gram_module_state *state_of(PyObject *self)
{
    return PyType_GetModuleState(Py_TYPE(self));
}

/* ---- a call ---- */

/* The arrays of one call, inputs first; objects[i] is an output that the caller gave, or NULL. */
typedef struct call {
    gram_module_state *state;
    gram_kernel *gram;
    int n, ninputs, room;
    gram_argument *arguments;
    gram_array *arrays;
    gram_held *held;
    PyObject **objects;
} call;

static int begin(call *c, PyObject *self)
{
    const gram_port *ports;
    *c = (call){.state = state_of(self), .gram = ((kernel *)self)->gram};
    c->room = gram_inputs(c->gram, &ports) + gram_outputs(c->gram, &ports) + SPARE;
    const size_t each = sizeof *c->arguments + sizeof *c->arrays + sizeof *c->held + sizeof *c->objects;
    c->arguments = PyMem_Malloc((size_t)c->room * each);
    if (!c->arguments) {
        PyErr_NoMemory();
        return -1;
    }
    c->arrays = (gram_array *)(c->arguments + c->room);
    c->held = (gram_held *)(c->arrays + c->room);
    c->objects = (PyObject **)(c->held + c->room);
    return 0;
}

static void end(call *c)
{
    for (int i = 0; i < c->n; i++)
        gram_python_release(&c->held[i]);
    PyMem_Free(c->arguments);
}

/* Adds an array under a name: object NULL is an output to be made. */
static int add(call *c, const char *name, PyObject *object, int output)
{
    if (c->n == c->room) {
        PyErr_Format(PyExc_TypeError, "%s takes at most %d arrays", gram_name(c->gram), c->room);
        return -1;
    }
    const int i = c->n++;
    c->arguments[i] = (gram_argument){name, &c->arrays[i], NULL};
    c->objects[i] = object;
    c->held[i].kind = GRAM_HELD_NOTHING;
    memset(&c->arrays[i], 0, sizeof c->arrays[i]);
    return object ? gram_python_take(name, object, output, &c->arrays[i], &c->held[i]) : 0;
}

static const char *text_of(PyObject *name)
{
    if (PyUnicode_Check(name))
        return PyUnicode_AsUTF8AndSize(name, NULL);
    PyErr_SetString(PyExc_TypeError, "arrays are given by name");
    return NULL;
}

/* A Python int is a float where the kernel takes floats. */
static int fits_number(const call *c, const char *name, PyObject *object)
{
    const gram_port *ports;
    const int n = gram_inputs(c->gram, &ports);
    for (int i = 0; i < n && PyLong_Check(object); i++)
        if (strcmp(ports[i].name, name) == 0)
            return ports[i].integer;
    return 1;
}

static int add_input(call *c, const char *name, PyObject *object)
{
    if (fits_number(c, name, object))
        return add(c, name, object, 0);
    PyObject *number = PyFloat_FromDouble(PyLong_AsDouble(object));
    const int status = number && !PyErr_Occurred() ? add(c, name, number, 0) : -1;
    Py_XDECREF(number); /* its value is in c by now */
    return status;
}

/* Every entry of a dict but `out`, where that is the keyword. */
static int add_inputs(call *c, PyObject *dict, PyObject **out)
{
    PyObject *name, *value;
    for (Py_ssize_t at = 0; PyDict_Next(dict, &at, &name, &value);) {
        const char *text = text_of(name);
        if (!text)
            return -1;
        if (out && strcmp(text, "out") == 0)
            *out = value;
        else if (add_input(c, text, value) != 0)
            return -1;
    }
    c->ninputs = c->n;
    return 0;
}

static int add_outputs(call *c, PyObject *out)
{
    const gram_port *ports;
    const int noutputs = gram_outputs(c->gram, &ports);
    if (!out || out == Py_None) {
        for (int i = 0; i < noutputs; i++)
            if (add(c, ports[i].name, NULL, 1) != 0)
                return -1;
        return 0;
    }
    if (!PyDict_Check(out))
        return noutputs == 1 ? add(c, ports[0].name, out, 1)
                             : (PyErr_SetString(PyExc_TypeError, "out is a dict of arrays by name"), -1);
    PyObject *name, *value;
    for (Py_ssize_t at = 0; PyDict_Next(out, &at, &name, &value);) {
        const char *text = text_of(name);
        if (!text || add(c, text, value == Py_None ? NULL : value, 1) != 0)
            return -1;
    }
    return 0;
}

static int add_all(call *c, PyObject *args, PyObject *keywords)
{
    PyObject *dict = NULL, *out = NULL;
    if (!PyArg_UnpackTuple(args, gram_name(c->gram), 0, 1, &dict))
        return -1;
    if (dict && !PyDict_Check(dict)) {
        PyErr_SetString(PyExc_TypeError, "arrays are given by name: k(Q=q, ...) or k({\"Q\": q, ...})");
        return -1;
    }
    if (dict && add_inputs(c, dict, NULL) != 0)
        return -1;
    if (keywords && add_inputs(c, keywords, &out) != 0)
        return -1;
    c->ninputs = c->n;
    return add_outputs(c, out);
}

/* The outputs by name. What was made passes to Python, or is freed. */
static PyObject *results(call *c)
{
    PyObject *dict = PyDict_New();
    for (int i = c->ninputs; i < c->n; i++) {
        PyObject *object = c->objects[i];
        if (object)
            Py_INCREF(object);
        else if (dict)
            object = gram_python_array(c->state, &c->arrays[i], NULL);
        else
            gram_array_free(&c->arrays[i]);
        if (dict && (!object || PyDict_SetItemString(dict, c->arguments[i].name, object) != 0))
            Py_CLEAR(dict);
        Py_XDECREF(object);
    }
    return dict;
}

static PyObject *run(call *c)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_status status;
    Py_BEGIN_ALLOW_THREADS status = gram_run(c->gram, c->n, c->arguments, message, sizeof message);
    Py_END_ALLOW_THREADS return status == GRAM_OK ? results(c) : gram_python_raise(c->state, status, message);
}

static PyObject *call_kernel(PyObject *self, PyObject *args, PyObject *keywords)
{
    call c;
    if (begin(&c, self) != 0)
        return NULL;
    PyObject *result = add_all(&c, args, keywords) == 0 ? run(&c) : NULL;
    end(&c);
    return result;
}

/* k.cost(Q=q, ...): what such a call takes. */
static PyObject *cost(PyObject *self, PyObject *args, PyObject *keywords)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_cost takes;
    PyObject *result = NULL;
    call c;
    if (begin(&c, self) != 0)
        return NULL;
    if (add_all(&c, args, keywords) == 0) {
        const gram_status status = gram_run_cost(c.gram, c.ninputs, c.arguments, &takes, message, sizeof message);
        result = status == GRAM_OK ? Py_BuildValue("{s:d,s:d,s:n}", "operations", takes.operations, "bytes",
                                                   takes.bytes, "workspace", (Py_ssize_t)takes.workspace)
                                   : gram_python_raise(c.state, status, message);
    }
    end(&c);
    return result;
}

/* k.weights(path): the inputs that a .safetensors or .npz file holds, by their key or name. */
static PyObject *weights(PyObject *self, PyObject *path)
{
    return gram_python_weights(state_of(self), ((kernel *)self)->gram, path);
}

/* ---- gradients ---- */

static PyObject *load_gradient(PyObject *self, int n, const char *const *names, int given)
{
    char message[GRAM_MESSAGE_SIZE];
    gram_kernel *gradient;
    gram_status status;
    Py_BEGIN_ALLOW_THREADS status = gram_load_derivative(((kernel *)self)->gram, &(gram_derivative){0, n, names, given},
                                                         &gradient, message, sizeof message);
    Py_END_ALLOW_THREADS return status == GRAM_OK ? gram_python_kernel(state_of(self), gradient)
                                                  : gram_python_raise(state_of(self), status, message);
}

/* Is the keyword `given` true? It is the only one there may be: -1 otherwise. */
static int take_given(PyObject *keywords)
{
    PyObject *given = keywords ? PyDict_GetItemString(keywords, "given") : NULL;
    if (keywords && PyDict_Size(keywords) != (given ? 1 : 0)) {
        PyErr_SetString(PyExc_TypeError, "gradient takes names of inputs, and given=True");
        return -1;
    }
    return given ? PyObject_IsTrue(given) : 0;
}

/* k.gradient("Q", ...): the kernel that takes k's inputs and dO, and gives dQ; with given=True it takes O too. */
static PyObject *gradient(PyObject *self, PyObject *args, PyObject *keywords)
{
    const int given = take_given(keywords);
    if (given < 0)
        return NULL;
    const int n = (int)PyTuple_Size(args);
    const char **names = PyMem_Malloc((size_t)(n + 1) * sizeof *names);
    if (!names)
        return PyErr_NoMemory();
    int failed = 0;
    for (int i = 0; i < n && !failed; i++)
        failed = !(names[i] = text_of(PyTuple_GetItem(args, i)));
    PyObject *result = failed ? NULL : load_gradient(self, n, names, given);
    PyMem_Free((void *)names);
    return result;
}

/* {"dQ": a} as {"Q": a}. */
static PyObject *without_d(PyObject *results)
{
    PyObject *dict = results ? PyDict_New() : NULL, *name, *value;
    for (Py_ssize_t at = 0; dict && PyDict_Next(results, &at, &name, &value);) {
        const char *text = text_of(name);
        if (!text || PyDict_SetItemString(dict, text + 1, value) != 0)
            Py_CLEAR(dict);
    }
    Py_XDECREF(results);
    return dict;
}

/* Is the kernel's first output among the arrays? */
static int gives_outputs(const kernel *k, PyObject *args, PyObject *keywords)
{
    const gram_port *outputs;
    if (gram_outputs(k->gram, &outputs) == 0)
        return 0;
    PyObject *first = PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0) : NULL;
    return (keywords && PyDict_GetItemString(keywords, outputs[0].name)) ||
           (first && PyDict_Check(first) && PyDict_GetItemString(first, outputs[0].name));
}

/* k.grad(Q=q, ..., dO=do): the gradients by every input that takes floats. With O=o, what k gave is not
 * computed again. */
static PyObject *grad(PyObject *self, PyObject *args, PyObject *keywords)
{
    const int given = gives_outputs((kernel *)self, args, keywords);
    PyObject **own = &((kernel *)self)->gradient[given], *made = *own ? NULL : load_gradient(self, 0, NULL, given);
    if (!*own)
        *own = made;
    else
        Py_XDECREF(made);
    return *own ? without_d(call_kernel(*own, args, keywords)) : NULL;
}

/* ---- properties ---- */

static PyStructSequence_Field port_fields[] = {
    {"name", NULL}, {"kind", NULL}, {"shape", NULL}, {"integer", NULL}, {"key", NULL}, {NULL, NULL},
};
PyStructSequence_Desc gram_python_port_desc = {"gram.Port", "An input or an output of a kernel.", port_fields, 5};

static PyObject *port_of(gram_module_state *state, const gram_port *port)
{
    PyObject *tuple = PyStructSequence_New((PyTypeObject *)state->port);
    if (!tuple)
        return NULL;
    PyStructSequence_SetItem(tuple, 0, PyUnicode_FromString(port->name));
    PyStructSequence_SetItem(tuple, 1, PyUnicode_FromString(port->kind));
    PyStructSequence_SetItem(tuple, 2, PyUnicode_FromString(port->shape));
    PyStructSequence_SetItem(tuple, 3, PyBool_FromLong(port->integer));
    PyStructSequence_SetItem(tuple, 4, Py_BuildValue("z", port->key));
    return tuple;
}

static PyObject *ports_of(PyObject *self, int (*ask)(const gram_kernel *kernel, const gram_port **ports))
{
    const gram_port *ports;
    const int n = ask(((kernel *)self)->gram, &ports);
    PyObject *list = PyList_New(0);
    for (int i = 0; list && i < n; i++) {
        PyObject *port = port_of(state_of(self), &ports[i]);
        if (!port || PyList_Append(list, port) != 0)
            Py_CLEAR(list);
        Py_XDECREF(port);
    }
    return list;
}

static PyObject *get_inputs(PyObject *self, void *closure)
{
    (void)closure;
    return ports_of(self, gram_inputs);
}

static PyObject *get_outputs(PyObject *self, void *closure)
{
    (void)closure;
    return ports_of(self, gram_outputs);
}

static PyObject *get_sizes(PyObject *self, void *closure)
{
    (void)closure;
    const char *const *names;
    const int n = gram_sizes(((kernel *)self)->gram, &names);
    PyObject *list = PyList_New(0);
    for (int i = 0; list && i < n; i++) {
        PyObject *name = PyUnicode_FromString(names[i]);
        if (!name || PyList_Append(list, name) != 0)
            Py_CLEAR(list);
        Py_XDECREF(name);
    }
    return list;
}

static PyObject *get_name(PyObject *self, void *closure)
{
    (void)closure;
    return PyUnicode_FromString(gram_name(((kernel *)self)->gram));
}

static PyObject *get_times(PyObject *self, void *closure)
{
    (void)closure;
    const gram_times t = gram_compile_times(((kernel *)self)->gram);
    return Py_BuildValue("{s:d,s:d,s:d,s:d,s:d}", "trace", t.trace, "simplify", t.simplify, "plan", t.plan, "emit",
                         t.emit, "compile", t.compile);
}

/* One function for all texts: the closure points to the kind. */
static PyObject *get_text(PyObject *self, void *closure)
{
    char message[GRAM_MESSAGE_SIZE];
    const char *text;
    gram_status status;
    Py_BEGIN_ALLOW_THREADS status =
        gram_kernel_text(((kernel *)self)->gram, *(const gram_text_kind *)closure, &text, message, sizeof message);
    Py_END_ALLOW_THREADS return status == GRAM_OK ? PyUnicode_FromString(text)
                                                  : gram_python_raise(state_of(self), status, message);
}

static const gram_text_kind kinds[] = {GRAM_TEXT_SOURCE, GRAM_TEXT_HEADER, GRAM_TEXT_PLAN, GRAM_TEXT_IR};

static PyGetSetDef properties[] = {
    {"name", get_name, NULL, "The kernel's name in its spec.", NULL},
    {"inputs", get_inputs, NULL, "A Port for each input, in the order of the spec.", NULL},
    {"outputs", get_outputs, NULL, "A Port for each output, by name.", NULL},
    {"sizes", get_sizes, NULL, "The runtime sizes' names.", NULL},
    {"times", get_times, NULL, "Seconds that each pass of the compilation took.", NULL},
    {"source", get_text, NULL, "The kernel as C text: NAME.c.", (void *)&kinds[0]},
    {"c_header", get_text, NULL, "Its header: NAME.h.", (void *)&kinds[1]},
    {"plan", get_text, NULL, "Which loops compute it, at what cost and why.", (void *)&kinds[2]},
    {"ir", get_text, NULL, "The graph as traced.", (void *)&kinds[3]},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef methods[] = {
    {"cost", GRAM_METHOD(cost), METH_VARARGS | METH_KEYWORDS,
     "cost(**inputs): operations, bytes and workspace of such a call."},
    {"grad", GRAM_METHOD(grad), METH_VARARGS | METH_KEYWORDS, "grad(**inputs, dO=...): the gradients by input."},
    {"gradient", GRAM_METHOD(gradient), METH_VARARGS | METH_KEYWORDS,
     "gradient(*names, given=False): the kernel of the gradient by these inputs."},
    {"weights", weights, METH_O, "weights(path): the inputs that a .safetensors or .npz file holds."},
    {NULL, NULL, 0, NULL},
};

static PyObject *represent(PyObject *self)
{
    return PyUnicode_FromFormat("<gram.Kernel %s>", gram_name(((kernel *)self)->gram));
}

static void free_kernel(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    gram_free(((kernel *)self)->gram);
    Py_XDECREF(((kernel *)self)->gradient[0]);
    Py_XDECREF(((kernel *)self)->gradient[1]);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyType_Slot slots[] = {
    {Py_tp_call, GRAM_SLOT(call_kernel)},
    {Py_tp_dealloc, GRAM_SLOT(free_kernel)},
    {Py_tp_repr, GRAM_SLOT(represent)},
    {Py_tp_getset, properties},
    {Py_tp_methods, methods},
    {0, NULL},
};
PyType_Spec gram_python_kernel_spec = {"gram.Kernel", sizeof(kernel), 0, Py_TPFLAGS_DEFAULT, slots};

PyObject *gram_python_kernel(gram_module_state *state, gram_kernel *gram)
{
    kernel *k = PyObject_New(kernel, (PyTypeObject *)state->kernel);
    if (!k) {
        gram_free(gram);
        return NULL;
    }
    k->gram = gram;
    k->gradient[0] = k->gradient[1] = NULL;
    return (PyObject *)k;
}
