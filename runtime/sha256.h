/* SHA-256 (FIPS 180-4): names of cached files, and whether they are intact. */
#ifndef GRAM_SHA256_H
#define GRAM_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct gram_sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    unsigned char block[64];
} gram_sha256;

enum { GRAM_SHA256_HEX = 65 }; /* 64 digits and the terminating 0 */

void gram_sha256_begin(gram_sha256 *hash);
void gram_sha256_add(gram_sha256 *hash, const void *data, size_t bytes);

/* Adds a string and its terminating 0, so that a list of strings has one reading only; NULL counts as "". */
void gram_sha256_add_string(gram_sha256 *hash, const char *text);

/* Writes the hash as lower-case hexadecimal digits. */
void gram_sha256_end(gram_sha256 *hash, char hex[GRAM_SHA256_HEX]);

#endif
