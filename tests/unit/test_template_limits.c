/* Templates that never end, grow without bound, nest without end or are broken: each ends soon, with one sentence. */
#include "test.h"
#include "text/text.h"

#include <time.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SECONDS = 60 };
#else
enum { SECONDS = 5 };      /* about 1 on a fast machine */
#endif

static double cpu_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static const char request[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi <b>\"},{\"role\":\"assistant\",\"content\":\"yes\"}],"
    "\"l\":[3,1,2],\"d\":{\"a\":1,\"b\":[1,{\"c\":null}]},\"s\":\"some text\",\"n\":7}";

/* Compiles and renders; the message is one sentence or "". */
static sc_status render(const char *source, size_t len, sc_error *e)
{
    struct jinja *t = NULL;
    struct rendered out = { 0 };
    json_t *variables = NULL;
    double begin = cpu_seconds();
    memset(e, 0, sizeof *e);
    CHECK_OK(json_read(&variables, request, sizeof request - 1, "the request", err));
    sc_status status = jinja_compile(&t, source, len, "t.jinja", e);
    if (status == SC_OK) status = jinja_render(&out, t, variables, 0, NULL, e);
    CHECK(out.text.len <= 4 << 20);
    rendered_release(&out);
    jinja_free(t);
    json_decref(variables);
    double took = cpu_seconds() - begin;
    if (took > SECONDS) test_failed(__FILE__, __LINE__, "%.80s took %.1f s: %s", source, took, e->message);
    return status;
}

/* Not empty, no line break, no full stop at its end, and it names the template and a line. */
static void check_sentence(const char *source, const sc_error *e)
{
    size_t len = strlen(e->message);
    if (len < 12 || len > 400 || strchr(e->message, '\n') || e->message[len - 1] == '.' || strncmp(e->message, "t.jinja", 7) != 0)
        test_failed(__FILE__, __LINE__, "%.80s: the message is \"%s\"", source, e->message);
}

static void check_refused(const char *source, sc_status expected, const char *part)
{
    sc_error e;
    sc_status status = render(source, strlen(source), &e);
    if (status != expected || !strstr(e.message, part))
        test_failed(__FILE__, __LINE__, "%.200s: status %s, message \"%s\", expected %s with \"%s\"", source, sc_status_name(status), e.message, sc_status_name(expected), part);
    check_sentence(source, &e);
}

/* ---- without end -------------------------------------------------------------------------------------------------------- */

static const char *const endless[] = {
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f(x) %}{{ g(x) }}{% endmacro %}{% macro g(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "{% macro f(x) %}{{ f(x ~ x) }}{% endmacro %}{{ f('ab') }}",
    "{% macro f() %}{{ caller() }}{% call f() %}x{% endcall %}{% endmacro %}{% call f() %}y{% endcall %}",
    "{% macro f(g) %}{{ g(g) }}{% endmacro %}{{ f(f) }}",
    "{% macro f(x=f()) %}{{ x }}{% endmacro %}{{ f() }}",
    "{% macro f() %}{% set x %}{{ f() }}{% endset %}{{ x }}{% endmacro %}{{ f() }}",
    "{% macro f() %}{% for i in [1] %}{% filter upper %}{{ f() }}{% endfilter %}{% endfor %}{% endmacro %}{{ f() }}",
    "{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}",
    "{% for x in [1] recursive %}{{ loop([x, x]) ~ loop([x]) }}{% endfor %}",
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}x{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = range(100000) | sum %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = range(100000) | list | length %}{% endfor %}",
    "{% for a in range(100000) %}{% if a in range(100000) | reverse | list %}{% endif %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = ('ab' * 100000) | replace('a', 'b') | length %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = ('ab' * 100000).find('z') %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = ('ab' * 100000) == ('ab' * 100000) %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = 'z' in 'ab' * 100000 %}{% endfor %}",
    "{% set l = range(100000) | list %}{% for a in l %}{% if l == l %}{% endif %}{% endfor %}",
    "{% set x = range(50000) | map('string') | unique | list | length %}{% set y = range(100000) | unique | list %}{{ y }}",
    "{{ range(100000) | groupby('x') | list | length }}{% for i in range(100000) %}{{ range(1000) | sort | first }}{% endfor %}",
    "{% set ns = namespace(d={}) %}{% for i in range(100000) %}{% set ns.d = dict(ns.d, **{i | string: i}) %}{% endfor %}",
    "{% set ns = namespace() %}{% for i in range(100000) %}{% set ns.x = dict({i: 1, i + 1: 2}, z=3) %}{% for k in ns.x %}{% for j in range(100) %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{{ '' | center(1000000) | trim }}{% endfor %}",
    "{% for a in range(100000) %}{{ ('x' * 100000) | length }}{{ ('x' * 100000).strip('x') }}{% endfor %}",
    "{% for a in range(100000) %}{% set x = '%1000d' % a %}{% set x = '{:1000}'.format(a) %}{% endfor %}{% for a in range(100000) %}{% for b in range(100) %}{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = ('a ' * 10000).split() %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = messages | tojson | length %}{% set x = (messages * 1000) | tojson | length %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = ('Σ' * 10000) | lower %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = ('1' * 100000) is lower %}{% set x = ('1' * 100000).isdigit() %}{% set y = ('\\n' * 10000).splitlines() %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = ('ab' * 100000)[::-1] %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = ('ab' * 100000).rfind('c') %}{% set x = ('ab' * 100000).count('c') %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = ('a' * 100000).rsplit('b') %}{% set x = ('a' * 100000) | wordcount %}{% endfor %}",
    "{% set x = ('a' * 200000 ~ 'b').find('a' * 100000 ~ 'b') %}{% for i in range(100000) %}{% set x = ('a' * 200000 ~ 'b').rfind('b' ~ 'a' * 100000) %}{% endfor %}",
    "{% for a in range(100000) %}{% set x = 'a' | indent(100) | indent(100) | truncate(9) %}{% set x = ('a\\n' * 10000) | indent(4) %}{% endfor %}",
};
TEST(endless)
{
    sc_error e;
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        if (render(endless[i], strlen(endless[i]), &e) != SC_E_ARGUMENT) test_failed(__FILE__, __LINE__, "%s: %s", endless[i], e.message[0] ? e.message : "no failure");
        check_sentence(endless[i], &e);
    }
}

