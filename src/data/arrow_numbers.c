/* arrow_numbers.c - numbers, dates and times of Arrow columns as JSON, in the spelling that rows of Parquet get from
 * DuckDB: whole reals with ".0", "2020-01-02 03:04:05.6", years before 1 as "0044-03-15 (BC)", times with a zone in UTC. */
#include "arrow_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t DAY_SECONDS = 86400;

uint64_t arrow_uint(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    memcpy(&value, at, bytes);                            /* little-endian, as the format is */
    return value;
}

int64_t arrow_int(const uint8_t *at, unsigned bytes)
{
    unsigned shift = 64 - 8 * bytes;
    return (int64_t)(arrow_uint(at, bytes) << shift) >> shift;
}

/* ---- reals and decimals ---------------------------------------------------------------------------------------------------- */

/* The fewest digits that read back as the same number. JSON knows no NaN and no infinity: they are null. */
void arrow_put_real(struct buf *out, double x)
{
    char text[40];
    if (!isfinite(x)) { buf_puts(out, "null"); return; }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x) break;
    }
    buf_puts(out, text);
    if (!strpbrk(text, ".e")) buf_puts(out, ".0");
}

static double half_value(uint16_t h)
{
    int exponent = h >> 10 & 31, fraction = h & 1023;
    double x = exponent == 31 ? (fraction ? (double)NAN : (double)INFINITY) : ldexp(exponent ? fraction + 1024 : fraction, (exponent ? exponent : 1) - 25);
    return h >> 15 ? -x : x;
}

void arrow_put_float(struct buf *out, const uint8_t *at, unsigned bytes)
{
    float single;
    double x;
    if (bytes == sizeof x) memcpy(&x, at, sizeof x);
    else if (bytes == sizeof single) { memcpy(&single, at, sizeof single); x = (double)single; }
    else x = half_value((uint16_t)arrow_uint(at, bytes));
    arrow_put_real(out, x);
}

void arrow_put_decimal(struct buf *out, const uint8_t *at, unsigned bytes, int digits)
{
    unsigned __int128 value = bytes == 16 ? (unsigned __int128)arrow_uint(at + 8, 8) << 64 | arrow_uint(at, 8) : (unsigned __int128)(__int128)arrow_int(at, bytes);
    bool is_negative = value >> 127;
    char text[96];
    size_t begin = sizeof text;
    if (is_negative) value = -value;
    for (int i = 0; value || !i || i <= digits; i++) {    /* from the last digit on, and at least one before the point */
        if (i && i == digits) text[--begin] = '.';
        text[--begin] = (char)('0' + (int)(value % 10));
        value /= 10;
    }
    if (is_negative) text[--begin] = '-';
    size_t end = sizeof text;
    while (digits > 0 && text[end - 1] == '0' && text[end - 2] != '.') end--;
    buf_append(out, text + begin, end - begin);
    for (int i = digits; i < 0 && text[begin] != '0'; i++) buf_putc(out, '0');
    if (digits <= 0) buf_puts(out, ".0");
}

/* ---- dates and times ------------------------------------------------------------------------------------------------------- */

static int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static int64_t floor_rest(int64_t a, int64_t b) { return a % b + (a % b < 0 ? b : 0); }

/* Days since 1970-01-01 in the Gregorian calendar, without the quotes. Counted in eras of 400 years from a first of March,
 * so that the leap day comes last in its year. */
static void put_day(struct buf *out, int64_t days)
{
    days += 719468;                                       /* from 0000-03-01 */
    int64_t era = floor_divide(days, 146097), day = floor_rest(days, 146097);
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t in_year = day - (365 * year + year / 4 - year / 100), month = (5 * in_year + 2) / 153;
    int of_month = (int)(in_year - (153 * month + 2) / 5 + 1), of_year = (int)(month < 10 ? month + 3 : month - 9);
    year += era * 400 + (of_year <= 2);
    buf_printf(out, "%04lld-%02d-%02d%s", (long long)(year > 0 ? year : 1 - year), of_year, of_month, year > 0 ? "" : " (BC)");
}

/* `part`: a fraction of `digits` decimal digits. */
static void put_clock(struct buf *out, int64_t seconds, int64_t part, int digits)
{
    char fraction[24];
    int len = digits ? snprintf(fraction, sizeof fraction, ".%0*lld", digits, (long long)part) : 0;
    while (len && fraction[len - 1] == '0') len--;
    if (len == 1) len = 0;
    buf_printf(out, "%02d:%02d:%02d%.*s", (int)(seconds / 3600), (int)(seconds / 60 % 60), (int)(seconds % 60), len, fraction);
}

static int64_t power_of_ten(int digits)
{
    int64_t value = 1;
    while (digits-- > 0) value *= 10;
    return value;
}

void arrow_put_date(struct buf *out, int64_t days)
{
    buf_putc(out, '"');
    put_day(out, days);
    buf_putc(out, '"');
}

bool arrow_put_time(struct buf *out, int64_t time, int digits)
{
    int64_t unit = power_of_ten(digits);
    if (time < 0 || time > DAY_SECONDS * unit) return false;
    buf_putc(out, '"');
    put_clock(out, time / unit, time % unit, digits);
    buf_putc(out, '"');
    return true;
}

void arrow_put_timestamp(struct buf *out, int64_t time, int digits, bool has_zone)
{
    int64_t unit = power_of_ten(digits), seconds = floor_divide(time, unit), days = floor_divide(seconds, DAY_SECONDS);
    buf_putc(out, '"');
    put_day(out, days);
    buf_putc(out, ' ');
    put_clock(out, floor_rest(seconds, DAY_SECONDS), floor_rest(time, unit), digits);
    buf_puts(out, has_zone ? "+00\"" : "\"");
}
