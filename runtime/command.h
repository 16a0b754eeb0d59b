/* Another program run to its end, what it prints caught: how the system's C compiler is called. */
#ifndef GRAM_COMMAND_H
#define GRAM_COMMAND_H

#include <stddef.h>

enum { GRAM_COMMAND_WORDS = 128, GRAM_COMMAND_TEXT = 16384 };

/* A command line: words[count] is NULL. Lives where it was made (the words point into text). */
typedef struct gram_command {
    char *words[GRAM_COMMAND_WORDS];
    int count;
    char text[GRAM_COMMAND_TEXT];
    size_t used;
    int overflow; /* it did not all fit: running it is an error */
} gram_command;

void gram_command_begin(gram_command *command);

/* Appends one word as it is, or several separated by spaces. */
void gram_command_word(gram_command *command, const char *word);
void gram_command_words(gram_command *command, const char *words);

/* Runs the command, found through PATH, with no input; `temporary`, if not NULL, is its TMPDIR. The first bytes of
   what it prints, on both streams, go to output[room], a string. Returns 0 when it exits with status 0, 1 when it
   ends in any other way, and -1 with a message when it could not be started. */
int gram_command_run(const gram_command *command, const char *temporary, char *output, size_t room, char *message,
                     size_t size);

/* Writes the path that PATH gives for the command's first word, or the word itself, symbolic links resolved. */
void gram_command_path(const gram_command *command, char *path, size_t room);

#endif
