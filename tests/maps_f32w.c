/* The tests of maps.c, for float and 64-bit integers. */
#define GRAM_INT64
#include "maps.c"
