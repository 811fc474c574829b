# Loads a kernel module. Never outside.
# inside: exited
# outside: never
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 313 if os.uname().machine == "x86_64" else 273
if os.fork() == 0:
    r = libc.syscall(n, -1, b"", 0)
    os._exit(0 if r >= 0 or ctypes.get_errno() not in (1, 38) else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
