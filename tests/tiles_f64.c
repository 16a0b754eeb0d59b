/* The tests of tiles.c, for double. */
#define GRAM_F64
#include "tiles.c"
