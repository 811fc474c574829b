# Makes shared memory that outlives it. Removed again.
# inside: exited
# outside: yes
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 29 if os.uname().machine == "x86_64" else 194
if os.fork() == 0:
    r = libc.syscall(n, 0, 4096, 0o1600)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
