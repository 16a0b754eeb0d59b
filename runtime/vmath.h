/* Functions of a real, over vectors: rounding, exponentials, logarithms, the sigmas, trigonometry, powers.
 *
 * Each is one text for float and double; they differ in the degree of a polynomial (minimax, found by Remez exchange)
 * and in constants, given as GRAM_PICK(float's, double's). Errors are a few units in the last place; infinities, NaN
 * and subnormal numbers are honoured. See kernel.h on chunks. */

#ifndef GRAM_VMATH_H

#define GRAM_VMATH_H

#include "vector.h"

/* The bits of a mantissa, the bias of an exponent, the sign bit, and from where on all reals are whole. */
#define GRAM_MANTISSA GRAM_PICK(23, 52)
#define GRAM_BIAS GRAM_PICK(127, 1023)
#define GRAM_SIGN GRAM_PICK(INT32_MIN, INT64_MIN)
#define GRAM_WHOLE GRAM_PICK(8388608.0f, 4503599627370496.0)

/* |a| */
static inline GRAM_ALWAYS gram_vreal gram_v_abs(gram_vreal a) {
    return gram_v_unbits(gram_v_bits(a) & ~gram_v_splatm(GRAM_SIGN));
}

/* |a| with b's sign */
static inline GRAM_ALWAYS gram_vreal gram_v_copysign(gram_vreal a, gram_vreal b) {
    return gram_v_unbits(gram_v_bits(gram_v_abs(a)) | (gram_v_bits(b) & gram_v_splatm(GRAM_SIGN)));
}

/* a held between lo and hi; NaN stays. */
static inline GRAM_ALWAYS gram_vreal gram_v_within(gram_vreal a, gram_real lo, gram_real hi) {
    return gram_v_above(gram_v_splat(lo), gram_v_below(gram_v_splat(hi), a));
}

/* -1, 0 or 1, as a is; NaN stays. */
static inline GRAM_ALWAYS gram_vreal gram_v_sign(gram_vreal a) {
    gram_mask other = gram_v_lt(gram_v_splat(0), gram_v_abs(a));
    return gram_v_where(other, gram_v_copysign(gram_v_splat(1), a), a);
}

/* The nearest whole number, ties to even. */
static inline GRAM_ALWAYS gram_vreal gram_v_round(gram_vreal a) {
    gram_vreal size = gram_v_abs(a), whole = size + GRAM_WHOLE - GRAM_WHOLE;
    return gram_v_where(gram_v_lt(size, gram_v_splat(GRAM_WHOLE)), gram_v_copysign(whole, a), a);
}

/* The greatest whole number not above a. */
static inline GRAM_ALWAYS gram_vreal gram_v_floor(gram_vreal a) {
    gram_vreal near = gram_v_round(a);
    return near - gram_v_where(gram_v_lt(a, near), gram_v_splat(1), gram_v_splat(0));
}

/* The least whole number not below a. */
static inline GRAM_ALWAYS gram_vreal gram_v_ceil(gram_vreal a) {
    return -gram_v_floor(-a);
}

/* floor(a) as an integer, held to the integers' range; NaN gives 0. */
static inline GRAM_ALWAYS gram_vint gram_v_int(gram_vreal a) {
    gram_vreal x = gram_v_floor(a), end = gram_v_splat((gram_real)GRAM_INT_MIN);
    gram_mask over = gram_v_le(-end, x);
    x = gram_v_where(over | gram_v_ne(a, a), gram_v_splat(0), gram_v_above(x, end));
    return gram_v_iwhere(over, gram_v_splati(GRAM_INT_MAX), GRAM_CONVERT(gram_vint, x));
}

/* The greatest whole number not above a, where a real may be narrower than a double. */
static inline GRAM_ALWAYS gram_vdouble gram_v_dfloor(gram_vdouble a) {
    double lane[GRAM_LANES];
    memcpy(lane, &a, sizeof a);
    for (int l = 0; l < GRAM_LANES; l++) {
        lane[l] = floor(lane[l]);
    }
    memcpy(&a, lane, sizeof a);
    return a;
}

