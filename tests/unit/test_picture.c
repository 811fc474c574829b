/* test_picture.c - answers that draw: what of an answer is the program, PNGs of every kind, good, blank and damaged, and base64. */
#include "test.h"

#include <zlib.h>

#include "eval/eval_internal.h"

/* ---- what is the program ---------------------------------------------------------------------------------------------------------------- */

static void check_answer(const char *text, enum picture_form asked, enum picture_form form, const char *code)
{
    struct span_text found;
    enum picture_form is = picture_answer(&found, text, strlen(text), asked);
    if (is != form || found.len != strlen(code) || memcmp(found.at, code, found.len) != 0) test_failed(__FILE__, __LINE__, "%s: form %d, \"%.*s\", expected form %d, \"%s\"", text, (int)is, (int)found.len, found.at, (int)form, code);
}

TEST(the_first_block_of_python_counts)
{
    check_answer("Sure:\n```python\na = 1\n```\nand\n```python\nb = 2\n```\n", PICTURE_PYTHON, PICTURE_PYTHON, "a = 1\n");
    check_answer("```bash\npip install x\n```\n```Python\na = 1\n```", PICTURE_PYTHON, PICTURE_PYTHON, "a = 1\n");
    check_answer("```{.python}\na = 1\n", PICTURE_PYTHON, PICTURE_PYTHON, "a = 1\n");
    check_answer("see\n```\na = 1\n```\n", PICTURE_PYTHON, PICTURE_PYTHON, "a = 1\n");
    check_answer("a = 1\nprint(a)", PICTURE_PYTHON, PICTURE_PYTHON, "a = 1\nprint(a)");
    check_answer("1. so:\n   ```py\n   a = 1\n   ```\n", PICTURE_PYTHON, PICTURE_PYTHON, "   a = 1\n");
    check_answer("", PICTURE_PYTHON, PICTURE_PYTHON, "");
    check_answer("```", PICTURE_PYTHON, PICTURE_PYTHON, "");
}

TEST(unicorns_come_in_three_forms)
{
    check_answer("A unicorn:\n```latex\n\\begin{tikzpicture}\\draw (0,0);\\end{tikzpicture}\n```\n", PICTURE_TIKZ, PICTURE_TIKZ, "\\begin{tikzpicture}\\draw (0,0);\\end{tikzpicture}\n");
    check_answer("Here \\begin{tikzpicture}x\\end{tikzpicture} it is", PICTURE_TIKZ, PICTURE_TIKZ, "\\begin{tikzpicture}x\\end{tikzpicture}");
    check_answer("```\n\\usetikzlibrary{calc}\n\\begin{tikzpicture}\n\\end{tikzpicture}\n```", PICTURE_TIKZ, PICTURE_TIKZ, "\\usetikzlibrary{calc}\n\\begin{tikzpicture}\n\\end{tikzpicture}\n");
    check_answer("I would rather\n```python\nimport x\n```\n", PICTURE_TIKZ, PICTURE_PYTHON, "import x\n");
    check_answer("<p><svg a='1'><svg/></svg> and <svg></svg></p>", PICTURE_SVG, PICTURE_SVG, "<svg a='1'><svg/></svg> and <svg></svg>");
    check_answer("```xml\n<?xml version='1.0'?>\n<svg>\n</svg>\n```", PICTURE_SVG, PICTURE_SVG, "<svg>\n</svg>");
    check_answer("<svg>", PICTURE_TIKZ, PICTURE_SVG, "<svg>");
    check_answer("no", PICTURE_SVG, PICTURE_SVG, "no");
}

static void check_document(const char *text, const char *wanted)
{
    struct buf b;
    buf_init(&b, 0);
    picture_document(&b, text, strlen(text));
    CHECK_STR(b.data, wanted);
    buf_release(&b);
}

#define HEAD "\\documentclass[tikz]{standalone}\n\\usepackage{tikz}\n"
TEST(tikz_becomes_a_document)
{
    check_document("\\documentclass{article} x", "\\documentclass{article} x");
    check_document("\\begin{tikzpicture}\\end{tikzpicture}", HEAD "\n\\begin{document}\n\\begin{tikzpicture}\\end{tikzpicture}\n\\end{document}\n");
    check_document("\\definecolor{a}{RGB}{1,2,3}\n\\begin{tikzpicture}", HEAD "\\definecolor{a}{RGB}{1,2,3}\n\n\\begin{document}\n\\begin{tikzpicture}\n\\end{document}\n");
    check_document("Look: \\begin{tikzpicture}", HEAD "\n\\begin{document}\n\\begin{tikzpicture}\n\\end{document}\n");
    check_document("\\draw (0,0);", HEAD "\n\\begin{document}\n\\begin{tikzpicture}\n\\draw (0,0);\n\\end{tikzpicture}\n\\end{document}\n");
    check_document("\\begin{document}x\\end{document}", HEAD "\\begin{document}x\\end{document}");
}

