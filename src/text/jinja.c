/* jinja.c - compiling and rendering a chat template. */
#include "jinja_internal.h"

#include <stdio.h>
#include <string.h>

void jinja_message(char out[JINJA_MESSAGE_BYTES], const char *format, va_list args)
{
    char text[JINJA_MESSAGE_BYTES], piece[8];
    size_t at = 0;
    vsnprintf(text, sizeof text, format, args);
    for (size_t i = 0, len = strlen(text); i < len;) {
        uint32_t c = 0;
        int n = utf8_next(text + i, len - i, &c), size = n;
        if (n < 0) size = snprintf(piece, sizeof piece, "\xEF\xBF\xBD");
        else if (c < 0x20 || c == 0x7F) size = snprintf(piece, sizeof piece, "\\x%02X", c);
        else memcpy(piece, text + i, (size_t)n);
        if (at + (size_t)size + 4 > JINJA_MESSAGE_BYTES) { memcpy(out + at, "...", 3); at += 3; break; }
        memcpy(out + at, piece, (size_t)size);
        at += (size_t)size;
        i += (size_t)(n < 0 ? -n : n);
    }
    out[at] = 0;
}

static const struct str *intern(struct parser *p, const char *name) { return parse_intern(p, &(struct str) { name, NULL, strlen(name), MARK_TRUSTED }); }

sc_status jinja_compile(struct jinja **out, const char *source, size_t len, const char *what, sc_error *err)
{
    struct jinja *j = mem_zero(1, sizeof *j);
    struct jinja_lexed tokens;
    sc_status status = SC_OK;
    *out = NULL;
    arena_init(&j->arena);
    j->what = mem_strdup(what);
    TRY_DONE(jinja_lex(&tokens, &j->arena, source, len, what, err));
    struct parser p = { .j = j, .at = tokens.token, .err = err };
    j->loop = intern(&p, "loop");
    j->caller = intern(&p, "caller");
    j->varargs = intern(&p, "varargs");
    j->kwargs = intern(&p, "kwargs");
    parse_template(&p);
    TRY_DONE(p.status);
    *out = j;
    return SC_OK;
done:
    jinja_free(j);
    return status;
}

void jinja_free(struct jinja *j)
{
    if (!j) return;
    arena_release(&j->arena);
    mem_free(j->what);
    mem_free(j);
}

bool jinja_has_generation(const struct jinja *j) { return j->has_generation; }

/* Every byte of what messages[i] says remembers i; its role says nothing. */
static struct value tagged_messages(struct render *r, const json_t *messages)
{
    if (!json_is_array(messages)) return value_json(r, messages, 0);
    struct value v = value_list(r, json_array_size(messages), LIST_PLAIN);
    for (size_t i = 0; !failed(r) && i < v.l->len; i++) {
        const json_t *m = json_array_get(messages, i), *role = json_object_get(m, "role");
        v.l->item[i] = value_json(r, m, (uint8_t)((1 + i % MARK_MESSAGES) * MARK_MESSAGE));
        if (role && !failed(r)) *(struct value *)(uintptr_t)dict_get_text(v.l->item[i].d, "role") = value_json(r, role, 0);
    }
    return v;
}

/* Only the variables that the template names are looked at. */
static void bind_variables(struct render *r, const json_t *variables, const char *const *trusted)
{
    for (size_t i = 0; i < r->j->n_names && !failed(r); i++) {
        const struct str *name = r->j->name[i];
        const json_t *v = json_object_getn(variables, name->s, name->len);
        uint8_t mark = 0;
        for (size_t k = 0; trusted && trusted[k]; k++)
            if (str_is(name, trusted[k])) mark = MARK_TRUSTED;
        if (v) scope_set(r, r->scope, name, str_is(name, "messages") ? tagged_messages(r, v) : value_json(r, v, mark));
    }
}

static size_t trusted_spans(struct span **out, const struct buf *mark)
{
    size_t n = 0, cap = 0;
    *out = NULL;
    for (size_t i = 0; i < mark->len;) {
        size_t begin = i;
        bool is_trusted = (unsigned char)mark->data[i] & MARK_TRUSTED;
        while (i < mark->len && ((unsigned char)mark->data[i] & MARK_TRUSTED) == is_trusted) i++;
        if (!is_trusted) continue;
        if (n == cap) *out = mem_grow(*out, (cap = 2 * cap + 16) * sizeof **out);
        (*out)[n++] = (struct span) { begin, i };
    }
    return n;
}

sc_status jinja_render(struct rendered *out, const struct jinja *j, const json_t *variables, int64_t now, const char *const *trusted_names, sc_error *err)
{
    struct output o;
    struct render r = { .j = j, .err = err, .out = &o, .now = now };
    memset(out, 0, sizeof *out);
    arena_init(&r.arena);
    buf_init(&o.text, 0);
    buf_init(&o.mark, 0);
    scope_push(&r);
    bind_variables(&r, variables, trusted_names);
    scope_push(&r);
    run_nodes(&r, j->body);
    if (!failed(&r)) {
        out->n_trusted = trusted_spans(&out->trusted, &o.mark);
        buf_append(&o.text, "", 0);
        buf_take(&o.text, &out->text);
        out->mark = (uint8_t *)o.mark.data;
        o.mark = (struct buf) { 0 };
    }
    buf_release(&o.text);
    buf_release(&o.mark);
    arena_release(&r.arena);
    return r.status;
}

void rendered_release(struct rendered *r)
{
    sc_text_free(&r->text);
    mem_free(r->trusted);
    mem_free(r->mark);
    memset(r, 0, sizeof *r);
}