/* floor(a / b), 0 where b is 0. In double, so that a quotient just below a whole number is not rounded up to it. */
static inline GRAM_ALWAYS gram_vreal gram_v_fdiv(gram_vreal a, gram_vreal b) {
    gram_vdouble q = gram_v_dfloor(GRAM_CONVERT(gram_vdouble, a) / GRAM_CONVERT(gram_vdouble, b));
    return gram_v_where(gram_v_eq(b, gram_v_splat(0)), gram_v_splat(0), GRAM_CONVERT(gram_vreal, q));
}

/* a - floor(a / b) * b, 0 where b is 0. */
static inline GRAM_ALWAYS gram_vreal gram_v_fmod(gram_vreal a, gram_vreal b) {
    gram_vdouble x = GRAM_CONVERT(gram_vdouble, a), y = GRAM_CONVERT(gram_vdouble, b);
    gram_vreal rest = GRAM_CONVERT(gram_vreal, x - gram_v_dfloor(x / y) * y);
    return gram_v_where(gram_v_eq(b, gram_v_splat(0)), gram_v_splat(0), rest);
}

/* The square root. */
static inline GRAM_ALWAYS gram_vreal gram_v_sqrt(gram_vreal a) {
    gram_real lane[GRAM_LANES];
    gram_v_store(lane, a);
    for (int l = 0; l < GRAM_LANES; l++) {
        lane[l] = GRAM_PICK(sqrtf, sqrt)(lane[l]);
    }
    return gram_v_load(lane);
}

/* 1 / sqrt(a) */
static inline GRAM_ALWAYS gram_vreal gram_v_rsqrt(gram_vreal a) {
    return gram_v_splat(1) / gram_v_sqrt(a);
}

/* c[0] + c[1] x + ... + c[degree] x^degree */
static inline GRAM_ALWAYS gram_vreal gram_v_poly(gram_vreal x, const gram_real *c, const int degree) {
    gram_vreal sum = gram_v_splat(c[degree]);
    GRAM_UNROLL
    for (int k = degree - 1; k >= 0; k--) {
        sum = sum * x + c[k];
    }
    return sum;
}

/* Added to a small number it leaves no bits for a fraction, and in the lowest bits the nearest whole number as a biased
 * exponent, with nothing above that a shift into the exponent's place would keep. */
#define GRAM_EXPONENT ((gram_real)1.5 * GRAM_WHOLE + GRAM_BIAS)

/* The nearest whole number to a, |a| well below GRAM_WHOLE. */
static inline GRAM_ALWAYS gram_vreal gram_v_near(gram_vreal a) {
    return (a + GRAM_EXPONENT) - GRAM_EXPONENT;
}

/* 2^n, for whole n from -GRAM_BIAS (which gives 0) to GRAM_BIAS, of n + GRAM_EXPONENT. */
static inline GRAM_ALWAYS gram_vreal gram_v_power_at(gram_vreal shifted) {
    return gram_v_unbits((gram_mask)((gram_umask)gram_v_bits(shifted) << GRAM_MANTISSA));
}

/* 2^a, a rounded to a whole number, from -GRAM_BIAS to GRAM_BIAS. */
static inline GRAM_ALWAYS gram_vreal gram_v_power(gram_vreal a) {
    return gram_v_power_at(a + GRAM_EXPONENT);
}

/* a 2^n, for whole n up to twice GRAM_BIAS either way: in two steps, so that neither power is out of range, where no
 * instruction does it. */
static inline GRAM_ALWAYS gram_vreal gram_v_scale(gram_vreal a, gram_vreal n) {
#if defined(GRAM_AVX512)
    __asm__(GRAM_AVX512("scalef") : "=v"(a) : "v"(a), "v"(n));
    return a;
#else
    gram_vreal half = gram_v_near(n * (gram_real)0.5);
    return a * gram_v_power(half) * gram_v_power(n - half);
#endif
}

/* (e^r - 1) / r for |r| <= ln 2 / 2, to 1e-8 and 2e-19. */
#ifdef GRAM_F64
#define GRAM_EXP_DEGREE 11
static const gram_real gram_exp_poly[] = {
    1.0, 0.5, 0.16666666666666681, 0.041666666666666492, 0.0083333333333197001, 0.0013888888888965133,
    0.00019841269889815125, 2.4801587172496682e-05, 2.7557241139432478e-06, 2.7557399888465052e-07,
    2.5109964026544849e-08, 2.0876751386764104e-09};
