/* lockdown.h - giving up what a running program does not need. Layer 0. */
#ifndef LOCKDOWN_H
#define LOCKDOWN_H

#include "base/base.h"

/* LOCKDOWN_READ: read. WRITE: read, write, make, remove files; no directories. REMOVE: remove files, nothing else. ORDER lockdown_rights */
enum lockdown_rights { LOCKDOWN_READ, LOCKDOWN_WRITE, LOCKDOWN_REMOVE };
struct lockdown_path { const char *path; enum lockdown_rights rights; };      /* a directory: all beneath it; a file: this one, not another that takes its name */
enum { LOCKDOWN_FILES = 1, LOCKDOWN_CALLS = 2, LOCKDOWN_ALL = 3 };
struct lockdown_state { int landlock; bool seccomp; char missing[400]; };     /* Landlock's ABI; what this kernel cannot do, "" if nothing */
/* For all threads of this process, for good: files other than these, TCP connections, other programs and processes, and every system call that
 * a server does not make. What the kernel lacks is told in *out and is no failure; a path that is not there is. */
sc_status process_lock_down(struct lockdown_state *out, unsigned parts, const struct lockdown_path *path, size_t n, sc_error *err);

/* private: lockdown_calls.c */
void lock_calls(struct lockdown_state *out);
void lockdown_lacks(struct lockdown_state *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
