# Sets the clock. Never outside.
# inside: exited
# outside: never
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
t = (ctypes.c_long * 2)(0, 0)
n = 227 if os.uname().machine == "x86_64" else 112
if os.fork() == 0:
    r = libc.syscall(n, 0, t)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
