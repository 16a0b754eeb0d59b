/* Error messages of the runtime. A function that can fail takes the caller's `char message[size]`, writes one line
   there and returns -1; it returns 0 when all went well, and the message then means nothing. */
#ifndef GRAM_MESSAGE_H
#define GRAM_MESSAGE_H

#include <stddef.h>

enum { GRAM_MESSAGE = 1024 }; /* a size that holds any message of the runtime */

/* Writes a formatted line, control characters replaced by spaces, cut to size. Returns -1. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
int gram_message(char *message, size_t size, const char *format, ...);

#endif
