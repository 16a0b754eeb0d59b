/* A file that appears under its name whole or not at all: written beside it, renamed when complete. */
#ifndef GRAM_DRAFT_H
#define GRAM_DRAFT_H

#include <stddef.h>

typedef struct gram_draft {
    int fd;          /* -1: nothing is open */
    char *path;      /* where it will appear, symbolic links resolved */
    char *temporary; /* where it is now; NULL for what cannot be renamed over: a pipe, a terminal */
} gram_draft;

#define GRAM_DRAFT_NONE \
    { \
        -1, NULL, NULL \
    }

/* Opens a draft of the file at path. Returns 0, or -1 with a message and nothing left behind. */
int gram_draft_open(gram_draft *draft, const char *path, char *message, size_t size);

/* Appends bytes. On an error the draft is discarded. Returns 0 or -1 with a message. */
int gram_draft_write(gram_draft *draft, const void *data, size_t bytes, char *message, size_t size);

/* Closes the file but does not show it yet: errors of late writers appear here, before several drafts are committed
   together. On an error the draft is discarded. Returns 0 or -1 with a message. */
int gram_draft_close(gram_draft *draft, char *message, size_t size);

/* Closes the file if it is still open and gives it its name. On an error the draft is discarded and an old file under
   that name stays. Returns 0 or -1 with a message. */
int gram_draft_commit(gram_draft *draft, char *message, size_t size);

/* Removes what has been written; does nothing to a draft that is committed, discarded or GRAM_DRAFT_NONE. */
void gram_draft_discard(gram_draft *draft);

#endif