/* ---- PNG --------------------------------------------------------------------------------------------------------------------------------- */

static void put_u32(struct buf *b, uint32_t x)
{
    const char four[4] = { (char)(x >> 24), (char)(x >> 16), (char)(x >> 8), (char)x };
    buf_append(b, four, 4);
}

static void put_chunk(struct buf *b, const char *name, const void *data, size_t len)
{
    put_u32(b, (uint32_t)len);
    size_t at = b->len;
    buf_append(b, name, 4);
    buf_append(b, data, len);
    put_u32(b, (uint32_t)crc32(0, (const Bytef *)b->data + at, (uInt)(b->len - at)));
}

struct kind { unsigned depth, color, channels; };

/* Pixels p(x, y) = all bits of the byte `value`, but the last pixel is `last`; every row has the filter `filter`, which the rows here are encoded for. */
static void make_png(struct buf *out, const struct kind *k, uint32_t width, uint32_t height, uint8_t value, uint8_t last, int filter)
{
    size_t bits = (size_t)k->depth * k->channels, n = (width * bits + 7) / 8, back = bits < 8 ? 1 : bits / 8, raw_bytes = (n + 1) * height;
    uint8_t *raw = mem_zero(raw_bytes, 1), *rows = mem_alloc(n * height), head[13] = { 0 };
    memset(rows, value, n * height);
    uint8_t *end = rows + n * height;
    if (bits >= 8) memset(end - bits / 8, last, bits / 8);
    else {
        unsigned used = (unsigned)(width * bits % 8), shift = used ? 8 - used : 0, mask = ((1u << bits) - 1) << shift;
        end[-1] = (uint8_t)((end[-1] & ~mask) | (last & mask));
        if (used) end[-1] ^= (uint8_t)(0x5a & ((1u << shift) - 1));      /* bits behind the last pixel mean nothing */
    }
    for (uint32_t y = 0; y < height; y++) {
        const uint8_t *now = rows + y * n, *above = y ? now - n : NULL;
        raw[y * (n + 1)] = (uint8_t)filter;
        for (size_t i = 0; i < n; i++) {
            int a = i >= back ? now[i - back] : 0, b = above ? above[i] : 0, c = above && i >= back ? above[i - back] : 0, p = a + b - c;
            int nearest = abs(p - a) <= abs(p - b) && abs(p - a) <= abs(p - c) ? a : abs(p - b) <= abs(p - c) ? b : c;
            const int guess[] = { 0, a, b, (a + b) / 2, nearest, 0 };
            raw[y * (n + 1) + 1 + i] = (uint8_t)(now[i] - guess[filter]);
        }
    }
    uLongf packed_bytes = compressBound(raw_bytes);
    uint8_t *packed = mem_alloc(packed_bytes);
    CHECK_INT(compress2(packed, &packed_bytes, raw, raw_bytes, 6), Z_OK);
    for (int i = 0; i < 4; i++) { head[i] = (uint8_t)(width >> (24 - 8 * i)); head[4 + i] = (uint8_t)(height >> (24 - 8 * i)); }
    head[8] = (uint8_t)k->depth;
    head[9] = (uint8_t)k->color;
    buf_init(out, 0);
    buf_append(out, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(out, "IHDR", head, 13);
    put_chunk(out, "tEXt", "a\0b", 3);
    if (k->color == 3) put_chunk(out, "PLTE", "\1\2\3\4\5\6", 6);
    put_chunk(out, "IDAT", packed, packed_bytes / 2);           /* in two, as large ones are */
    put_chunk(out, "IDAT", packed + packed_bytes / 2, packed_bytes - packed_bytes / 2);
    put_chunk(out, "IEND", "", 0);
    mem_free(raw);
    mem_free(rows);
    mem_free(packed);
}

static const struct kind kinds[] = { { 1, 0, 1 }, { 2, 0, 1 }, { 4, 0, 1 }, { 8, 0, 1 }, { 16, 0, 1 }, { 8, 2, 3 }, { 16, 2, 3 }, { 1, 3, 1 }, { 2, 3, 1 }, { 4, 3, 1 }, { 8, 3, 1 }, { 8, 4, 2 }, { 16, 4, 2 }, { 8, 6, 4 }, { 16, 6, 4 } };

TEST(pngs_of_every_kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (int filter = 0; filter < 5; filter++)
            for (uint32_t width = 1; width <= 17; width += 4) {
                struct buf b;
                struct picture_size size;
                bool is_blank;
                make_png(&b, &kinds[i], width, 3, 0xff, 0xff, filter);
                const char *wrong = picture_png(&size, &is_blank, b.data, b.len);
                if (wrong || size.width != width || size.height != 3 || !is_blank) test_failed(__FILE__, __LINE__, "kind %zu, filter %d, width %u: %s, blank %d", i, filter, width, wrong ? wrong : "taken", is_blank);
                buf_release(&b);
                make_png(&b, &kinds[i], width, 3, 0xff, 0x00, filter);
                wrong = picture_png(&size, &is_blank, b.data, b.len);
                if (wrong || is_blank) test_failed(__FILE__, __LINE__, "kind %zu, filter %d, width %u: %s, one pixel differs and it is blank", i, filter, width, wrong ? wrong : "taken");
                buf_release(&b);
            }
}

static void check_refused(const struct buf *b, size_t len, const char *wanted)
{
    struct picture_size size;
    bool is_blank;
    const char *wrong = picture_png(&size, &is_blank, b->data, len);
    if (!wrong || (wanted && !strstr(wrong, wanted))) test_failed(__FILE__, __LINE__, "%s, expected %s", wrong ? wrong : "taken", wanted ? wanted : "a refusal");
}

TEST(damaged_pngs_are_refused)
{
    struct buf b;
    make_png(&b, &kinds[5], 9, 7, 3, 5, 4);
    for (size_t n = 0; n < b.len; n++) check_refused(&b, n, NULL);                 /* torn anywhere */
    for (size_t i = 0; i < b.len; i++) {                                           /* every byte counts */
        b.data[i] ^= 0x15;
        check_refused(&b, b.len, NULL);
        b.data[i] ^= 0x15;
    }
    buf_putc(&b, 'x');
    check_refused(&b, b.len, "follows its end");
    buf_release(&b);
    make_png(&b, &kinds[5], 4, 4, 1, 2, 5);
    check_refused(&b, b.len, "a row of it is damaged");                            /* no such filter */
    buf_release(&b);
    /* Heads that lie, with right sums. */
    const struct { int at; uint8_t value; const char *wrong; } lies[] = { { 3, 8, "unpacked" }, { 3, 16, "more rows" }, { 7, 6, "more rows" }, { 7, 9, "missing" }, { 0, 1, "larger" }, { 3, 0, "empty" }, { 8, 7, "no kind" }, { 9, 5, "no kind" }, { 10, 1, "no kind" }, { 12, 1, "interlaced" } };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        make_png(&b, &kinds[5], 9, 7, 3, 5, 0);
        b.data[16 + lies[i].at] = (char)lies[i].value;
        uint32_t sum = (uint32_t)crc32(0, (const Bytef *)b.data + 12, 17);
        for (int k = 0; k < 4; k++) b.data[29 + k] = (char)(sum >> (24 - 8 * k));
        check_refused(&b, b.len, i < 2 ? NULL : lies[i].wrong);
        buf_release(&b);
    }
}

