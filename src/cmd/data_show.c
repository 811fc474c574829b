/* data_show.c - a sample on the terminal: a line for each token with id, text, role, trained or not, and why. What is
 * trained has one colour, everything else the colour of its role. */
#include "cmd/data.h"

#include <inttypes.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum { TEXT_COLUMNS = 21 };
static const char TRAINED[] = "\033[1;32m", RESET[] = "\033[0m";

static const char *role_color(const char *role)
{
    static const char *const colors[][2] = {
        { "system", "\033[33m" }, { "user", "\033[36m" }, { "assistant", "\033[34m" }, { "tool", "\033[35m" }, { "text", "\033[37m" },
    };
    for (size_t i = 0; i < sizeof colors / sizeof *colors; i++)
        if (strcmp(colors[i][0], role) == 0) return colors[i][1];
    return "\033[90m";
}

/* White space that one should see. */
struct marks { const char *newline, *tab, *space, *cut; };
static struct marks marks_of_locale(void)
{
    if (strcmp(nl_langinfo(CODESET), "UTF-8") == 0) return (struct marks){ "\u21b5", "\u21e5", "\u00b7", "\u2026" };
    return (struct marks){ "\\n", "\\t", " ", "~" };
}

/* The bytes of one character that the terminal shows, and its columns. */
static size_t character(const char *s, size_t len, int *columns)
{
    wchar_t wide;
    mbstate_t state = { 0 };
    size_t n = mbrtowc(&wide, s, len, &state);
    if (n == 0 || n > len) {
        *columns = 1;
        return 1;
    }
    int w = wcwidth(wide);
    *columns = w < 0 ? 1 : w;
    return n;
}

/* Harmless text with visible white space; malloc'ed. */
static char *visible(const char *text, size_t len, const struct marks *m)
{
    char *out = NULL;
    size_t out_len;
    FILE *to = open_memstream(&out, &out_len);
    if (!to) return NULL;
    for (size_t i = 0, n; i < len; i += n) {
        const char *mark = text[i] == '\n' ? m->newline : text[i] == '\t' ? m->tab : text[i] == ' ' ? m->space : NULL;
        for (n = 1; !mark && i + n < len && !strchr("\n\t ", text[i + n]); n++) ;
        if (mark) fputs(mark, to);
        else print_safe(to, text + i, n);
    }
    return fclose(to) == 0 ? out : NULL;
}

/* Text in exactly TEXT_COLUMNS columns. */
static void print_text_column(FILE *to, const char *text, const struct marks *m)
{
    size_t len = strlen(text), whole = 0, cut = 0;
    int columns = 0, width;
    for (size_t i = 0; i < len; i += whole) {
        whole = character(text + i, len - i, &width);
        if (columns + width > TEXT_COLUMNS) break;
        columns += width;
        if (columns < TEXT_COLUMNS) cut = i + whole;
        if (i + whole == len) {
            fprintf(to, "%s%*s", text, TEXT_COLUMNS - columns, "");
            return;
        }
    }
    for (size_t i = columns = 0; i < cut; i += whole) {
        whole = character(text + i, len - i, &width);
        columns += width;
    }
    fprintf(to, "%.*s%s%*s", (int)cut, text, len ? m->cut : "", TEXT_COLUMNS - columns - (len > 0), "");
}

static const char *member(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static void print_token(FILE *to, bool has_color, size_t i, const json_t *token, const struct marks *m)
{
    const json_t *piece = json_object_get(token, "piece");
    const char *role = member(token, "role");
    bool is_trained = json_is_true(json_object_get(token, "trained"));
    char *text = json_string_length(piece) ? visible(json_string_value(piece), json_string_length(piece), m) : NULL;
    const char *color = !has_color ? "" : is_trained ? TRAINED : role_color(role), *end = has_color ? RESET : "";
    fprintf(to, "%5zu %6" JSON_INTEGER_FORMAT "  %s", i, json_integer_value(json_object_get(token, "id")), color);
    print_text_column(to, text ? text : "(part of a character)", m);
    fprintf(to, "%s  %s%-9s%s  %s%-7s%s  %s\n", end, has_color ? role_color(role) : "", role, end, color, is_trained ? "yes" : "-", end, member(token, "why"));
    free(text);
}

void sample_print(FILE *to, const struct args_common *c, const json_t *sample)
{
    struct marks m = marks_of_locale();
    bool has_color = use_color(c, to);
    const json_t *tokens = json_object_get(sample, "tokens"), *token;
    size_t i, trained = 0, n = json_array_size(tokens);
    fprintf(to, "sample %lld of %s, row %lld: ", member_count(sample, "sample"), member(sample, "split"), member_count(sample, "row"));
    print_safe(to, member(sample, "source"), strlen(member(sample, "source")));
    fprintf(to, ", line %lld\n\n%5s %6s  %-*s  %-9s  %-7s  %s\n", member_count(sample, "line"), "#", "id", TEXT_COLUMNS, "text", "role", "trained", "why");
    json_array_foreach(tokens, i, token) {
        print_token(to, has_color, i, token, &m);
        trained += json_is_true(json_object_get(token, "trained"));
    }
    fprintf(to, "\n%zu tokens, %zu trained (%.1f %%)\n", n, trained, n ? 100 * (double)trained / (double)n : 0);
}
