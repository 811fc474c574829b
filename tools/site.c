/* site.c - the documentation as a folder of plain pages, from Markdown by md4c. A tool of the build, not of the program.
 *
 * Usage: site OUT STYLE.css PAGE...    from the root of the source tree. PAGE is a path, or PATH=FILE: the page whose place is PATH but whose
 * text is in FILE. docs/x.md becomes x.html, other paths keep their folders with '-'. The lists of docs/index.md are the navigation.
 * Every link must lead somewhere: to a page and an anchor that are there, to a file of the tree (which is copied), or be a whole address of the web.
 * What does not is printed, one line each, and ends in exit code 1. */
#include <ctype.h>
#include <md4c-html.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PAGES_MAX = 256, PATH_BYTES = 512 };
struct text { char *data; size_t len, cap; };
struct heading { int level; char id[128]; struct text title; };        /* title: HTML without links */
struct page {
    char path[PATH_BYTES], file[PATH_BYTES], name[PATH_BYTES];          /* docs/x.md, where its text is, x */
    struct text body;
    struct heading *heading; size_t n_headings;
    const char *title;
    bool is_listed;
};
static struct page pages[PAGES_MAX];
static size_t n_pages;
static struct { const char *section; size_t page; char label[128], anchor[64]; } menu[PAGES_MAX];     /* in the order of docs/index.md */
static size_t n_menu;
static int mistakes;

/* ---- text ------------------------------------------------------------------------------------------------------------------ */

static void complain(const struct page *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", p->path);
    vfprintf(stderr, format, args);
    putc('\n', stderr);
    va_end(args);
    mistakes++;
}

static void add(struct text *t, const char *data, size_t n)
{
    if (t->len + n + 1 > t->cap) {
        t->cap = (t->len + n + 1) * 2;
        t->data = realloc(t->data, t->cap);
        if (!t->data) { perror("site"); exit(1); }
    }
    memcpy(t->data + t->len, data, n);
    t->len += n;
    t->data[t->len] = 0;
}

static void add_text(struct text *t, const char *s) { add(t, s, strlen(s)); }

static struct text read_file(const char *path)
{
    struct text t = { NULL, 0, 0 };
    char part[65536];
    FILE *f = fopen(path, "rb");
    if (!f) { perror(path); exit(1); }
    add_text(&t, "");
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;) add(&t, part, n);
    if (ferror(f)) { perror(path); exit(1); }
    fclose(f);
    return t;
}

static void write_file(const char *path, const struct text *t)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(t->data, 1, t->len, f) != t->len || fclose(f) != 0) { perror(path); exit(1); }
}

