/* enter.h - what the helper inside a sandbox (enter.c) and the program outside (sandbox_run.c) agree on. Includes nothing of libc but stdint. */
#ifndef ENTER_H
#define ENTER_H

#include <stdint.h>

/* A record of the status pipe. STARTED: written right before the program begins. FAILED: exec failed, value is errno. EXITED, KILLED: value is the code
 * or the signal. PROBED: value is a set of ENTER_OPEN_ bits, 0 when the sandbox is tight. */
enum { ENTER_STARTED = 0x53545254, ENTER_FAILED, ENTER_EXITED, ENTER_KILLED, ENTER_PROBED };
struct enter_record { uint32_t kind; int32_t value; uint64_t cpu_us, peak_kb; };

/* Arguments of the helper, decimal, in this order, then the program and its arguments. */
enum { ENTER_STATUS_FD = 1, ENTER_N_FDS, ENTER_ADDRESS_SPACE, ENTER_PROCESSES, ENTER_CPU, ENTER_FILE_BYTES, ENTER_OPEN_FILES, ENTER_IS_PROBE, ENTER_PROGRAM };

/* What the probe found open that has to be shut. ORDER enter_open_text */
enum { ENTER_OPEN_USER = 1, ENTER_OPEN_PID = 2, ENTER_OPEN_FILES_READ = 4, ENTER_OPEN_ROOT_WRITE = 8, ENTER_OPEN_SOCKET = 16, ENTER_OPEN_NAMESPACE = 32, ENTER_OPEN_MOUNT = 64,
       ENTER_OPEN_PTRACE = 128, ENTER_OPEN_PRIVILEGES = 256, ENTER_OPEN_SECCOMP = 512 };
#define ENTER_HAS_LANDLOCK 0x10000

#endif