/* ---- too large ---------------------------------------------------------------------------------------------------------- */

static const char *const huge[] = {
    "{{ 'x' * 10 ** 9 }}", "{{ 'x' * 5000000 }}", "{{ 10 ** 9 * 'x' }}", "{{ ('x' * 1000000) * 1000000 }}", "{{ [0] * 10 ** 9 }}", "{{ (0,) * 9223372036854775807 }}",
    "{% for i in range(100) %}{{ 'x' * 100000 }}{% endfor %}", "{% set ns = namespace(x='x') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x | length }}",
    "{% set ns = namespace(x='x') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}", "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
    "{% set ns = namespace(x=[1]) %}{% set o = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% set o.x = [o.x, o.x] %}{% endfor %}{{ ns.x == o.x }}",
    "{% set ns = namespace(x=(1,)) %}{% for i in range(99) %}{% set ns.x = (ns.x, ns.x) %}{% endfor %}{{ {ns.x: 1} }}",
    "{{ range(100000) | join('x' * 1000) }}", "{{ (['x' * 10000] * 10000) | join('y') }}", "{{ ('x' * 10000).join(['a'] * 10000) }}", "{{ ('x' * 100000).replace('', 'y' * 1000) }}",
    "{{ ('x' * 10000).replace('x', 'y' * 100000) }}", "{{ 'x'.center(10 ** 9) }}", "{{ 'x'.zfill(10 ** 9) }}", "{{ 'x' | center(10 ** 12) }}", "{{ '%1000000000d' % 1 }}",
    "{{ '%.999999999f' % 1 }}", "{{ '{:1000000000}'.format(1) }}", "{{ 'x' | indent(10 ** 9) }}", "{{ ('\\n' * 100000) | indent('x' * 1000, true, true) }}",
    "{{ '\\t'.expandtabs(10 ** 9) }}", "{{ ('\\t' * 100000).expandtabs(1000) }}", "{{ ([[1]] * 100000) | tojson(indent=100) }}", "{{ [1, 2] | tojson(separators=('x' * 10000000, '')) }}",
    "{{ [[[[1]]]] | tojson(indent='x' * 10000000) }}", "{{ ('<' * 1100000) | e }}", "{{ ('\\x01' * 1000000) | tojson }}", "{{ (['\\x01' * 1000] * 1100) | string }}",
    "{{ range(10 ** 9) }}", "{{ range(0, 10 ** 18, 1) | list }}", "{{ [1] | batch(10 ** 12, 0) | list }}", "{{ [1] | slice(10 ** 12) | list }}", "{{ ['x'] | batch(1000000, 'x' * 100) | list }}",
    "{% for i in range(100000) %}{% set x %}{{ 'y' * 1000 }}{% endset %}{% endfor %}", "{% set x %}{% for i in range(100000) %}{{ 'y' * 1000 }}{% endfor %}{% endset %}",
    "{% macro f() %}{% for i in range(100000) %}{{ 'y' * 1000 }}{% endfor %}{% endmacro %}{{ f() | length }}", "{{ ('a' * 1000000) | list }}", "{{ ('a\\n' * 4000000).splitlines() | length }}",
    "{{ ('ß' * 1000000) | upper ~ ('ΐ' * 1000000) | upper }}", "{{ strftime_now('%c' * 1000) }}", "{{ ('%s' * 100000) % ((s * 1000,) * 100000) }}", "{{ ('{0}' * 100000).format(s * 1000) }}",
};
TEST(huge)
{
    sc_error e;
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        if (render(huge[i], strlen(huge[i]), &e) != SC_E_ARGUMENT) test_failed(__FILE__, __LINE__, "%s: %s", huge[i], e.message[0] ? e.message : "no failure");
        check_sentence(huge[i], &e);
    }
    CHECK(system_peak_memory() < (SECONDS == 5 ? 800u << 20 : 3000u << 20));
}