static void make_folders(const char *path)
{
    char at[PATH_BYTES * 2];
    snprintf(at, sizeof at, "%s", path);
    for (char *slash = strchr(at + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(at, 0777);
        *slash = '/';
    }
}

/* ---- paths --------------------------------------------------------------------------------------------------------------------- */

/* out = the path that `link` in a file of folder `from` means, without "." and ".."; false: above the root. */
static bool resolve(char out[PATH_BYTES], const char *from, const char *link)
{
    char whole[PATH_BYTES * 2];
    const char *slash = strrchr(from, '/');
    snprintf(whole, sizeof whole, "%.*s%s", slash ? (int)(slash - from + 1) : 0, from, link);
    size_t n = 0;
    out[0] = 0;
    for (char *part = strtok(whole, "/"); part; part = strtok(NULL, "/")) {
        if (strcmp(part, ".") == 0) continue;
        if (strcmp(part, "..") == 0) {
            if (n == 0) return false;
            while (n > 0 && out[--n] != '/') {}
            out[n] = 0;
            continue;
        }
        n += (size_t)snprintf(out + n, PATH_BYTES - n, "%s%s", n ? "/" : "", part);
        if (n >= PATH_BYTES) return false;
    }
    return true;
}

static struct page *page_of(const char *path)
{
    for (size_t i = 0; i < n_pages; i++) if (strcmp(pages[i].path, path) == 0) return &pages[i];
    return NULL;
}

static void name_page(struct page *p)
{
    const char *base = strrchr(p->path, '/');
    snprintf(p->name, sizeof p->name, "%s", strncmp(p->path, "docs/", 5) == 0 ? base + 1 : p->path);
    size_t n = strlen(p->name);
    if (n > 10 && strcmp(p->name + n - 10, "/README.md") == 0) n -= 7;      /* recipes/README.md: recipes */
    p->name[n - 3] = 0;
    for (char *c = p->name; *c; c++) *c = *c == '/' ? '-' : (char)tolower((unsigned char)*c);
    for (struct page *other = pages; other < p; other++)
        if (strcmp(other->name, p->name) == 0) complain(p, "has the name of %s in the site", other->path);
}

/* ---- Markdown to a body ------------------------------------------------------------------------------------------------------------ */

static void take_html(const MD_CHAR *data, MD_SIZE n, void *to) { add(to, data, n); }

/* Comments are set-up of examples: not shown. A comment begins and ends lines, outside of blocks of code. */
static struct text without_comments(const struct text *source)
{
    struct text out = { NULL, 0, 0 };
    bool in_code = false, in_comment = false;
    add_text(&out, "");
    for (const char *line = source->data; *line;) {
        size_t n = strcspn(line, "\n") + (line[strcspn(line, "\n")] == '\n');
        if (!in_comment && strncmp(line, "```", 3) == 0) in_code = !in_code;
        if (!in_code && strncmp(line, "<!--", 4) == 0) in_comment = true;
        if (!in_comment) add(&out, line, n);
        const char *end = strstr(line, "-->");
        if (in_comment && end && end < line + n) in_comment = false;
        line += n;
    }
    return out;
}

/* As GitHub makes them: lower case, letters, digits, '-' and '_'; blanks become '-'. */
static void make_id(struct page *p, char id[128], const char *html, size_t n)
{
    size_t len = 0;
    bool in_tag = false;
    for (size_t i = 0; i < n && len < 100; i++) {
        unsigned char c = (unsigned char)html[i];
        if (c == '<') in_tag = true;
        if (!in_tag && c == '&') { while (i < n && html[i] != ';') i++; continue; }
        if (!in_tag && (isalnum(c) || c == '-' || c == '_' || c >= 0x80)) id[len++] = (char)tolower(c);
        else if (!in_tag && c == ' ') id[len++] = '-';
        if (c == '>') in_tag = false;
    }
    id[len] = 0;
    int again = 0;
    for (size_t i = 0; i < p->n_headings; i++)
        if (strncmp(p->heading[i].id, id, len) == 0 && (p->heading[i].id[len] == 0 || (p->heading[i].id[len] == '-' && isdigit((unsigned char)p->heading[i].id[len + 1])))) again++;
    if (again) snprintf(id + len, 128 - len, "-%d", again);
}

/* Gives a heading its anchor; returns what stands behind it. */
static const char *take_heading(struct page *p, struct text *out, const char *at)
{
    int level = at[2] - '0';
    const char *begin = at + 4, *end = strstr(begin, "</h");
    p->heading = realloc(p->heading, (p->n_headings + 1) * sizeof *p->heading);
    if (!p->heading) { perror("site"); exit(1); }
    struct heading h = { .level = level, .title = { NULL, 0, 0 } };
    make_id(p, h.id, begin, (size_t)(end - begin));
    for (const char *c = begin; c < end; c++) {          /* a link in a heading is none in the table of contents */
        if (strncmp(c, "<a ", 3) == 0 || strncmp(c, "</a>", 4) == 0) c = strchr(c, '>');
        else add(&h.title, c, 1);
    }
    p->heading[p->n_headings++] = h;
    char open[256];
    snprintf(open, sizeof open, "<h%d id=\"%s\">", level, h.id);
    add_text(out, open);
    add(out, begin, (size_t)(end - begin));
    if (level > 1) {
        snprintf(open, sizeof open, "<a class=\"here\" href=\"#%s\" aria-label=\"link to this section\">#</a>", h.id);
        add_text(out, open);
    }
    add(out, end, 5);
    return end + 5;
}

/* Commands of a console stand out from what they print, and the prompt is not copied with them. */
static const char *take_console(struct text *out, const char *at)
{
    const char *end = strstr(at, "</code>");
    bool goes_on = false;
    while (at < end) {
        size_t n = strcspn(at, "\n") + 1;
        bool is_command = strncmp(at, "$ ", 2) == 0;
        if (is_command) add_text(out, "<i>$ </i>");
        if (is_command || goes_on) add_text(out, "<b>");
        add(out, at + 2 * is_command, n - 1 - 2 * is_command);
        if (is_command || goes_on) add_text(out, "</b>");
        goes_on = (is_command || goes_on) && n > 1 && at[n - 2] == '\\';
        add_text(out, "\n");
        at += n;
    }
    return end;
}

static void make_body(struct page *p)
{
    static const char console[] = "<code class=\"language-console\">";
    struct text source = read_file(p->file), shown = without_comments(&source), html = { NULL, 0, 0 };
    add_text(&html, "");
    if (md_html(shown.data, (MD_SIZE)shown.len, take_html, &html, MD_DIALECT_GITHUB, MD_HTML_FLAG_XHTML) != 0) complain(p, "cannot be read as Markdown");
    add_text(&p->body, "");
    for (const char *at = html.data; *at;) {
        if (at[0] == '<' && at[1] == 'h' && at[2] >= '1' && at[2] <= '6' && at[3] == '>') at = take_heading(p, &p->body, at);
        else if (strncmp(at, "<table>", 7) == 0) { add_text(&p->body, "<div class=\"wide\" tabindex=\"0\"><table>"); at += 7; }
        else if (strncmp(at, "</table>", 8) == 0) { add_text(&p->body, "</table></div>"); at += 8; }
        else if (strncmp(at, "\\|", 2) == 0) add(&p->body, ++at, 1), at++;             /* in code in a table, where md4c leaves the escape */
        else if (strncmp(at, console, sizeof console - 1) == 0) {
            add_text(&p->body, console);
            at = take_console(&p->body, at + sizeof console - 1);
        } else add(&p->body, at++, 1);
    }
    p->title = p->n_headings ? p->heading[0].title.data : p->name;
    if (!p->n_headings || p->heading[0].level != 1) complain(p, "does not begin with a heading of the first level");
    free(source.data);
    free(shown.data);
    free(html.data);
}

/* ---- links ----------------------------------------------------------------------------------------------------------------------------- */

static bool has_anchor(const struct page *p, const char *id)
{
    for (size_t i = 0; i < p->n_headings; i++) if (strcmp(p->heading[i].id, id) == 0) return true;
    return false;
}

static bool is_address(const char *link)
{
    const char *host = strstr(link, "://");
    if (!host || strpbrk(link, " <>\"`")) return false;
    host += 3;
    size_t n = strcspn(host, "/:?#");
    bool has_dot = memchr(host, '.', n) != NULL;
    return n > 0 && host[n - 1] != '.' && (has_dot || strncmp(host, "localhost", n) == 0);
}

static void copy_file(const char *out, const char *path)
{
    char to[PATH_BYTES * 2];
    struct text t = read_file(path);
    snprintf(to, sizeof to, "%s/files/%s", out, path);
    make_folders(to);
    write_file(to, &t);
    free(t.data);
}

/* The link as it stands in the site; what is wrong with it is told. */
static void add_link(struct text *to, struct page *p, const char *link, const char *out)
{
    char path[PATH_BYTES], relative[PATH_BYTES];
    const char *hash = strchr(link, '#');
    size_t n = hash ? (size_t)(hash - link) : strlen(link);
    if (strncmp(link, "mailto:", 7) == 0 || strncmp(link, "http", 4) == 0) {
        if (strncmp(link, "http", 4) == 0 && !is_address(link)) complain(p, "\"%s\" is no address of the web", link);
        add_text(to, link);
        return;
    }
    snprintf(relative, sizeof relative, "%.*s", (int)n, link);
    struct page *target = n == 0 ? p : NULL;
    if (n > 0 && !resolve(path, p->path, relative)) { complain(p, "\"%s\" leads out of the tree", link); return; }
    if (n > 0) target = page_of(path);
    if (target) {
        if (hash && !has_anchor(target, hash + 1)) complain(p, "\"%s\": %s has no section \"%s\"", link, target->path, hash + 1);
        if (n > 0) { add_text(to, target->name); add_text(to, ".html"); }
        if (hash) add_text(to, hash);
        return;
    }
    struct stat s;
    if (strncmp(path, "docs/api/", 9) == 0) { add_text(to, path + 5); return; }      /* made by Doxygen, beside the pages */
    if (stat(path, &s) != 0 || !S_ISREG(s.st_mode)) { complain(p, "\"%s\": there is no page or file %s", link, path); return; }
    copy_file(out, path);
    add_text(to, "files/");
    add_text(to, path);
}

static struct text linked_body(struct page *p, const char *out)
{
    struct text to = { NULL, 0, 0 };
    add_text(&to, "");
    for (const char *at = p->body.data; *at;) {
        size_t n = strncmp(at, " href=\"", 7) == 0 ? 7 : strncmp(at, " src=\"", 6) == 0 ? 6 : 0;
        add(&to, at, n ? n : 1);
        at += n ? n : 1;
        if (n) {
            char link[1024];
            size_t len = strcspn(at, "\"");
            snprintf(link, sizeof link, "%.*s", (int)len, at);
            add_link(&to, p, link, out);
            at += len;
        }
    }
    return to;
}

/* ---- the menu: docs/index.md's sections and the links of their lists ---------------------------------------------------------------- */

static void read_menu(void)
{
    struct page *index = page_of("docs/index.md");
    const char *section = NULL;
    size_t heading = 0;
    if (!index) { fputs("site: docs/index.md is not among the pages\n", stderr); exit(1); }
    for (const char *at = index->body.data; *at; at++) {
        if (at[0] == '<' && at[1] == 'h' && isdigit((unsigned char)at[2])) section = index->heading[heading++].title.data;
        if (strncmp(at, "<li>", 4) != 0) continue;
        const char *href = strstr(at, "<a href=\""), *end = strstr(at, "</li>");
        char link[PATH_BYTES], path[PATH_BYTES];
        if (!href || !end || href > end) continue;
        snprintf(link, sizeof link, "%.*s", (int)strcspn(href + 9, "\"#"), href + 9);
        struct page *p = resolve(path, index->path, link) ? page_of(path) : NULL;
        if (!p) continue;                                       /* add_link tells of it */
        const char *label = strchr(href, '>') + 1;
        menu[n_menu].section = section;
        menu[n_menu].page = (size_t)(p - pages);
        const char *hash = memchr(href + 9, '#', strcspn(href + 9, "\""));
        snprintf(menu[n_menu].anchor, sizeof menu->anchor, "%.*s", hash ? (int)strcspn(hash, "\"") : 0, hash ? hash : "");
        snprintf(menu[n_menu++].label, sizeof menu->label, "%.*s", (int)(strstr(label, "</a>") - label), label);
        p->is_listed = true;
    }
    index->is_listed = true;
    for (struct page *p = pages; p < pages + n_pages; p++)
        if (!p->is_listed && strncmp(p->path, "docs/reference/command-", 23) != 0) complain(p, "is in no list of docs/index.md");
}

static void add_menu(struct text *t, const struct page *here)
{
    const char *section = NULL;
    char line[PATH_BYTES * 2];
    snprintf(line, sizeof line, "<a href=\"index.html\"%s>Overview</a>\n", strcmp(here->name, "index") == 0 ? " aria-current=\"page\"" : "");
    add_text(t, line);
    for (size_t i = 0; i < n_menu; i++) {
        const struct page *p = &pages[menu[i].page];
        if (menu[i].section != section) {
            if (section) add_text(t, "</ul>\n");
            snprintf(line, sizeof line, "<h2>%s</h2>\n<ul>\n", section = menu[i].section);
            add_text(t, line);
        }
        bool is_here = p == here || (strncmp(here->name, "command-", 8) == 0 && strcmp(p->name, "commands") == 0);
        snprintf(line, sizeof line, "<li><a href=\"%s.html%s\"%s>%s</a></li>\n", p->name, menu[i].anchor, is_here ? " aria-current=\"page\"" : "", menu[i].label);
        add_text(t, line);
    }
    add_text(t, "</ul>\n");
}

static void add_contents(struct text *t, const struct page *p)
{
    size_t n = 0;
    char line[64];
    for (size_t i = 0; i < p->n_headings; i++) n += p->heading[i].level == 2 || p->heading[i].level == 3;
    if (n < 3 || strcmp(p->path, "docs/index.md") == 0) return;
    add_text(t, "<details class=\"contents\" open=\"open\"><summary>On this page</summary>\n<ul>\n");
    for (size_t i = 0; i < p->n_headings; i++) {
        if (p->heading[i].level != 2 && p->heading[i].level != 3) continue;
        snprintf(line, sizeof line, "<li class=\"level%d\"><a href=\"#", p->heading[i].level);
        add_text(t, line);
        add_text(t, p->heading[i].id);
        add_text(t, "\">");
        add_text(t, p->heading[i].title.data);
        add_text(t, "</a></li>\n");
    }
    add_text(t, "</ul>\n</details>\n");
}

static void add_neighbours(struct text *t, const struct page *here)
{
    char line[PATH_BYTES * 2];
    for (size_t i = 0; i < n_menu; i++) {
        if (&pages[menu[i].page] != here) continue;
        add_text(t, "<p class=\"neighbours\">");
        if (i > 0) snprintf(line, sizeof line, "<a rel=\"prev\" href=\"%s.html\">← %s</a> ", pages[menu[i - 1].page].name, menu[i - 1].label);
        if (i > 0) add_text(t, line);
        if (i + 1 < n_menu) snprintf(line, sizeof line, "<a rel=\"next\" href=\"%s.html\">%s →</a>", pages[menu[i + 1].page].name, menu[i + 1].label);
        if (i + 1 < n_menu) add_text(t, line);
        add_text(t, "</p>\n");
        return;
    }
}

static void write_page(struct page *p, const char *out)
{
    struct text t = { NULL, 0, 0 }, body = linked_body(p, out);
    char path[PATH_BYTES * 2];
    add_text(&t, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
                 "<meta name=\"color-scheme\" content=\"light dark\"/>\n<link rel=\"stylesheet\" href=\"site.css\"/>\n<title>");
    for (const char *c = p->title; *c; c++) { if (*c == '<') c = strchr(c, '>'); else add(&t, c, 1); }
    add_text(&t, " - starchat</title>\n</head>\n");
    add_text(&t, strncmp(p->path, "docs/reference/", 15) == 0 ? "<body class=\"reference\">\n" : "<body>\n");
    add_text(&t, "<a class=\"skip\" href=\"#text\">To the text</a>\n<header><a href=\"index.html\">starchat</a>\n"
                 "<input type=\"checkbox\" id=\"menu\"/><label for=\"menu\">All pages</label>\n<nav aria-label=\"all pages\">\n");
    add_menu(&t, p);
    add_text(&t, "</nav></header>\n<main id=\"text\">\n");
    const char *behind = strstr(body.data, "</h1>");            /* contents stand behind the title */
    size_t n = behind ? (size_t)(behind + 5 - body.data) : 0;
    add(&t, body.data, n);
    add_contents(&t, p);
    add(&t, body.data + n, body.len - n);
    add_neighbours(&t, p);
    add_text(&t, "</main>\n</body>\n</html>\n");
    snprintf(path, sizeof path, "%s/%s.html", out, p->name);
    write_file(path, &t);
    free(t.data);
    free(body.data);
}

int main(int argc, char **argv)
{
    if (argc < 4) { fputs("usage: site OUT STYLE.css PAGE...\n", stderr); return 2; }
    char to[PATH_BYTES * 2];
    for (int i = 3; i < argc && n_pages < PAGES_MAX; i++) {
        struct page *p = &pages[n_pages++];
        const char *equals = strchr(argv[i], '=');
        snprintf(p->path, sizeof p->path, "%.*s", (int)strcspn(argv[i], "="), argv[i]);
        snprintf(p->file, sizeof p->file, "%s", equals ? equals + 1 : argv[i]);
        name_page(p);
        make_body(p);
    }
    snprintf(to, sizeof to, "%s/site.css", argv[1]);
    make_folders(to);
    struct text style = read_file(argv[2]);
    write_file(to, &style);
    read_menu();
    for (size_t i = 0; i < n_pages; i++) write_page(&pages[i], argv[1]);
    if (mistakes) fprintf(stderr, "site: %d mistakes\n", mistakes);
    else printf("site: %zu pages in %s\n", n_pages, argv[1]);
    return mistakes != 0;
}
