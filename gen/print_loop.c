/* Print's fused loops, for a C compiler: instructions of one rate as one loop of vector expressions. */
#include <string.h>

#include "printer.h"

/* ops.def's vector text with a, b, c replaced by the operands' names; of a value that is spread over pairs its own. */
static const char *expression(gram_printer *p, const gram_instr *instr, const char *const *args)
{
    if (gram_is_spread(instr))
        return args[0];
    gram_text text = {.ctx = p->ctx};
    const char *s = gram_ops[instr->op].vector;
    for (; *s; s++) {
        bool alone = (s == gram_ops[instr->op].vector || !strchr("_abcdefghijklmnopqrstuvwxyz", s[-1])) &&
                     !strchr("_abcdefghijklmnopqrstuvwxyz", s[1] ? s[1] : ' ');
        if (*s >= 'a' && *s <= 'c' && alone)
            gram_put(&text, "%s", args[*s - 'a']);
        else
            gram_put_bytes(&text, s, 1);
    }
    return text.data;
}

static const char *operand(gram_printer *p, int k)
{
    bool one = p->program->instr[k].rate == GRAM_RATE_ONE;
    return gram_format(p->ctx, "%c%d", one ? 'c' : 'v', k);
}

static const char *index_in_loop(int rate, const gram_instr *instr)
{
    if (rate != GRAM_RATE_PAIR)
        return "l";
    return instr->kind == GRAM_I_SUM_OF ? "r * width + l" : "r * GRAM_TILE + l";
}

static void put_read(gram_printer *p, gram_text *out, int rate, int k, const char *indent)
{
    const gram_instr *instr = &p->program->instr[k];
    if (rate == GRAM_RATE_PAIR && instr->rate != GRAM_RATE_PAIR)
        gram_put(out, "%sconst %s v%d = %s(%s + l);\n", indent, gram_print_types[instr->type].vector, k,
                 gram_print_types[instr->type].load, gram_print_array(p, k));
    else
        gram_put(out, "%sconst %s v%d = %s(%s + %s);\n", indent, gram_print_types[instr->type].vector, k,
                 gram_print_types[instr->type].load,
                 instr->rate == GRAM_RATE_PAIR && instr->type != GRAM_REAL
                     ? gram_format(p->ctx, "(%s)", gram_print_tile(p, k))
                     : gram_print_tile(p, k),
                 index_in_loop(rate, instr));
}

void gram_print_compute(gram_printer *p, gram_text *out, int k, const char *indent)
{
    const gram_instr *instr = &p->program->instr[k];
    const char *args[3], *vector = gram_print_types[instr->type].vector;
    for (int a = 0; a < instr->nargs; a++)
        args[a] = operand(p, instr->args[a]);
    if (instr->kind == GRAM_I_OP)
        gram_put(out, "%sconst %s %s = %s;\n", indent, vector, operand(p, k), expression(p, instr, args));
    else
        gram_put(out, "%sconst %s v%d = gram_v_iota((gram_int)(%s + l));\n", indent, vector, k,
                 instr->kind == GRAM_I_ROW ? "lane" : "query");
}

/* Which instructions a loop holds: of one rate, level and purpose. */
static bool in_loop(const gram_printer *p, int k, int rate, int level, bool for_root)
{
    const gram_instr *instr = &p->program->instr[k];
    return !is_call(p, instr) && !is_given(instr) && instr->rate == rate && p->level[k] == level &&
           p->for_root[k] == for_root;
}

static bool loop_reads(const gram_printer *p, int k, int rate, int level, bool for_root)
{
    if (in_loop(p, k, rate, level, for_root))
        return false;
    for (int u = k + 1; u < p->program->n; u++)
        for (int a = 0; in_loop(p, u, rate, level, for_root) && a < p->program->instr[u].nargs; a++)
            if (p->program->instr[u].args[a] == k)
                return true;
    return false;
}

static void put_loop_body(gram_printer *p, gram_text *out, int rate, int level, bool for_root, const char *indent)
{
    for (int k = 0; k < p->program->n; k++) {
        int own = p->program->instr[k].rate;
        bool hoisted = own == GRAM_RATE_ONE || (rate == GRAM_RATE_PAIR && own == GRAM_RATE_QUERY);
        if (!hoisted && loop_reads(p, k, rate, level, for_root))
            put_read(p, out, rate, k, indent);
        if (in_loop(p, k, rate, level, for_root)) {
            const gram_instr *instr = &p->program->instr[k];
            gram_print_compute(p, out, k, indent);
            if (gram_print_is_array(p, k))
                gram_put(out, "%s%s(%s + %s, v%d);\n", indent, gram_print_types[instr->type].store,
                         instr->rate == GRAM_RATE_PAIR && instr->type != GRAM_REAL
                             ? gram_format(p->ctx, "(%s)", gram_print_tile(p, k))
                             : gram_print_tile(p, k),
                         index_in_loop(rate, instr), k);
        }
    }
}

static bool loop_is_empty(const gram_printer *p, int rate, int level, bool for_root)
{
    for (int k = 0; k < p->program->n; k++)
        if (in_loop(p, k, rate, level, for_root))
            return false;
    return true;
}

void gram_print_loop(gram_printer *p, gram_text *out, int rate, int level, bool for_root)
{
    if (loop_is_empty(p, rate, level, for_root))
        return;
    for (int k = 0; k < p->program->n; k++)
        if (in_loop(p, k, rate, level, for_root) && gram_print_is_array(p, k))
            gram_print_declare(p, out, k);
    if (rate != GRAM_RATE_PAIR) {
        gram_put(out, "for (int64_t l = 0; l < %s; l += GRAM_LANES) {\n", rate == GRAM_RATE_LANE ? "lanes" : "queries");
        put_loop_body(p, out, rate, level, for_root, "    ");
        gram_put(out, "}\n");
        return;
    }
    gram_put(out, "for (int64_t r = 0; r < queries; r++) {\n");
    for (int k = 0; k < p->program->n; k++)
        if (p->program->instr[k].rate == GRAM_RATE_QUERY && loop_reads(p, k, rate, level, for_root))
            gram_put(out, "    const %s v%d = %s(%s[r]);\n", gram_print_types[p->program->instr[k].type].vector, k,
                     gram_print_types[p->program->instr[k].type].splat, gram_print_array(p, k));
    gram_put(out, "    for (int64_t l = 0; l < lanes; l += GRAM_LANES) {\n");
    put_loop_body(p, out, rate, level, for_root, "        ");
    gram_put(out, "    }\n}\n");
}
