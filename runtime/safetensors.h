/* The header of a .safetensors file: an 8-byte length, then JSON that names each tensor's type, shape and place. */
#ifndef GRAM_SAFETENSORS_H
#define GRAM_SAFETENSORS_H

#include "tensors.h"

/* Fills the list of a mapped file. Returns 0, or -1 with a message. */
int gram_safetensors_list(gram_tensors *file, char *message, size_t size);

#endif
