/* jinja_internal.h - what the files of the Jinja interpreter share: marked strings, values, the tree, one rendering.
 *
 * Reference: Jinja2 3.1 in the environment of transformers' apply_chat_template (trim_blocks, lstrip_blocks, loop
 * controls, immutable sandbox). Reading order: jinja_lex.c (source to tokens), jinja_expression.c and
 * jinja_statement.c (tokens to tree), jinja_string.c and jinja_value.c (data), jinja_eval.c and jinja_run.c (tree to
 * text), jinja_filters.c, jinja_tests.c, jinja_methods.c, jinja_functions.c (rows by name), jinja.c (public). */
#ifndef JINJA_INTERNAL_H
#define JINJA_INTERNAL_H

#include "text/jinja_characters.h"
#include "text/text.h"

enum {
    JINJA_STEPS_MAX = 4000000,          /* nodes evaluated in one rendering, and bytes of big strings / 64  */
    JINJA_DEPTH_MAX = 1000,             /* nested evaluations                                               */
    JINJA_CALLS_MAX = 64,               /* nested macro calls and recursive loops                           */
    JINJA_NESTING_MAX = 100,            /* nested brackets in a template; parts of one chain               */
    JINJA_PARSE_DEPTH_MAX = 400,        /* nested rules of the parser, about three a bracket                */
    JINJA_VALUE_DEPTH_MAX = 150,        /* nested lists and dicts when printed or compared                  */
    JINJA_RANGE_MAX = 100000,           /* as the reference's sandbox                                       */
    JINJA_OUTPUT_MAX = 4 << 20,
    JINJA_MEMORY_MAX = 256 << 20,
    JINJA_SOURCE_MAX = 1 << 20,
    JINJA_MESSAGE_BYTES = 400
};