/* ---- base64 --------------------------------------------------------------------------------------------------------------------------------- */

TEST(base64_is_rfc_4648)
{
    static const char *const plain[] = { "", "f", "fo", "foo", "foob", "fooba", "foobar", "\xff\xfe\x00" }, *const coded[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy", "//4A" };
    for (size_t i = 0; i < 8; i++) {
        size_t len = i == 7 ? 3 : strlen(plain[i]);
        struct buf a, b;
        buf_init(&a, 0);
        buf_init(&b, 0);
        picture_encode(&a, plain[i], len);
        CHECK(a.len == strlen(coded[i]) && (!a.len || !memcmp(a.data, coded[i], a.len)));
        CHECK(picture_decode(&b, coded[i], strlen(coded[i])) && b.len == len && (!len || !memcmp(b.data, plain[i], len)));
        buf_release(&a);
        buf_release(&b);
    }
    static const char *const bad[] = { "Z", "Zg", "Zg=", "Z===", "====", "Zm9v\n", "Zm 9", "Zg==Zg==", "Zm9-" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf b;
        buf_init(&b, 0);
        if (picture_decode(&b, bad[i], strlen(bad[i]))) test_failed(__FILE__, __LINE__, "%s is taken", bad[i]);
        buf_release(&b);
    }
}