/* ---- nested without end ----------------------------------------------------------------------------------------------- */

/* `works`: 20 of them are a good template. */
static const struct { bool works; const char *before, *open, *middle, *close, *behind; } nests[] = {
    { true, "{{ ", "(", "1", ")", " }}" }, { true, "{{ ", "[", "1", "]", " }}" }, { true, "{{ ", "{1:", "1", "}", " }}" }, { true, "{{ ", "not ", "1", "", " }}" },
    { true, "{{ ", "-", "1", "", " }}" }, { true, "{{ ", "- +", "1", "", " }}" }, { false, "{{ l", "[0", "", "]", " }}" }, { false, "{{ ", "l[", "0", "]", " }}" },
    { true, "{{ s", "|upper", "", "", " }}" }, { false, "{{ s", ".x", "", "", " }}" }, { false, "{{ s", "()", "", "", " }}" }, { false, "{{ ", "f(", "1", ")", " }}" },
    { true, "{{ ", "1 if 1 else ", "1", "", " }}" }, { true, "{{ 1", " if 1", "", "", " }}" }, { false, "{{ 1", " is odd", "", "", " }}" }, { true, "{{ ", "1 + ", "1", "", " }}" },
    { true, "{{ ", "1 ~ ", "1", "", " }}" }, { true, "{{ ", "1 ** ", "1", "", " }}" }, { true, "{{ ", "1 and ", "1", "", " }}" }, { true, "{{ ", "0 or ", "1", "", " }}" },
    { true, "{{ ", "1 == ", "1", "", " }}" }, { false, "{{ ", "1 in ", "[1]", "", " }}" }, { true, "{{ ", "'a' ", "'b'", "", " }}" }, { true, "{{ (", "1,", "1", "", ") }}" },
    { false, "{{ 1", ".5", "", "", " }}" }, { true, "", "{% if 1 %}", "x", "{% endif %}", "" }, { true, "{% if 0 %}", "{% elif 0 %}", "x", "", "{% endif %}" },
    { false, "", "{% for i in l %}", "x", "{% endfor %}", "" }, { true, "", "{% for i in [1] %}", "x", "{% endfor %}", "" }, { true, "", "{% set x %}", "y", "{% endset %}", "" },
    { true, "", "{% filter upper %}", "y", "{% endfilter %}", "" }, { true, "", "{% macro f() %}", "y", "{% endmacro %}", "" }, { false, "", "{% call f() %}", "y", "{% endcall %}", "" },
    { true, "", "{% with %}", "y", "{% endwith %}", "" }, { true, "", "{% generation %}", "{{ 1 }}", "{% endgeneration %}", "" },
    { true, "", "{% if 1 %}{% for i in [1] %}", "x", "{% endfor %}{% endif %}", "" }, { false, "{% set ", "(a,", "a", ")", " = 1 %}" }, { false, "{% for ", "(", "a", ",)", " in l %}{% endfor %}" },
    { false, "{{ s[", ":", "", "", "] }}" }, { false, "{{ l | map(", "'map',", "'upper'", "", ") | list }}" }, { true, "{{ 'aaa' | map(", "'map',", "'list'", "", ") | list }}" },
    { false, "{{ f(", "*", "1", "", ") }}" }, { false, "", "{{ x ", "", "}}", "" }, { false, "", "{% raw %}", "", "{% endraw %}", "" }, { true, "{# ", "{# {% {{ ", "x", "", " #}" },
    { false, "{% if 1 %}", "{% else %}", "", "", "{% endif %}" }, { false, "{{ d", ".a[0]()", "", "", " }}" }, { false, "{{ ", "x is not ", "y", "", " }}" }, { false, "{{ ", "x|f(", "y", ")", " }}" },
    { false, "{{ ", "1 is divisibleby ", "2", "", " }}" }, { false, "{{ 1 is ", "divisibleby(", "2", ")", " }}" }, { false, "{{ f(", "a=", "2", "", ") }}" },
    { true, "{{ ", "d.get('z', ", "2", ")", " }}" }, { true, "{{ [", "[],", "2", "", "] }}" }, { false, "{% block a %}", "x", "", "", "" },
    { true, "", "{% for i in [1] recursive %}", "{{ loop([]) }}", "{% endfor %}", "" }, { true, "{{ [", "s ~ n ~ '<|x|>', ", "1", "", "] }}" },
};

