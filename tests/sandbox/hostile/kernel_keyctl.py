# Reads the kernel's keys.
# inside: exited
# outside: maybe
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 250 if os.uname().machine == "x86_64" else 219
if os.fork() == 0:
    r = libc.syscall(n, 0, -3, 1)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
