/* The folder where compiled kernels are kept between processes: $GRAM_CACHE, or gram under $XDG_CACHE_HOME, or
   ~/.cache/gram; absolute paths only. Its files appear whole (they are renamed into place) and carry a hash of their
   content, so that any number of processes may use the folder at once and a damaged file is noticed and rebuilt. */
#ifndef GRAM_CACHE_H
#define GRAM_CACHE_H

#include <stddef.h>

enum { GRAM_PATH = 4096 };

/* Finds the folder, making it when it is not there. As code is loaded from it, it must belong to this user and be
   writable by nobody else. Returns 0, or -1 with a message. */
int gram_cache_folder(char folder[GRAM_PATH], char *message, size_t size);

/* Copies a finished shared library, `built`, to `path`, sealed with a hash of its content and `key`. Returns 0, or -1
   with a message and nothing changed. */
int gram_cache_put(const char *built, const char *path, const char *key, char *message, size_t size);

/* Whether `path` is a library that was put there under `key` and is undamaged. */
int gram_cache_intact(const char *path, const char *key);

/* Keeps a text that a compiler refused, in the cache folder or else the folder for temporary files, and writes where to
   `path`: empty when nowhere. */
void gram_cache_keep(const char *text, char path[GRAM_PATH]);

#endif