#else
#define GRAM_EXP_DEGREE 5
static const gram_real gram_exp_poly[] = {
    1.0f, 0.499999981f, 0.166665062f, 0.0416671362f, 0.00836906856f, 0.00138888726f};
#endif

/* e^r - 1 for |r| <= ln 2 / 2, accurate relative to itself. */
static inline GRAM_ALWAYS gram_vreal gram_v_exp_rest(gram_vreal r) {
    return r * gram_v_poly(r, gram_exp_poly, GRAM_EXP_DEGREE);
}

/* ln 2; ln 2 in two parts, the first with so few bits that its product with an exponent is exact; and 1 / ln 2. */
#define GRAM_LN2 GRAM_PICK(0.69314718055994531f, 0.69314718055994531)
#define GRAM_LN2_HIGH GRAM_PICK(0.693359375f, 6.93147180369123816490e-01)
#define GRAM_LN2_LOW GRAM_PICK(-2.12194440e-4f, 1.90821492927058770002e-10)
#define GRAM_LOG2E GRAM_PICK(1.44269504f, 1.44269504088896340736)

/* 2^a */
static inline GRAM_ALWAYS gram_vreal gram_v_exp2(gram_vreal a) {
    gram_vreal x = gram_v_within(a, GRAM_PICK(-151, -1076), GRAM_PICK(129, 1025));
    gram_vreal n = gram_v_near(x);
    return gram_v_scale(gram_v_exp_rest((x - n) * GRAM_LN2) + 1, n);
}

/* 2^f for |f| <= 1/2, to 9e-8 and 3e-18, and 1 at 0. */
#ifdef GRAM_F64
#define GRAM_WEIGHT_DEGREE 11
static const gram_real gram_weight_poly[] = {
    1.0, 0.6931471805599453, 0.2402265069591013, 0.055504108664820084, 0.00961812910759412, 0.0013333558146774627,
    0.00015403530457110492, 1.5252733493116193e-05, 1.3215435283100292e-06, 1.0178199578403593e-07,
    7.073783115558886e-09, 4.434770108833277e-10};
#else
#define GRAM_WEIGHT_DEGREE 5
static const gram_real gram_weight_poly[] = {
    1.0f, 0.693146978f, 0.240222421f, 0.0555073374f, 0.00967151261f, 0.00132647271f};
#endif

/* e^a for weights, which are added up: to a few roundings of a, as if the score had been rounded; what is below the
 * normal numbers may be 0, what is near the greatest infinite. */
static inline GRAM_ALWAYS gram_vreal gram_v_exp_weight(gram_vreal a) {
#if defined(GRAM_AVX512)
    gram_vreal y = a * GRAM_LOG2E, rest;
    __asm__(GRAM_AVX512("reduce") : "=v"(rest) : "v"(y), "i"(0)); /* y less the nearest whole number; 0 if infinite */
    return gram_v_scale(gram_v_poly(rest, gram_weight_poly, GRAM_WEIGHT_DEGREE), y - rest);
#else
    gram_vreal x = gram_v_within(a, GRAM_PICK(-88, -709), GRAM_PICK(89, 710)), shifted = x * GRAM_LOG2E + GRAM_EXPONENT;
    gram_vreal rest = x * GRAM_LOG2E - (shifted - GRAM_EXPONENT);
    return gram_v_poly(rest, gram_weight_poly, GRAM_WEIGHT_DEGREE) * gram_v_power_at(shifted);
#endif
}

/* e^(a + b), b small beside a or 0. */
static inline GRAM_ALWAYS gram_vreal gram_v_exp_sum(gram_vreal a, gram_vreal b) {
    gram_vreal x = gram_v_within(a, GRAM_PICK(-105, -747), GRAM_PICK(90, 711));
    gram_vreal n = gram_v_near(x * GRAM_LOG2E);
    gram_vreal r = (x - n * GRAM_LN2_HIGH) - n * GRAM_LN2_LOW + b;
    return gram_v_scale(gram_v_exp_rest(r) + 1, n);
}

/* e^a */
static inline GRAM_ALWAYS gram_vreal gram_v_exp(gram_vreal a) {
    return gram_v_exp_sum(a, gram_v_splat(0));
}