static void put_times(struct buf *b, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) buf_puts(b, text);
}

static void check_nest(size_t i, size_t n)
{
    struct buf b;
    sc_error e;
    buf_init(&b, 0);
    buf_puts(&b, nests[i].before);
    put_times(&b, nests[i].open, n);
    buf_puts(&b, nests[i].middle);
    put_times(&b, nests[i].close, n);
    buf_puts(&b, nests[i].behind);
    if (render(b.data, b.len, &e) != SC_OK) check_sentence(b.data, &e);
    if (nests[i].works && n <= 20 && e.status != SC_OK) test_failed(__FILE__, __LINE__, "%.100s: %s", b.data, e.message);
    buf_clear(&b);
    put_times(&b, nests[i].open, n);                      /* and never closed */
    CHECK(render(b.data, b.len, &e) == SC_OK || n > 1 || e.status == SC_E_FORMAT);
    buf_release(&b);
}

TEST(nesting)
{
    static const size_t times[] = { 1, 20, 150, 1000, 100000 };
    for (size_t i = 0; i < sizeof nests / sizeof *nests; i++)
        for (size_t k = 0; k < sizeof times / sizeof *times; k++) check_nest(i, times[k]);
}

/* Values nested by the template: printing, comparing and the like end with a sentence. */
TEST(nested_values)
{
    static const char *const build[] = { "[ns.x]", "(ns.x,)", "{1: ns.x}", "namespace(x=ns.x)", "[ns.x, 1]", "{'k': [ns.x]}" };
    static const char *const use[] = { "{{ ns.x }}", "{{ ns.x | tojson }}", "{{ ns.x == o.x }}", "{{ ns.x in [o.x] }}", "{{ [ns.x, o.x] | sort }}", "{{ [ns.x, o.x] | unique | list }}",
        "{{ {ns.x: 1} }}", "{{ ns.x ~ '' }}", "{{ '%r' % (ns.x,) }}", "{{ [ns.x] | join }}", "{{ ns.x < o.x }}", "{{ ns.x is eq o.x }}", "{{ [ns.x, o.x] | max }}", "{{ [ns.x] | map('string') | list }}",
        "{{ ns.x | string | length }}", "{{ raise_exception(ns.x) }}" };
    for (size_t i = 0; i < sizeof build / sizeof *build; i++)
        for (size_t k = 0; k < sizeof use / sizeof *use; k++) {
            char source[400];
            sc_error e;
            snprintf(source, sizeof source, "{%% set ns = namespace(x=0) %%}{%% set o = namespace(x=0) %%}{%% for i in range(50000) %%}{%% set ns.x = %s %%}{%% set o.x = ns.x %%}{%% endfor %%}"
                     "{%% set ns.x = %s %%}%s", build[i], build[i], use[k]);
            if (render(source, strlen(source), &e) != SC_OK) check_sentence(source, &e);
        }
    check_refused("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", SC_E_ARGUMENT, "nested");
    check_refused("{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns.x ~ '' }}", SC_E_ARGUMENT, "nested");
}

