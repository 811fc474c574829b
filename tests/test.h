/* test.h - a test is TEST(name) { CHECK(...); }; it registers itself and runs in a process of its own, so a crash is
 * one failed test. Run all: build/test_text; some: build/test_text bpe. Why not a library: registration without lists
 * and isolation by fork, in sixty lines. */
#ifndef TEST_H
#define TEST_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

struct test { const char *name; void (*run)(void); struct test *next; };
void test_register(struct test *t);
void test_failed(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Path of a file of the source tree (tests/...) or of the shared data folder, NULL if that is absent. */
const char *test_path(const char *relative);
const char *test_scratch(void);     /* an empty directory of this test, removed afterwards */

#define TEST(name) \
    static void test_##name(void); \
    static struct test test_row_##name = { #name, test_##name, NULL }; \
    __attribute__((constructor)) static void test_add_##name(void) { test_register(&test_row_##name); } \
    static void test_##name(void)

#define CHECK(condition) do { if (!(condition)) test_failed(__FILE__, __LINE__, "%s", #condition); } while (0)
#define CHECK_INT(found, expected) do { long long f_ = (long long)(found), e_ = (long long)(expected); \
    if (f_ != e_) test_failed(__FILE__, __LINE__, "%s is %lld, expected %lld", #found, f_, e_); } while (0)
#define CHECK_STR(found, expected) do { const char *f_ = (found), *e_ = (expected); \
    if (!f_ || strcmp(f_, e_) != 0) test_failed(__FILE__, __LINE__, "%s is \"%s\", expected \"%s\"", #found, f_ ? f_ : "(null)", e_); } while (0)
#define CHECK_OK(call) do { sc_error e_ = {0}; sc_error *err = &e_; if ((call) != SC_OK) test_failed(__FILE__, __LINE__, "%s: %s", #call, e_.message); } while (0)
/* The call fails with this status and a message that contains `part`. */
#define CHECK_FAILS(call, expected, part) do { sc_error e_ = {0}; sc_error *err = &e_; sc_status s_ = (call); \
    if (s_ != (expected) || !strstr(e_.message, (part))) \
        test_failed(__FILE__, __LINE__, "%s: status %s, message \"%s\", expected %s with \"%s\"", #call, sc_status_name(s_), e_.message, sc_status_name(expected), (part)); } while (0)

#endif