/* What went wrong, for one line of whole characters: words of templates and messages in it may be cut and hold anything. */
void jinja_message(char out[JINJA_MESSAGE_BYTES], const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* ---- marked strings (jinja_string.c) ---------------------------------------------------------------------------------- */

/* Valid UTF-8 with a mark a byte: `mark`, or if that is NULL `fill` for all. Immutable; parts share their bytes. */
struct str { const char *s; const uint8_t *mark; size_t len; uint8_t fill; };

/* ---- values (jinja_value.c) --------------------------------------------------------------------------------------------- */

enum value_kind { V_UNDEFINED, V_NONE, V_BOOL, V_INT, V_FLOAT, V_STRING, V_LIST, V_DICT, V_NAMESPACE, V_CALLABLE, V_LOOP };
struct value {
    enum value_kind kind;
    bool is_safe;                        /* a string that |safe marked as HTML                                       */
    union {
        bool b; int64_t i; double f;
        const struct str *s; struct list *l; struct dict *d; struct callable *c; struct loop *loop;
        const char *missing;             /* V_UNDEFINED: what was not there, for messages                            */
    };
};
enum list_flavour { LIST_PLAIN, LIST_TUPLE, LIST_GENERATOR, LIST_KEYS, LIST_VALUES, LIST_ITEMS, LIST_RANGE };
/* A generator can be read once. `is_group`: a pair of groupby, with the names grouper and list. */
struct list { struct value *item; size_t len; enum list_flavour flavour; bool is_used, is_group; int64_t start, stop, step; };
struct entry { struct value key, value; };
struct dict { struct entry *entry; size_t len, cap; };           /* in order of insertion; also the namespace          */
struct render;
struct call_args { struct value *value; size_t len; struct entry *keyword; size_t n_keywords; };
typedef struct value call_function(struct render *r, const struct value *self, const struct call_args *args);
struct callable_row { const char *name; call_function *call; const char *parameters; bool keeps_safe; };
/* A macro, or a row's function bound to `self`. */
struct callable { const struct callable_row *row; struct value self; const struct node *macro; struct scope *scope; struct callable *caller; };
struct loop {
    const struct list *list; size_t at; int depth; struct value changed; bool has_changed;
    const struct node *node; struct scope *scope;                 /* to call it, where the loop is recursive           */
};

/* ---- tokens (jinja_lex.c) ------------------------------------------------------------------------------------------------- */

enum token_kind { T_END, T_TEXT, T_BLOCK_BEGIN, T_BLOCK_END, T_PRINT_BEGIN, T_PRINT_END, T_NAME, T_STRING, T_INT, T_FLOAT, T_OPERATOR };
/* Operators are their characters: '=' | '='<<8 for "==". */
#define OP2(a, b) ((a) | (b) << 8)
struct jinja_token { enum token_kind kind; int op; uint32_t line; struct str text; int64_t i; double f; };
struct jinja_lexed { struct jinja_token *token; size_t len; };
sc_status jinja_lex(struct jinja_lexed *out, struct arena *arena, const char *source, size_t len, const char *what, sc_error *err);

/* ---- the tree --------------------------------------------------------------------------------------------------------------- */

enum node_kind {
    N_CONST, N_NAME, N_LIST, N_TUPLE, N_DICT, N_PAIR, N_ATTRIBUTE, N_ITEM, N_SLICE, N_CALL, N_FILTER, N_TEST, N_NOT, N_MINUS, N_PLUS,
    N_BINARY, N_COMPARE, N_OPERAND, N_AND, N_OR, N_CONDITIONAL, N_ARGUMENT,
    N_TEXT, N_PRINT, N_IF, N_BRANCH, N_FOR, N_SET, N_SET_BLOCK, N_MACRO, N_CALL_BLOCK, N_FILTER_BLOCK, N_WITH, N_GENERATION, N_BREAK, N_CONTINUE
};
enum argument_kind { ARGUMENT_PLAIN, ARGUMENT_KEYWORD, ARGUMENT_SPREAD, ARGUMENT_SPREAD_KEYWORDS };
enum operand { OPERAND_IN = 1, OPERAND_NOT_IN };     /* besides the characters of == and the like                       */
/* One shape for all. What a, b, c, d hold: see the functions that build them, and the lists joined by `next`. */
struct node {
    enum node_kind kind;
    int op;                              /* operator, argument_kind, negation of a test, `recursive` of a loop        */
    uint32_t line;
    struct node *next, *a, *b, *c, *d;
    const struct str *name;              /* interned: the same name is the same pointer                               */
    struct value value;
    const void *row;                     /* of a filter or test                                                       */
    bool uses_varargs, uses_kwargs, uses_caller;      /* macros                                                       */
};
struct jinja {
    struct arena arena;
    char *what;
    struct node *body;
    const struct str **name; size_t n_names, cap_names;
    const struct str *loop, *caller, *varargs, *kwargs;           /* names that the interpreter binds itself            */
    bool has_generation;
};
struct parser {
    struct jinja *j; const struct jinja_token *at; sc_error *err; sc_status status;
    int depth, loops; struct node *macro; size_t prints;          /* `prints`: {{ }} seen so far                       */
};
/* Parser functions return a node also when they failed: test p->status. */
struct node *node_new(struct parser *p, enum node_kind kind);
struct node *parse_failed(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
const struct str *parse_intern(struct parser *p, const struct str *text);
bool parse_is_op(const struct parser *p, int op);
bool parse_is_name(const struct parser *p, const char *name);
bool parse_take_op(struct parser *p, int op);
bool parse_take_name(struct parser *p, const char *name);
void parse_need_op(struct parser *p, int op);
bool parse_enter(struct parser *p);                               /* counts nesting; false: too deep                   */
const char *token_show(const struct jinja_token *t, char *out, size_t out_bytes);
struct node *parse_expression(struct parser *p, bool allow_conditional);
struct node *parse_tuple(struct parser *p, bool allow_conditional, const char *end_name);   /* `end_name` may be NULL  */
struct node *parse_target(struct parser *p);                      /* names or tuples of names                          */
struct node *parse_filters(struct parser *p, struct node *a, bool starts_inline);
struct node *parse_arguments(struct parser *p);                   /* behind the '('                                    */
void parse_template(struct parser *p);                            /* jinja_statement.c                                 */

/* ---- one rendering ------------------------------------------------------------------------------------------------------------ */

struct binding { const struct str *name; struct value value; };
struct scope { struct scope *parent; struct binding *binding; size_t len, cap; };
struct output { struct buf text, mark; };
enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };
struct render {
    const struct jinja *j;
    struct arena arena;
    sc_status status; sc_error *err;     /* sticky: after a failure all functions return soon, with V_NONE            */
    uint32_t line;
    uint64_t steps; int depth, calls;
    struct scope *scope; struct output *out; uint8_t mark;        /* `mark`: added to what is written                  */
    enum flow flow;
    int64_t now;
};
struct value fail(struct render *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline bool failed(const struct render *r) { return r->status != SC_OK; }
bool  step(struct render *r, uint64_t n);                         /* false: the limit is passed, or it had failed      */
void *take(struct render *r, size_t bytes);                       /* memory of the rendering; NULL after a failure     */

/* jinja_string.c. `at` and `len` of views in bytes. */
const struct str *str_new(struct render *r, const char *s, size_t len, uint8_t fill);      /* copies                  */
const struct str *str_view(struct render *r, const struct str *from, size_t at, size_t len);
const struct str *str_join2(struct render *r, const struct str *a, const struct str *b);
const struct str *str_repeat(struct render *r, const struct str *s, int64_t times);
static inline uint8_t str_mark(const struct str *s, size_t i) { return s->mark ? s->mark[i] : s->fill; }
bool   str_equal(const struct str *a, const struct str *b);
bool   str_is(const struct str *s, const char *text);
int    str_compare(const struct str *a, const struct str *b);     /* by code point                                     */
size_t str_length(const struct str *s);                           /* code points                                       */
size_t str_offset(const struct str *s, size_t characters);        /* byte offset of a character; len at the end        */
/* First place of `needle` at or behind `from`; SIZE_MAX: none. */
size_t str_find(const struct str *s, const struct str *needle, size_t from);
size_t str_find_last(const struct str *s, const struct str *needle, size_t end);   /* ends at or before `end`         */
const struct str *str_strip(struct render *r, const struct str *s, const struct str *characters, bool left, bool right);
const struct str *str_replace(struct render *r, const struct str *s, const struct str *old, const struct str *new_text, int64_t count);
enum str_case { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_CAPITALIZE, CASE_SWAP, CASE_FOLD, CASE_TITLE_WORDS };
const struct str *str_case(struct render *r, const struct str *s, enum str_case how);
const struct str *str_escape_html(struct render *r, const struct str *s);
/* Grows a string in the rendering's memory. */
struct builder { struct render *r; char *s; uint8_t *mark; size_t len, cap; };
void builder_put(struct builder *b, const char *s, size_t len, uint8_t mark);
void builder_pad(struct builder *b, char c, size_t n, uint8_t mark);       /* c, n times */
void builder_put_str(struct builder *b, const struct str *s);
void builder_puts(struct builder *b, const char *text);           /* untrusted                                         */
const struct str *builder_end(struct builder *b);

/* jinja_value.c */
static inline struct value value_none(void) { return (struct value) { .kind = V_NONE }; }
static inline struct value value_bool(bool b) { return (struct value) { .kind = V_BOOL, .b = b }; }
static inline struct value value_int(int64_t i) { return (struct value) { .kind = V_INT, .i = i }; }
static inline struct value value_float(double f) { return (struct value) { .kind = V_FLOAT, .f = f }; }
struct value value_str(const struct str *s);                      /* NULL (after a failure): V_NONE                    */
struct value value_text(struct render *r, const char *text, uint8_t mark);
struct value value_undefined(const char *missing);
struct value value_list(struct render *r, size_t len, enum list_flavour flavour);          /* items V_NONE            */
struct value value_dict(struct render *r, size_t cap);
struct value value_json(struct render *r, const json_t *json, uint8_t fill);
void         dict_set(struct render *r, struct dict *d, struct value key, struct value value);
const struct value *dict_get(struct render *r, const struct dict *d, const struct value *key);   /* NULL: none         */
const struct value *dict_get_text(const struct dict *d, const char *key);
bool         value_true(const struct value *v);
bool         value_equal(struct render *r, const struct value *a, const struct value *b);
int          value_compare(struct render *r, const struct value *a, const struct value *b);      /* fails on other kinds */
bool         value_need_hash(struct render *r, const struct value *v);                           /* fails on lists and dicts */
bool         value_contains(struct render *r, const struct value *container, const struct value *item);
bool         value_is_number(const struct value *v);              /* int, float or bool                                */
double       value_number(const struct value *v);
int64_t      value_integer(const struct value *v);                /* of V_INT or V_BOOL                                */
const char  *value_type(const struct value *v);                   /* Python's name of the type                         */
const struct str *value_to_str(struct render *r, const struct value *v);                   /* str(v)                   */
void         value_repr(struct builder *b, const struct value *v, int depth);
void         float_repr(char out[40], double f);
/* What a loop, join, list() ... sees: the items; a string's characters, a dict's keys. Fails for what has none. */
const struct list *value_items(struct render *r, const struct value *v);
int64_t      value_length(struct render *r, const struct value *v);                        /* -1 after a failure       */
/* jinja_json.c. `indent` NULL: on one line; `item` and `key`: what stands behind an item and a key. */
struct json_style { const struct str *indent, *item, *key; bool sorts, is_ascii; };
const struct str *value_json_text(struct render *r, const struct value *v, const struct json_style *style);

/* jinja_eval.c, jinja_run.c */
struct value eval(struct render *r, const struct node *n);
struct value call_value(struct render *r, const struct value *f, const struct call_args *args, const char *name);
struct value get_attribute(struct render *r, const struct value *v, const struct str *name);
struct value get_item(struct render *r, const struct value *v, const struct value *key);
struct value number_operation(struct render *r, int op, const struct value *a, const struct value *b);   /* jinja_number.c; of value_is_number's */
struct value eval_binary(struct render *r, int op, const struct value *a, const struct value *b);
struct call_args eval_arguments(struct render *r, const struct node *list);
bool         eval_compare(struct render *r, int op, const struct value *a, const struct value *b);
struct value apply_filter(struct render *r, const struct node *n, struct value v);
struct value run_macro(struct render *r, const struct callable *c, const struct call_args *args);
struct value run_loop(struct render *r, const struct node *n, struct value items, int depth, struct scope *scope);
void         run_nodes(struct render *r, const struct node *list);
struct scope *scope_push(struct render *r);                       /* returns the one before, for scope_pop             */
void         scope_set(struct render *r, struct scope *s, const struct str *name, struct value v);
const struct value *scope_get(const struct scope *s, const struct str *name);
void         output_put(struct render *r, const struct str *s);

/* Rows by name; NULL: none. */
struct filter_row { const char *name; call_function *call; const char *parameters; };             /* see args_fit        */
const struct filter_row *filter_find(const char *name, size_t len);
struct test_row { const char *name; bool (*test)(struct render *r, const struct value *v, const struct value *other); const char *parameter; };
const struct test_row *test_find(const char *name, size_t len);
bool test_apply(struct render *r, const struct test_row *row, const struct value *v, const struct call_args *args);
struct value filter_apply(struct render *r, const struct filter_row *row, const struct value *v, const struct call_args *args);
/* A row without a function is a method that would change its object, and is refused. */
const struct callable_row *method_find(const struct value *v, const struct str *name);
struct value method_call(struct render *r, const struct callable_row *row, const struct value *self, const struct call_args *args);
bool method_is_refused(const char *name);                         /* `name`: that of a row                             */
const struct callable_row *function_member(const struct callable_row *function, const struct str *name);   /* dict.fromkeys */
const struct callable_row *global_find(const struct str *name);
bool namespace_allows(struct render *r, const struct str *name);  /* fails for names that begin with '_'               */
struct value format_percent(struct render *r, const struct value *format, const struct value *args);   /* jinja_format.c */
struct value format_braces(struct render *r, const struct value *format, const struct call_args *args);
/* Argument i or keyword `name`; NULL: not given. */
const struct value *arg(const struct call_args *args, size_t i, const char *name);
/* `parameters`: names with blanks between them, '/' before one that goes by place only; NULL: any. Fails if an argument
 * is none of them or is given twice. `name`: for messages. */
bool    args_fit(struct render *r, const struct call_args *args, const char *parameters, const char *name);
int64_t arg_int(struct render *r, const struct call_args *args, size_t i, const char *name, int64_t fallback);
const struct str *arg_str(struct render *r, const struct call_args *args, size_t i, const char *name);    /* NULL: absent or None, or failed */

#endif
