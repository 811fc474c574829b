/* jinja_number.c - arithmetic of Python's numbers: whole ones of 64 bits (more is a failure), floats, and bools as 0 and 1. */
#include "jinja_internal.h"

#include <math.h>

/* Remainder with the sign of y, and the quotient that goes with it, to the whole number below (Python's divmod). */
static double float_rest(double x, double y)
{
    double rest = fmod(x, y);
    if (fpclassify(rest) == FP_ZERO) return copysign(0, y);
    return (rest < 0) != (y < 0) ? rest + y : rest;
}
static double float_quotient(double x, double y)
{
    double rest = fmod(x, y), quotient = (x - rest) / y;
    if (fpclassify(rest) != FP_ZERO && (rest < 0) != (y < 0)) quotient -= 1;
    if (fpclassify(quotient) == FP_ZERO) return copysign(0, x / y);
    double whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1 : whole;
}

/* x to the power of y as Python gives it: no infinity from finite numbers, no root of a negative one. */
static struct value float_power(struct render *r, double x, double y)
{
    double power = pow(x, y);
    if (fpclassify(x) == FP_ZERO && y < 0) return fail(r, "0 cannot be raised to a negative power");
    if (isinf(power) && isfinite(x) && isfinite(y)) return fail(r, "the result of '**' is too large");
    if (x < 0 && isfinite(x) && isfinite(y) && floor(y) < y) return fail(r, "a negative number raised to a fraction gives a complex number, which is not supported");
    return value_float(power);
}

static struct value int_power(struct render *r, int64_t base, int64_t exponent)
{
    int64_t result = 1;
    if (exponent < 0) return float_power(r, (double)base, (double)exponent);
    for (bool fits = true; exponent; exponent >>= 1) {
        if (exponent & 1 && (!fits || __builtin_mul_overflow(result, base, &result))) return fail(r, "the result of '**' does not fit into 64 bits");
        if (__builtin_mul_overflow(base, base, &base)) fits = false;
    }
    return value_int(result);
}

static struct value int_operation(struct render *r, int op, int64_t a, int64_t b)
{
    int64_t c = 0;
    bool overflow = false;
    if ((op == OP2('/', '/') || op == '%') && b == 0) return fail(r, "division by zero");
    if (op == '+') overflow = __builtin_add_overflow(a, b, &c);
    else if (op == '-') overflow = __builtin_sub_overflow(a, b, &c);
    else if (op == '*') overflow = __builtin_mul_overflow(a, b, &c);
    else if (op == OP2('*', '*')) return int_power(r, a, b);
    else if (b == -1) {
        overflow = op != '%' && __builtin_sub_overflow(0, a, &c);
    } else {
        int64_t quotient = a / b, rest = a % b;
        if (rest && (rest < 0) != (b < 0)) { quotient--; rest += b; }
        c = op == '%' ? rest : quotient;
    }
    return overflow ? fail(r, "the result does not fit into 64 bits") : value_int(c);
}

struct value number_operation(struct render *r, int op, const struct value *a, const struct value *b)
{
    if (op != '/' && a->kind != V_FLOAT && b->kind != V_FLOAT) return int_operation(r, op, value_integer(a), value_integer(b));
    double x = value_number(a), y = value_number(b);
    if (op == '+') return value_float(x + y);
    if (op == '-') return value_float(x - y);
    if (op == '*') return value_float(x * y);
    if (op == OP2('*', '*')) return float_power(r, x, y);
    if (fpclassify(y) == FP_ZERO) return fail(r, "division by zero");
    if (op == '/') return value_float(x / y);
    return value_float(op == '%' ? float_rest(x, y) : float_quotient(x, y));
}
