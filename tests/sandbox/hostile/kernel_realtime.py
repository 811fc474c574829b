# Runs before everyone else.
# inside: exited
# outside: maybe
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
p = (ctypes.c_int * 1)(1)
n = 144 if os.uname().machine == "x86_64" else 119
if os.fork() == 0:
    r = libc.syscall(n, 0, 1, p)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
