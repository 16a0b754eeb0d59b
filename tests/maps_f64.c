/* The tests of maps.c, for double. */
#define GRAM_F64
#include "maps.c"
