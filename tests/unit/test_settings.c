/* test_settings.c - files of settings: what YAML becomes on a command line, and what is refused; keys that are made. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/server.h"
#include "test.h"

static sc_status parse(sc_settings *s, const char *text, sc_error *err) { return settings_parse(s, text, strlen(text), "FILE", err); }

TEST(values_become_texts)
{
    static const struct { const char *key, *value; sc_setting_kind kind; int line; } expected[] = {
        { "port", "8080", SC_SETTING_TEXT, 1 }, { "stretch", "2.5", SC_SETTING_TEXT, 2 }, { "whole", "1000", SC_SETTING_TEXT, 3 }, { "page", "false", SC_SETTING_TEXT, 4 },
        { "host", "unix:/run/a,b", SC_SETTING_TEXT, 5 }, { "alias", "a,2,true", SC_SETTING_LIST, 6 }, { "adapters", "t=runs/a b,s=runs/s", SC_SETTING_MAP, 8 }, { "empty", "", SC_SETTING_LIST, 11 },
    };
    sc_settings s;
    CHECK_OK(parse(&s, "port: 8080\nstretch: 2.5\nwhole: 1e3\npage: off\nhost: \"unix:/run/a,b\"\nalias: [a, 2, yes]\nnothing:\nadapters:\n  t: runs/a b\n  s: 'runs/s'\nempty: []\n", err));
    CHECK_INT(s.n, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < s.n; i++) {
        CHECK_STR(s.at[i].key, expected[i].key);
        CHECK_STR(s.at[i].value, expected[i].value);
        CHECK_INT(s.at[i].kind, expected[i].kind);
        CHECK_INT(s.at[i].line, expected[i].line);
    }
    sc_settings_free(&s);
    CHECK_OK(parse(&s, "# nothing\n", err));
    CHECK_INT(s.n, 0);
    sc_settings_free(&s);
}

TEST(what_has_no_form_is_refused)
{
    sc_settings s;
    CHECK_FAILS(parse(&s, "port: 1\nalias: [a, [b]]\n", err), SC_E_FORMAT, "FILE, line 2: alias: a part of it is no plain text or number");
    CHECK_FAILS(parse(&s, "alias: [\"a,b\"]\n", err), SC_E_FORMAT, "a part of it holds a comma");
    CHECK_FAILS(parse(&s, "adapters: {\"a,b\": x}\n", err), SC_E_FORMAT, "a part of it holds a comma");
    CHECK_FAILS(parse(&s, "adapters: {\"a=b\": x}\n", err), SC_E_FORMAT, "a name in it is empty or holds \"=\"");
    CHECK_FAILS(parse(&s, "adapters: {a: {b: c}}\n", err), SC_E_FORMAT, "a part of it is no plain text");
    CHECK_FAILS(parse(&s, "- port\n", err), SC_E_FORMAT, "FILE: expected lines \"key: value\"");
    CHECK_FAILS(parse(&s, "port: 1\nport: 2\n", err), SC_E_FORMAT, "line 2");
    CHECK_FAILS(sc_settings_read(&s, "/nowhere", err), SC_E_IO, "/nowhere");
}

/* ---- keys ------------------------------------------------------------------------------------------------------------------------------ */

static char *key_file(void)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/keys", test_scratch());
    return path;
}

TEST(new_keys_are_found_by_the_server)
{
    sc_text key[3];
    struct api_keys keys;
    struct stat is;
    static const char *const names[] = { "laptop", NULL, "R\xc3\xb6ntgen 2" };
    for (size_t i = 0; i < 3; i++) {
        CHECK_OK(sc_key_new(&key[i], key_file(), names[i], err));
        CHECK_INT(key[i].len, 3 + 48);
        CHECK(strncmp(key[i].data, "sc-", 3) == 0);
        if (i == 0) CHECK(truncate(key_file(), 71 + 7) == 0);      /* a last line without an end */
    }
    CHECK(stat(key_file(), &is) == 0 && (is.st_mode & 0777) == 0600);
    CHECK_OK(api_keys_read(&keys, key_file(), err));
    CHECK_INT(keys.n, 3);
    for (size_t i = 0; i < 3; i++) CHECK_INT(api_keys_find(&keys, key[i].data, key[i].len), i);
    CHECK_STR(keys.at[0].name, "laptop");
    CHECK_STR(keys.at[2].name, "R\xc3\xb6ntgen 2");
    CHECK_INT(api_keys_find(&keys, key[0].data, key[0].len - 1), -1);
    for (size_t i = 0; i < 3; i++) sc_text_free(&key[i]);
    api_keys_release(&keys);
}

TEST(keys_that_cannot_be_made)
{
    sc_text key;
    CHECK_FAILS(sc_key_new(&key, key_file(), "two\nlines", err), SC_E_ARGUMENT, "the name of a key");
    CHECK_FAILS(sc_key_new(&key, key_file(), "012345678901234567890123456789012345678901234567", err), SC_E_ARGUMENT, "has 48 bytes");
    CHECK(access(key_file(), F_OK) != 0);
    int fd = open(key_file(), O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0 && fchmod(fd, 0640) == 0);
    close(fd);
    CHECK_FAILS(sc_key_new(&key, key_file(), NULL, err), SC_E_IO, "chmod 600");
    CHECK_FAILS(sc_key_new(&key, test_scratch(), NULL, err), SC_E_IO, "cannot open");
    CHECK_FAILS(sc_key_new(&key, "/nowhere/keys", NULL, err), SC_E_IO, "/nowhere/keys");
}

TEST(a_refused_number_changes_nothing)
{
    sc_server_config c;
    sc_options_defaults(sc_options_for("serve"), &c);
    CHECK_FAILS(sc_options_set(sc_options_for("serve"), &c, "port", "99999999999999999999", err), SC_E_ARGUMENT, "port");
    CHECK_FAILS(sc_options_set(sc_options_for("serve"), &c, "port", "70000", err), SC_E_ARGUMENT, "port is 70000");
    CHECK_FAILS(sc_options_set(sc_options_for("serve"), &c, "port", "12x", err), SC_E_ARGUMENT, "whole number");
    CHECK_INT(c.port, 8080);
    CHECK_FAILS(sc_options_set(sc_options_for("serve"), &c, "stretch", "nan", err), SC_E_ARGUMENT, "a number");
    CHECK_FAILS(sc_options_set(sc_options_for("serve"), &c, "stretch", "inf", err), SC_E_ARGUMENT, "a number");
    CHECK(c.stretch == 2.5);
}
