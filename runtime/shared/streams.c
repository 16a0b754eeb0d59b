/* Linked into shared libraries only. libtcc.a and liblua5.4.a are compiled for programs: they address the C library's
 * stdin, stdout, stderr and environ directly, which a shared library cannot. The linker (--wrap) turns those references
 * to the variables below, which hold the same values from the moment the library is loaded. */
#include <stdio.h>

extern FILE *__real_stdin, *__real_stdout, *__real_stderr;
extern char **__real_environ;

__attribute__((visibility("hidden"))) FILE *__wrap_stdin, *__wrap_stdout, *__wrap_stderr;
__attribute__((visibility("hidden"))) char **__wrap_environ;

__attribute__((constructor)) static void share_streams(void)
{
    __wrap_stdin = __real_stdin;
    __wrap_stdout = __real_stdout;
    __wrap_stderr = __real_stderr;
    __wrap_environ = __real_environ;
}
