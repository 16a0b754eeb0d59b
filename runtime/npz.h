/* The directory of a .npz file, a zip archive of .npy files: PKWARE's APPNOTE.TXT, stored entries only. */
#ifndef GRAM_NPZ_H
#define GRAM_NPZ_H

#include "tensors.h"

/* Fills the list of a mapped file. Returns 0, or -1 with a message. */
int gram_npz_list(gram_tensors *file, char *message, size_t size);

#endif