/* ---- damaged ------------------------------------------------------------------------------------------------------------ */

static const struct { const char *source, *part; } damaged[] = {
    { "{{ messages", "'}}'" }, { "{% if messages", "'%}'" }, { "{# comment", "'#}'" }, { "{% raw %}{{ x }}", "endraw" }, { "{{ 'text }}", "quote" },
    { "{% if 1 %}yes", "endif" }, { "{% for m in messages %}{{ m }}", "endfor" }, { "{% macro f() %}x", "endmacro" }, { "{% set x %}y", "endset" },
    { "{% if 1 %}{% endfor %}", "endfor" }, { "{% endif %}", "endif" }, { "{% else %}", "else" }, { "line 1\nline 2\n{{ 1 + }}", "line 3" },
    { "{% include 'x' %}", "include" }, { "{% import 'x' as y %}", "import" }, { "{% extends 'x' %}", "extends" }, { "{% iff x %}", "iff" },
    { "{{ s | uper }}", "uper" }, { "{{ s is strnig }}", "strnig" }, { "{{ l | map('uper') | list }}", "uper" }, { "{{ l | select('od') | list }}", "od" },
    { "{{ a b }}", "'b'" }, { "{{ (1 }}", "')'" }, { "{{ [1 }}", "']'" }, { "{{ {'a': 1 }}", "'}'" }, { "{{ 1) }}", "')'" }, { "{{ 1 + * 2 }}", "'*'" },
    { "{{ 'a' & 'b' }}", "'&'" }, { "{{ x = 1 }}", "'='" }, { "{{ s. }}", "'.'" }, { "{{ s[] }}", "expression" }, { "{{ s | }}", "filter" }, { "{{ s is }}", "test" },
    { "{% for m messages %}{% endfor %}", "'in'" }, { "{% for m in %}{% endfor %}", "expression" }, { "{% set 1 = 2 %}", "variable" }, { "{% set none = 2 %}", "none" },
    { "{% break %}", "loop" }, { "{% macro f %}{% endmacro %}", "'('" }, { "{% macro f(a, a) %}{% endmacro %}", "'a'" }, { "{% call f %}{% endcall %}", "call" },
    { "{{ f(a=1, 2) }}", "argument" }, { "{{ '\\x4' }}", "escape" }, { "{{ 99999999999999999999 }}", "64 bits" }, { "{{ l[::0] }}", "step" }, { "{{ 1 / 0 }}", "zero" },
    { "{{ missing.name }}", "'missing'" }, { "{{ messages[5].role }}", "undefined" }, { "{{ missing() }}", "'missing'" }, { "{{ s() }}", "called" }, { "{{ s + 1 }}", "str and int" },
    { "{{ l < 1 }}", "list and int" }, { "{% for i in 5 %}{% endfor %}", "int" }, { "{% set a, b = l %}", "3 values" }, { "{{ l.append(1) }}", "append" }, { "{{ d.update(d) }}", "update" },
    { "{% set d.x = 1 %}", "namespace" }, { "{{ raise_exception('no such role') }}", "no such role" }, { "{{ range(1, 2, 0) }}", "range" }, { "{{ '%d' % 'x' }}", "number" },
    { "{{ d | tojson(inden=2) }}", "inden" }, { "{{ missing | tojson }}", "missing" }, { "{{ strftime_now() }}", "format" }, { "{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}", "'f'" },
    { "{% macro f(a) %}{% endmacro %}{{ f(b=2) }}", "'b'" }, { "{{ dict(1) }}", "int" }, { "{{ loop.index }}", "'loop'" }, { "{{ {[1]: 2} }}", "key" }, { "{{ s | join(attribute='x', by=2) }}", "by" },
    { "{% generation %}x{% endgeneration %}", "generation" },
};
TEST(damaged)
{
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        sc_error e;
        sc_status status = render(damaged[i].source, strlen(damaged[i].source), &e);
        if ((status != SC_E_FORMAT && status != SC_E_ARGUMENT) || !strstr(e.message, damaged[i].part))
            test_failed(__FILE__, __LINE__, "%s: status %s, message \"%s\", expected \"%s\"", damaged[i].source, sc_status_name(status), e.message, damaged[i].part);
        check_sentence(damaged[i].source, &e);
    }
    check_refused("\xff\xfe", SC_E_FORMAT, "UTF-8");
    sc_error e;
    CHECK(render("a\0b{{ 1 }}\0", 11, &e) == SC_OK);
    CHECK(render("{{ \0 }}", 7, &e) == SC_E_FORMAT);
    char *large = mem_alloc((1 << 20) + 2);
    memset(large, 'x', (1 << 20) + 1);
    large[(1 << 20) + 1] = 0;
    check_refused(large, SC_E_FORMAT, "1048576");
    mem_free(large);
}