/* (log((1 + s) / (1 - s)) - 2 s) / s^3 in z = s^2, for mantissas in [sqrt(1/2), sqrt(2)], to 1e-9 and 3e-18. */
#ifdef GRAM_F64
#define GRAM_LOG_DEGREE 6
static const gram_real gram_log_poly[] = {
    0.66666666666667307, 0.39999999999433439, 0.2857142873902202, 0.22222198861428918, 0.18183551571886453,
    0.15314331718570726, 0.14793508934509067};
#else
#define GRAM_LOG_DEGREE 2
static const gram_real gram_log_poly[] = {0.666667756f, 0.399776069f, 0.298705488f};
#endif

/* The exponent e of a positive normal real a, as bits, for which a 2^-e lies in [sqrt(1/2), sqrt(2)). */
static inline GRAM_ALWAYS gram_mask gram_v_exponent(gram_vreal a) {
    gram_umask above = (gram_umask)gram_v_bits(a) - (gram_ubits)GRAM_PICK(0x3f3504f3, 0x3fe6a09e667f3bcd);
    return (gram_mask)above >> GRAM_MANTISSA;
}

/* a 2^-e, e being a's exponent, as bits. */
static inline GRAM_ALWAYS gram_vreal gram_v_mantissa(gram_vreal a, gram_mask e) {
    return gram_v_unbits((gram_mask)((gram_umask)gram_v_bits(a) - ((gram_umask)e << GRAM_MANTISSA)));
}

/* The natural logarithm: of the exponent, and of the mantissa 1 + f as 2 atanh(s), s = f / (2 + f). */
static inline GRAM_ALWAYS gram_vreal gram_v_log(gram_vreal a) {
    gram_mask tiny = gram_v_lt(a, gram_v_splat(GRAM_PICK(1.17549435e-38f, 2.2250738585072014e-308)));
    gram_vreal x = gram_v_where(tiny, a * (2 * GRAM_WHOLE), a);
    gram_mask e = gram_v_exponent(x);
    gram_vreal n = GRAM_CONVERT(gram_vreal, e) - gram_v_where(tiny, gram_v_splat(GRAM_MANTISSA + 1), gram_v_splat(0));
    gram_vreal f = gram_v_mantissa(x, e) - 1, s = f / (f + 2), z = s * s, h = f * f * (gram_real)0.5;
    gram_vreal series = s * (h + z * gram_v_poly(z, gram_log_poly, GRAM_LOG_DEGREE));
    gram_vreal y = n * GRAM_LN2_HIGH - ((h - (series + n * GRAM_LN2_LOW)) - f);
    y = gram_v_where(gram_v_lt(a, gram_v_splat(INFINITY)), y, a);
    y = gram_v_where(gram_v_lt(a, gram_v_splat(0)), gram_v_splat(NAN), y);
    return gram_v_where(gram_v_eq(a, gram_v_splat(0)), gram_v_splat(-INFINITY), y);
}

/* log(1 + a), accurate near 0: what 1 + a loses in rounding, over 1 + a, is added. */
static inline GRAM_ALWAYS gram_vreal gram_v_log1p(gram_vreal a) {
    gram_vreal u = a + 1, lost = (a - (u - 1)) / u;
    gram_mask finite = gram_v_lt(gram_v_splat(0), u) & gram_v_lt(u, gram_v_splat(INFINITY));
    return gram_v_log(u) + gram_v_where(finite, lost, gram_v_splat(0));
}

/* tanh a = E / (E + 2), E = e^(2|a|) - 1 */
static inline GRAM_ALWAYS gram_vreal gram_v_tanh(gram_vreal a) {
    gram_vreal x = gram_v_below(gram_v_splat(GRAM_PICK(20, 44)), gram_v_abs(a + a));
    gram_vreal n = gram_v_near(x * GRAM_LOG2E);
    gram_vreal r = (x - n * GRAM_LN2_HIGH) - n * GRAM_LN2_LOW, p = gram_v_power(n);
    gram_vreal e = p * gram_v_exp_rest(r) + (p - 1);
    return gram_v_copysign(e / (e + 2), a);
}

/* 1 / (1 + e^-a) */
static inline GRAM_ALWAYS gram_vreal gram_v_sigmoid(gram_vreal a) {
    gram_vreal e = gram_v_exp(-gram_v_abs(a));
    return gram_v_where(gram_v_lt(a, gram_v_splat(0)), e, gram_v_splat(1)) / (e + 1);
}

