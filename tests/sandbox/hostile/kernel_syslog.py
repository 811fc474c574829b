# Reads the kernel's log.
# inside: exited
# outside: maybe
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
buf = ctypes.create_string_buffer(64)
n = 103 if os.uname().machine == "x86_64" else 116
if os.fork() == 0:
    r = libc.syscall(n, 3, buf, 64)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
