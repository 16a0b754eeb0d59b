/* The types of arrays of floats: a row each. Those of 16 bits are read into floats, computed with as such, and rounded
 * when they are written. */
#include "real.h"

#include <string.h>

static const gram_real_type types[] = {
    {"f32", GRAM_F4, 32, "float *", ""},
    {"f64", GRAM_F8, 64, "double *", ""},
    {"bf16", GRAM_BF16, 32, "uint16_t *", "_bf16"},
    {"f16", GRAM_F2, 32, "uint16_t *", "_f16"},
};

const char gram_real_type_names[] = "f32, f64, bf16 or f16";

const gram_real_type *gram_real_type_named(const char *name)
{
    for (size_t k = 0; k < sizeof types / sizeof *types; k++)
        if (!name || strcmp(types[k].name, name) == 0)
            return &types[k];
    return NULL;
}

const gram_real_type *gram_real_type_within(const gram_real_type *type)
{
    const gram_real_type *within = types;
    while (within->bits != type->bits || *within->half)
        within++;
    return within;
}
