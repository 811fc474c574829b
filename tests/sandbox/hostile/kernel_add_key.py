# Keeps a secret in the kernel's keys.
# inside: exited
# outside: maybe
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 248 if os.uname().machine == "x86_64" else 217
if os.fork() == 0:
    r = libc.syscall(n, b"user", b"starchat-test", b"x", 1, -2)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
