/* The tests of tiles.c, for float and 64-bit integers. */
#define GRAM_INT64
#include "tiles.c"
