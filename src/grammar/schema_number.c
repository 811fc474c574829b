/* schema_number.c - numbers between bounds, as digits.
 *
 * A bounded number is written without exponent and with at most `places` digits behind the point, so it is a whole number of
 * units of 10^-places, and bounds are exact. Numbers and bounds have at most 15 digits in all: two such decimals are never the
 * same double, so who reads the number and compares comes to the same answer. */
#include "schema_internal.h"

#include <math.h>
#include <string.h>

enum { DIGITS_MAX = 18, EXACT_DIGITS = 15, OPEN_DIGITS = 9 };

static int64_t power_of_ten(int n)
{
    int64_t p = 1;
    while (n-- > 0) p *= 10;
    return p;
}

static const struct node *digits_between(struct build *b, int lo, int hi)
{
    struct code_range r = { '0' + (uint32_t)lo, '0' + (uint32_t)hi };
    return node_class(b, &r, lo <= hi, false);
}

static const struct node *any_digits(struct build *b, uint32_t min, uint32_t max) { return node_repeat(b, digits_between(b, 0, 9), min, max); }

static int digit_at(int64_t value, int place) { return (int)(value / power_of_ten(place) % 10); }

/* The last `left` digits of numbers; has_lo, has_hi: all digits before were those of the bound, so it still binds. `may_stop`:
 * digits behind the point, of which zeros at the end may be left out. Goes down one digit at a time. */
static const struct node *digits(struct build *b, int64_t lo, int64_t hi, int left, bool has_lo, bool has_hi, bool may_stop)
{
    if (left == 0) return node_empty(b);
    if (!has_lo && !has_hi) return any_digits(b, may_stop ? 0 : (uint32_t)left, (uint32_t)left);
    const struct node *way[4];
    size_t n = 0;
    int low = has_lo ? digit_at(lo, left - 1) : 0, high = has_hi ? digit_at(hi, left - 1) : 9;
    if (may_stop && (!has_lo || lo % power_of_ten(left) == 0)) way[n++] = node_empty(b);
    if (has_lo && has_hi && low == high) way[n++] = SEQUENCE(b, digits_between(b, low, low), digits(b, lo, hi, left - 1, true, true, may_stop));
    else {
        if (has_lo) way[n++] = SEQUENCE(b, digits_between(b, low, low), digits(b, lo, hi, left - 1, true, false, may_stop));
        int from = low + has_lo, to = high - has_hi;
        if (from <= to) way[n++] = SEQUENCE(b, digits_between(b, from, to), digits(b, lo, hi, left - 1, false, false, may_stop));
        if (has_hi) way[n++] = SEQUENCE(b, digits_between(b, high, high), digits(b, lo, hi, left - 1, false, true, may_stop));
    }
    return node_choice(b, way, n);
}

/* Whole numbers lo..hi, neither negative, without zeros in front. */
static const struct node *whole(struct build *b, int64_t lo, int64_t hi)
{
    const struct node *way[DIGITS_MAX + 1];
    size_t n = 0;
    for (int len = 1; len <= DIGITS_MAX; len++) {
        int64_t first = len == 1 ? 0 : power_of_ten(len - 1), last = power_of_ten(len) - 1;
        int64_t from = lo > first ? lo : first, to = hi < last ? hi : last;
        if (from <= to) way[n++] = digits(b, from, to, len, from > first || len > 1, to < last, false);
    }
    return node_choice(b, way, n);
}

/* What stands behind the whole part: fractions lo..hi of 10^places. */
static const struct node *fraction(struct build *b, int64_t lo, int64_t hi, int places)
{
    int64_t last = power_of_ten(places) - 1;
    if (places == 0) return node_empty(b);
    /* One digit at least behind the point: the way to stop at once is taken out by writing the first digit here. */
    const struct node *way[16];
    size_t n = 0;
    int low = digit_at(lo, places - 1), high = digit_at(hi, places - 1);
    for (int d = low; d <= high; d++)
        way[n++] = SEQUENCE(b, digits_between(b, d, d), digits(b, lo, hi, places - 1, d == low && lo > 0, d == high && hi < last, true));
    const struct node *behind = SEQUENCE(b, node_byte(b, '.'), node_choice(b, way, n));
    return lo == 0 ? node_optional(b, behind) : behind;
}

