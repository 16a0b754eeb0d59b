/* Error messages of the runtime. A function that can fail takes the caller's `char message[size]`, writes one line
   there and returns -1; it returns 0 when all went well, and the message then means nothing. */
#ifndef GRAM_MESSAGE_H
#define GRAM_MESSAGE_H

#include <stddef.h>

enum { GRAM_MESSAGE = 1024 }; /* a size that holds any message of the runtime */

/* Writes a formatted line, control characters replaced by spaces, cut to size. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void gram_put_message(char *message, size_t size, const char *format, ...);

/* The same, with the value -1: return gram_message(message, size, "%s", reason). */
#define gram_message(...) (gram_put_message(__VA_ARGS__), -1)

#endif
