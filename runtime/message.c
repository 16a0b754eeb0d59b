/* Error messages of the runtime: see message.h. */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>

void gram_put_message(char *message, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, size, format, arguments);
    va_end(arguments);
    for (char *c = message; size > 0 && *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' ';
}