/* Units lo..hi, neither negative. */
static const struct node *magnitude(struct build *b, int64_t lo, int64_t hi, int places)
{
    int64_t one = power_of_ten(places), first = lo / one, last = hi / one;
    if (first == last) return SEQUENCE(b, whole(b, first, first), fraction(b, lo % one, hi % one, places));
    const struct node *way[3];
    size_t n = 0;
    way[n++] = SEQUENCE(b, whole(b, first, first), fraction(b, lo % one, one - 1, places));
    if (last - first > 1) way[n++] = SEQUENCE(b, whole(b, first + 1, last - 1), fraction(b, 0, one - 1, places));
    way[n++] = SEQUENCE(b, whole(b, last, last), fraction(b, 0, hi % one, places));
    return node_choice(b, way, n);
}

static const struct node *between(struct build *b, int64_t lo, int64_t hi, int places)
{
    const struct node *way[2];
    size_t n = 0;
    if (hi >= 0 && lo <= hi) way[n++] = magnitude(b, lo > 0 ? lo : 0, hi, places);
    if (lo < 0 && lo <= hi) way[n++] = SEQUENCE(b, node_byte(b, '-'), magnitude(b, hi < 0 ? -hi : 1, -lo, places));
    return node_choice(b, way, n);
}

/* ---- bounds ------------------------------------------------------------------------------------------------------------------ */

struct bound { double value; int64_t exact; bool is_whole, is_exclusive, is_there; };

static bool is_tighter(const struct bound *a, const struct bound *b, bool is_lower)
{
    if (!b->is_there) return true;
    if (a->is_whole && b->is_whole && a->exact != b->exact) return (a->exact > b->exact) == is_lower;
    if (a->value < b->value || a->value > b->value) return (a->value > b->value) == is_lower;
    return a->is_exclusive;
}

static sc_status read_bound(struct schema *x, const json_t *schema, const char *key, const char *exclusive_key, struct bound *out)
{
    const bool is_lower = key[1] == 'i';        /* minimum */
    const json_t *exclusive = json_object_get(schema, exclusive_key);
    const bool is_old = json_is_boolean(exclusive);     /* draft 4: a property of the other bound */
    const struct { const json_t *value; const char *key; bool is_exclusive; } side[] = {
        { json_object_get(schema, key), key, is_old && json_is_true(exclusive) }, { is_old ? NULL : exclusive, exclusive_key, true } };
    *out = (struct bound) { 0 };
    for (int i = 0; i < 2; i++) {
        const json_t *v = side[i].value;
        if (!v) continue;
        if (!json_is_number(v)) return schema_refuse(x, side[i].key, "expected a number");
        struct bound found = { json_number_value(v), json_integer_value(v), json_is_integer(v), side[i].is_exclusive, true };
        if (is_tighter(&found, out, is_lower)) *out = found;
    }
    return SC_OK;
}

/* The smallest (largest) whole number that the bound allows. */
static int64_t whole_bound(const struct bound *b, bool is_lower)
{
    const int64_t limit = power_of_ten(DIGITS_MAX) - 1;
    int64_t v;
    if (!b->is_there) return is_lower ? -limit : limit;
    if (b->is_whole) v = b->exact;
    else {
        double whole_value = is_lower ? ceil(b->value) : floor(b->value);
        if (whole_value > 1e18) return limit + is_lower;
        if (whole_value < -1e18) return -limit - !is_lower;
        v = (int64_t)whole_value;
        if (whole_value < b->value || whole_value > b->value) return v;     /* not the bound itself */
    }
    if (v > limit || v < -limit) return v > 0 ? limit + is_lower : -limit - !is_lower;
    return b->is_exclusive ? v + (is_lower ? 1 : -1) : v;
}