/* a where positive, else 0 */
static inline GRAM_ALWAYS gram_vreal gram_v_relu(gram_vreal a) {
    return gram_v_above(gram_v_splat(0), a);
}

/* a sigmoid(a) */
static inline GRAM_ALWAYS gram_vreal gram_v_silu(gram_vreal a) {
    return gram_v_above(gram_v_splat(GRAM_PICK(-120, -800)), a) * gram_v_sigmoid(a);
}

/* log(1 + e^a) */
static inline GRAM_ALWAYS gram_vreal gram_v_softplus(gram_vreal a) {
    return gram_v_relu(a) + gram_v_log1p(gram_v_exp(-gram_v_abs(a)));
}

/* erf(x) / x in x^2 for |x| <= 1, to 2e-9 and 8e-18. */
#ifdef GRAM_F64
#define GRAM_ERF_DEGREE 11
static const gram_real gram_erf_poly[] = {
    1.1283791670955126, -0.37612638903183521, 0.11283791670944185, -0.026866170643111441, 0.0052239776061182956,
    -0.00085483259293068288, 0.00012055293576686918, -1.4924712298094114e-05, 1.6447131524503547e-06,
    -1.6206313408057644e-07, 1.37109789045861e-08, -7.7794657295499956e-10};
#else
#define GRAM_ERF_DEGREE 6
static const gram_real gram_erf_poly[] = {
    1.12837917f, -0.376126258f, 0.112835852f, -0.026853812f, 0.00518832772f, -0.000801019359f, 7.8538604e-05f};
#endif

/* (1 + 2 y) e^(y^2) erfc(y) in t = (y - 3) / (y + 3) for all y >= 0 whose erfc is not 0, to 4e-8 and 2e-17 (after
 * Shepherd and Laframboise, Math. Comp. 36, 1981). */
#ifdef GRAM_F64
#define GRAM_ERFCX_DEGREE 22
static const gram_real gram_erfcx_poly[] = {
    1.2530080582697296, -0.13562110612458056, -0.047562294353449504, 0.12964515870269136, -0.11927366341537483,
    0.068308027346272088, -0.02377051491712872, 0.0025293917810676686, 0.0018886903393040904, -0.00077983197620233949,
    -0.00010515963505370247, 0.00012509783084318319, 4.9485973773632048e-06, -2.0095580731361013e-05,
    -7.2838371653162762e-07, 3.4618224421057727e-06, 3.4965806928015986e-07, -6.0224072393238735e-07,
    -1.3106349778716621e-07, 8.9897104850013452e-08, 3.2408509168719978e-08, -7.9018269530654259e-09,
    -3.9484123770264076e-09};
#else
#define GRAM_ERFCX_DEGREE 9
static const gram_real gram_erfcx_poly[] = {
    1.2530081f, -0.135621078f, -0.0475661603f, 0.129642994f, -0.119218105f, 0.0683555045f, -0.0240288429f,
    0.00221923934f, 0.00224395478f, -0.000157745961f};
#endif

/* e^(y^2) erfc(y) for y >= 0 */
static inline GRAM_ALWAYS gram_vreal gram_v_erfcx(gram_vreal y) {
    return gram_v_poly((y - 3) / (y + 3), gram_erfcx_poly, GRAM_ERFCX_DEGREE) / (y + y + 1);
}

/* The error function. */
static inline GRAM_ALWAYS gram_vreal gram_v_erf(gram_vreal a) {
    gram_vreal y = gram_v_below(gram_v_splat(GRAM_PICK(10, 27)), gram_v_abs(a)), z = y * y;
    gram_vreal near = y * gram_v_poly(z, gram_erf_poly, GRAM_ERF_DEGREE);
    gram_vreal far = 1 - gram_v_exp(-z) * gram_v_erfcx(y);
    return gram_v_copysign(gram_v_where(gram_v_lt(y, gram_v_splat(1)), near, far), a);
}

/* a (1 + erf(a / sqrt 2)) / 2. The tail is e^(-a^2/2) erfcx(|a| / sqrt 2) / 2, with a^2 in two parts: h^2, exact as h
 * has half the bits, and the rest. */
