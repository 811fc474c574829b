# Compares kernel objects of processes. Outside: optional in a kernel.
# inside: exited
# outside: maybe
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 312 if os.uname().machine == "x86_64" else 272
if os.fork() == 0:
    r = libc.syscall(n, os.getpid(), os.getpid(), 0, 0, 0)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