/* How many digits a bound has before the point. */
static int digits_before(const struct bound *b)
{
    int n = 1;
    for (double v = fabs(b->value); v >= 10 && n < 40; v /= 10) n++;
    return n;
}

/* The bound in units of 10^-places. */
static sc_status units(struct schema *x, const struct bound *b, bool is_lower, int places, int64_t *out)
{
    char text[64];
    if (!b->is_there) { *out = (is_lower ? -1 : 1) * (power_of_ten(EXACT_DIGITS) - 1); return SC_OK; }
    snprintf(text, sizeof text, "%.*f", places, b->value);
    double read = strtod(text, NULL);
    if (read < b->value || read > b->value) return schema_refuse(x, is_lower ? "minimum" : "maximum", "%.17g has more digits than can be kept exactly (%d behind the point here); shorten it", b->value, places);
    char *point = strchr(text, '.');
    if (point) memmove(point, point + 1, strlen(point));
    *out = strtoll(text, NULL, 10) + (b->is_exclusive ? (is_lower ? 1 : -1) : 0);
    return SC_OK;
}

static sc_status bounded_real(struct schema *x, const struct bound *lower, const struct bound *upper, const struct node **out)
{
    int before = OPEN_DIGITS;
    int64_t lo, hi;
    if (lower->is_there && upper->is_there) before = 1;
    if (lower->is_there && digits_before(lower) > before) before = digits_before(lower);
    if (upper->is_there && digits_before(upper) > before) before = digits_before(upper);
    if (before > EXACT_DIGITS) return schema_refuse(x, lower->is_there ? "minimum" : "maximum", "bounds of more than %d digits are supported for integers only", EXACT_DIGITS);
    int places = EXACT_DIGITS - before;
    TRY(units(x, lower, true, places, &lo));
    TRY(units(x, upper, false, places, &hi));
    *out = between(&x->b, lo, hi, places);
    return SC_OK;
}

const struct node *schema_any_integer(struct build *b)
{
    return CHOICE(b, node_byte(b, '0'), SEQUENCE(b, node_optional(b, node_byte(b, '-')), digits_between(b, 1, 9), any_digits(b, 0, DIGITS_MAX - 1)));
}

const struct node *schema_any_number(struct build *b)
{
    const struct node *exponent_mark = CHOICE(b, node_byte(b, 'e'), node_byte(b, 'E')), *sign = CHOICE(b, node_byte(b, '+'), node_byte(b, '-'));
    return SEQUENCE(b, node_optional(b, node_byte(b, '-')), CHOICE(b, node_byte(b, '0'), SEQUENCE(b, digits_between(b, 1, 9), any_digits(b, 0, 15))),
                    node_optional(b, SEQUENCE(b, node_byte(b, '.'), any_digits(b, 1, 16))),
                    node_optional(b, SEQUENCE(b, exponent_mark, node_optional(b, sign), any_digits(b, 1, 2))));
}

sc_status schema_number(struct schema *x, const json_t *schema, bool is_integer, const struct node **out)
{
    struct bound lower, upper;
    TRY(read_bound(x, schema, "minimum", "exclusiveMinimum", &lower));
    TRY(read_bound(x, schema, "maximum", "exclusiveMaximum", &upper));
    bool is_bounded = lower.is_there || upper.is_there;
    if (is_bounded && !is_integer) return bounded_real(x, &lower, &upper, out);
    *out = is_bounded ? between(&x->b, whole_bound(&lower, true), whole_bound(&upper, false), 0) : schema_shared(x, is_integer ? SHARED_INTEGER : SHARED_NUMBER);
    return SC_OK;
}