static inline GRAM_ALWAYS gram_vreal gram_v_gelu(gram_vreal a) {
    gram_vreal x = gram_v_within(a, GRAM_PICK(-15, -39), GRAM_PICK(15, 39)), y = gram_v_abs(x);
    gram_vreal h = gram_v_unbits(gram_v_bits(y) & ~gram_v_splatm(GRAM_PICK(0xfff, 0x7ffffff)));
    gram_vreal power = gram_v_exp_sum(h * h * (gram_real)-0.5, (h - y) * (h + y) * (gram_real)0.5);
    gram_vreal tail = power * gram_v_erfcx(y * GRAM_PICK(0.707106781f, 0.70710678118654752440)) * (gram_real)0.5;
    gram_vreal share = gram_v_where(gram_v_lt(a, gram_v_splat(0)), tail, 1 - tail);
    return gram_v_above(gram_v_splat(GRAM_PICK(-15, -39)), a) * share;
}

/* (sin r - r) / r^3 and (cos r - 1 + r^2 / 2) / r^4 in r^2, for |r| <= pi / 4, to 4e-9 and 4e-18. */
#ifdef GRAM_F64
#define GRAM_SIN_DEGREE 5
static const gram_real gram_sin_poly[] = {
    -0.16666666666666632, 0.0083333333333225536, -0.00019841269829899179, 2.7557313718933459e-06,
    -2.5050761829281288e-08, 1.5896988638814516e-10};
static const gram_real gram_cos_poly[] = {
    0.041666666666666616, -0.0013888888888876133, 2.4801587290576107e-05, -2.7557314634348092e-07,
    2.0875758060891696e-09, -1.1361303117818198e-11};
#else
#define GRAM_SIN_DEGREE 2
static const gram_real gram_sin_poly[] = {-0.16666655f, 0.0083321804f, -0.000195175262f};
static const gram_real gram_cos_poly[] = {0.0416666471f, -0.00138873773f, 2.44394104e-05f};
#endif

/* Beyond this, angles are left to the C library, whose reduction knows more of pi. */
#define GRAM_ANGLE GRAM_PICK(131072, 1048576)

/* a's lanes beyond GRAM_ANGLE, infinite or NaN, by the C library; the others are y's. */
static inline GRAM_ALWAYS gram_vreal gram_v_far_angles(gram_vreal a, gram_vreal y, gram_real (*function)(gram_real)) {
    gram_real angle[GRAM_LANES], lane[GRAM_LANES];
    gram_mask near = gram_v_le(gram_v_abs(a), gram_v_splat(GRAM_ANGLE));
    if (gram_v_sum(gram_v_where(near, gram_v_splat(0), gram_v_splat(1))) == 0) {
        return y;
    }
    gram_v_store(angle, a);
    gram_v_store(lane, y);
    for (int l = 0; l < GRAM_LANES; l++) {
        if (!(angle[l] >= -GRAM_ANGLE && angle[l] <= GRAM_ANGLE)) {
            lane[l] = function(angle[l]);
        }
    }
    return gram_v_load(lane);
}

/* sin(a + quarter pi / 2). a - n pi / 2 is taken in double, pi / 2 in three parts, the first two of 33 bits, so that
 * their products with n are exact; n mod 4 says which of sin and cos of the rest it is, and its sign. */
static inline GRAM_ALWAYS gram_vreal gram_v_turn(gram_vreal a, int quarter) {
    gram_vreal safe = gram_v_where(gram_v_le(gram_v_abs(a), gram_v_splat(GRAM_ANGLE)), a, gram_v_splat(0));
    gram_vdouble x = GRAM_CONVERT(gram_vdouble, safe);
    gram_vdouble n = (x * 6.36619772367581382433e-01 + 6755399441055744.0) - 6755399441055744.0;
    gram_vdouble rest = x - n * 1.57079632673412561417e+00;
    rest = rest - n * 6.07710050630396597660e-11;
    gram_vreal r = GRAM_CONVERT(gram_vreal, rest - n * 2.02226624879595063154e-21), z = r * r;
    gram_vreal sine = r + r * z * gram_v_poly(z, gram_sin_poly, GRAM_SIN_DEGREE);
    gram_vreal cosine = 1 - (z * (gram_real)0.5 - z * z * gram_v_poly(z, gram_cos_poly, GRAM_SIN_DEGREE));
    gram_mask q = GRAM_CONVERT(gram_mask, n) + quarter;
    gram_vreal y = gram_v_where(-(q & 1), cosine, sine);
    return gram_v_where(-((q >> 1) & 1), -y, y);
}

