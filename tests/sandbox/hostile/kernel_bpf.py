# Loads a map into the kernel.
# inside: exited
# outside: maybe
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
attr = (ctypes.c_uint * 18)(2, 4, 4, 1)
n = 321 if os.uname().machine == "x86_64" else 280
if os.fork() == 0:
    r = libc.syscall(n, 0, attr, 72)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
