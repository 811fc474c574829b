/* test_yaml.c - YAML as JSON values: types of scalars as PyYAML's safe_load gives them, and what is refused. */
#include "test.h"

static void check_yaml(const char *yaml, const char *expected)
{
    json_t *value = NULL;
    sc_text text = { 0 };
    CHECK_OK(yaml_read(&value, NULL, yaml, strlen(yaml), "test", err));
    if (value) json_write(&text, value, false);
    CHECK_STR(text.data, expected);
    sc_text_free(&text);
    json_decref(value);
}

static void check_refused(const char *yaml, const char *part)
{
    json_t *value = NULL, *lines = NULL;
    CHECK_FAILS(yaml_read(&value, &lines, yaml, strlen(yaml), "a.yaml", err), SC_E_FORMAT, part);
    CHECK(!value && !lines);
}

TEST(yaml_whole_numbers)
{
    check_yaml("[0, 5, -7, +3, 1_000, 0x1F, 0b101, 010, -0x10]", "[0,5,-7,3,1000,31,5,8,-16]");
    check_yaml("[9223372036854775807, 08, 1a, _1, 0o17, 1-2]", "[9223372036854775807,\"08\",\"1a\",\"_1\",\"0o17\",\"1-2\"]");
    check_yaml("[1:30, 2024-01-31, 192.168.0.1]", "[\"1:30\",\"2024-01-31\",\"192.168.0.1\"]");
}

TEST(yaml_numbers_with_a_point)
{
    check_yaml("[2.0e-05, 1e-5, 1E5, .5, 5., -1.5, +2.25, 1_0.5, 1.5e+3]", "[2.0000000000000002e-5,1.0000000000000001e-5,100000.0,0.5,5.0,-1.5,2.25,10.5,1500.0]");
    check_yaml("[., e5, 1e, 1.2.3, 1e5x, -, '-.']", "[\".\",\"e5\",\"1e\",\"1.2.3\",\"1e5x\",\"-\",\"-.\"]");
    check_yaml("9223372036854775808", "9.2233720368547758e18");
}

TEST(yaml_words)
{
    check_yaml("[true, True, YES, on, false, No, off, null, ~, Null, ]", "[true,true,true,true,false,false,false,null,null,null]");
    check_yaml("[tRue, y, n, nil, none, 'true', \"null\", 'no']", "[\"tRue\",\"y\",\"n\",\"nil\",\"none\",\"true\",\"null\",\"no\"]");
    check_yaml("a:\nb: ~\n", "{\"a\":null,\"b\":null}");
    check_yaml("['5', \"1e3\", !!str 5]", "[\"5\",\"1e3\",\"5\"]");
}

TEST(yaml_shapes)
{
    check_yaml("", "null");
    check_yaml("# nothing\n", "null");
    check_yaml("a: 1\nb:\n- x\n- y: 2\n  z: [p, {q: r}]\n", "{\"a\":1,\"b\":[\"x\",{\"y\":2,\"z\":[\"p\",{\"q\":\"r\"}]}]}");
    check_yaml("text: |\n  one\n  two\nfolded: >-\n  one\n  two\n", "{\"text\":\"one\\ntwo\\n\",\"folded\":\"one two\"}");
    check_yaml("a: b # comment\nurl: http://x/y#z\n", "{\"a\":\"b\",\"url\":\"http://x/y#z\"}");
    check_yaml("{\"a\": [1, 2.5, \"\xC3\xA9\\n\"], \"b\": {}}", "{\"a\":[1,2.5,\"\xC3\xA9\\n\"],\"b\":{}}");
    check_yaml("--- &whole\na: &x 1\n...\n", "{\"a\":1}");
    check_yaml("5: five\ntrue: t\n", "{\"5\":\"five\",\"true\":\"t\"}");
}

TEST(yaml_lines_of_keys)
{
    static const char yaml[] = "# head\na: 1\n\nb:\n  c: 2\nd: 3\n";
    json_t *value, *lines;
    CHECK_OK(yaml_read(&value, &lines, yaml, sizeof yaml - 1, "test", err));
    CHECK_INT(json_integer_value(json_object_get(lines, "a")), 2);
    CHECK_INT(json_integer_value(json_object_get(lines, "b")), 4);
    CHECK_INT(json_integer_value(json_object_get(lines, "d")), 6);
    CHECK(!json_object_get(lines, "c"));
    json_decref(value);
    json_decref(lines);
}

TEST(yaml_refuses)
{
    check_refused("a: 1\nb: 2\na: 3\n", "a.yaml, line 3: the key \"a\" is there twice");
    check_refused("x:\n  {p: 1, p: 2}\n", "a.yaml, line 2: the key \"p\" is there twice");
    check_refused("a: &x 1\nb: *x\n", "a.yaml, line 2: \"*x\" repeats an earlier value");
    check_refused("a: [1, 2\nb: 3\n", "a.yaml, line 2: not valid YAML: while parsing a flow sequence");
    check_refused("a: 1\n---\nb: 2\n", "a.yaml, line 2: a second document begins");
    check_refused("? [1, 2]\n: x\n", "line 1: a list or map as a key");
    check_refused("a: !!python/object x\n", "line 1: the tag tag:yaml.org,2002:python/object is not understood");
    check_refused("a: .inf\n", "line 1: \".inf\" is no value");
    check_refused("a: \"x\\0y\"\n", "is no value that a key can have");
    check_refused("\"a\\0b\": 1\n", "holds a NUL character");
    check_refused("a: \"\\x1b[2J\\ud800\"\n", "not valid YAML");
    check_refused("a: b: c\n", "not valid YAML");
    check_refused("\ta: 1\n", "not valid YAML");
    check_refused("a: \xff\n", "not valid YAML");
}

TEST(yaml_limits)
{
    char deep[100];
    memset(deep, '[', 33);
    memset(deep + 33, ']', 33);
    deep[66] = 0;
    check_refused(deep, "nested deeper than 32 levels");
    deep[65] = 0;
    json_t *value;
    CHECK_OK(yaml_read(&value, NULL, deep + 1, 64, "test", err));
    json_decref(value);
    struct buf b;
    buf_init(&b, 0);
    for (int i = 0; i < 70000; i++) buf_puts(&b, "- 1\n");
    check_refused(b.data, "more than 65536 values");
    buf_release(&b);
}

TEST(yaml_files)
{
    json_t *value, *lines;
    char *path = path_join(test_scratch(), "a.yaml");
    CHECK_FAILS(yaml_read_file(&value, &lines, path, 100, err), SC_E_IO, "a.yaml");
    CHECK_OK(file_write(path, "k: v\n", 5, err));
    CHECK_OK(yaml_read_file(&value, &lines, path, 100, err));
    CHECK_STR(json_string_value(json_object_get(value, "k")), "v");
    json_decref(value);
    json_decref(lines);
    char large[200] = "";
    memset(large, '#', sizeof large);
    CHECK_OK(file_write(path, large, sizeof large, err));
    CHECK_FAILS(yaml_read_file(&value, &lines, path, 100, err), SC_E_FORMAT, "a.yaml");
    mem_free(path);
}
