# Changes its root. Outside never: it would.
# inside: exited
# outside: never
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 155 if os.uname().machine == "x86_64" else 41
if os.fork() == 0:
    r = libc.syscall(n, b"/tmp", b"/tmp")
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