/* Every beginning of a good template is refused or rendered, and each byte changed. */
TEST(cut_and_changed)
{
    static const char good[] = "{%- macro f(a, b='x') -%}[{{ a ~ b | upper }}]{%- endmacro -%}{# note #}{% raw %}{{ raw }}{% endraw %}\n"
        "{% for m in messages if m.role in ('user', \"assistant\") recursive %}{{ loop.index0 * 1.5e1 // 2 ** -1 }}{{ f(m['content'][1:-1:2], b=l[0]) }}"
        "{% elif %}{% else %}{% endfor %}{% set ns = namespace(x={'k': [1, (2,)]}) %}{% set ns.x = not d.a is odd %}{{ '\\u00e9\\x41' if s else none }}{% set y | trim %} a {% endset %}";
    char copy[sizeof good];
    sc_error e;
    for (size_t n = 0; n < sizeof good; n++)
        if (render(good, n, &e) != SC_OK) check_sentence(good, &e);
    for (size_t i = 0; i + 1 < sizeof good; i++)
        for (const char *c = "{}%#'\"()[]|.=-+\\ \n0a\xc3"; *c; c++) {
            memcpy(copy, good, sizeof good);
            copy[i] = *c;
            if (render(copy, sizeof good - 1, &e) != SC_OK && !strstr(e.message, "UTF-8")) check_sentence(copy, &e);
        }
}
