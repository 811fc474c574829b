# Mounts by the new calls.
# inside: exited
# outside: root
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 430 if os.uname().machine == "x86_64" else 430
if os.fork() == 0:
    r = libc.syscall(n, b"tmpfs", 0)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