/* The sine. */
static inline GRAM_ALWAYS gram_vreal gram_v_sin(gram_vreal a) {
    return gram_v_far_angles(a, gram_v_turn(a, 0), GRAM_PICK(sinf, sin));
}

/* The cosine. */
static inline GRAM_ALWAYS gram_vreal gram_v_cos(gram_vreal a) {
    return gram_v_far_angles(a, gram_v_turn(a, 1), GRAM_PICK(cosf, cos));
}

/* |a|^b as 2^(b log2 |a|). Float takes the product in double, where it keeps enough bits; double would need more
 * than it has, and calls the C library. */
#ifdef GRAM_F64
static inline GRAM_ALWAYS gram_vreal gram_v_pow_size(gram_vreal a, gram_vreal b) {
    double base[GRAM_LANES], power[GRAM_LANES];
    gram_v_store(base, gram_v_abs(a));
    gram_v_store(power, b);
    for (int l = 0; l < GRAM_LANES; l++) {
        base[l] = pow(base[l], power[l]);
    }
    return gram_v_load(base);
}
#else
static inline GRAM_ALWAYS gram_vreal gram_v_pow_size(gram_vreal a, gram_vreal b) {
    gram_vreal size = gram_v_abs(a);
    gram_mask tiny = gram_v_lt(size, gram_v_splat(1.17549435e-38f));
    gram_vreal x = gram_v_where(tiny, size * 16777216.0f, size);
    gram_mask e = gram_v_exponent(x);
    gram_vreal n = GRAM_CONVERT(gram_vreal, e) - gram_v_where(tiny, gram_v_splat(24), gram_v_splat(0));
    gram_vdouble f = GRAM_CONVERT(gram_vdouble, gram_v_mantissa(x, e)) - 1.0, s = f / (f + 2.0), z = s * s;
    gram_vdouble series = (((0.19365471610831039 * z + 0.22191244000034932) * z + 0.28571757253683244) * z
                           + 0.39999998782330581) * z + 0.66666666667387975;
    gram_vdouble log2a = GRAM_CONVERT(gram_vdouble, n) + (s * z * series + (s + s)) * 1.44269504088896340736;
    gram_vdouble y = GRAM_CONVERT(gram_vdouble, b) * log2a;
    gram_vreal top = gram_v_near(gram_v_within(GRAM_CONVERT(gram_vreal, y), -151, 129));
    gram_vreal rest = gram_v_within(GRAM_CONVERT(gram_vreal, y - GRAM_CONVERT(gram_vdouble, top)), -1, 1);
    gram_vreal p = gram_v_scale(gram_v_exp_rest(rest * GRAM_LN2) + 1, top), zero = gram_v_splat(0), end = gram_v_splat(INFINITY);
    gram_mask none = gram_v_eq(size, zero), falls = gram_v_lt(b, zero);
    p = gram_v_where(none, gram_v_where(falls, end, zero), p);
    p = gram_v_where(gram_v_eq(size, end), gram_v_where(falls, zero, end), p);
    p = gram_v_where(gram_v_ne(a, a) | gram_v_ne(b, b), gram_v_splat(NAN), p);
    return gram_v_where(gram_v_eq(b, zero) | gram_v_eq(size, gram_v_splat(1)), gram_v_splat(1), p);
}
#endif

/* a^b as the C library has it: for negative a, b must be whole (or infinite). 1^NaN is 1, and so is NaN^0. */
static inline GRAM_ALWAYS gram_vreal gram_v_pow(gram_vreal a, gram_vreal b) {
    gram_vreal p = gram_v_pow_size(a, b), half = b * (gram_real)0.5;
    gram_mask whole = gram_v_eq(gram_v_round(b), b), odd = whole & gram_v_ne(gram_v_round(half), half);
    gram_mask minus = gram_v_bits(a) >> (8 * (int)sizeof(gram_bits) - 1);
    gram_mask never = gram_v_lt(a, gram_v_splat(0)) & gram_v_lt(-a, gram_v_splat(INFINITY)) & ~whole;
    p = gram_v_where(never, gram_v_splat(NAN), p);
    p = gram_v_where(minus & odd, -p, p);
    return gram_v_where(gram_v_eq(a, gram_v_splat(-1)) & gram_v_ne(b, b), b, p);
}

#endif
