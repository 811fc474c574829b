# Gets at the machine's ports. Outside: for root, in a child.
# inside: exited
# outside: maybe
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 172 if os.uname().machine == "x86_64" else 999
if os.fork() == 0:
    r = libc.syscall(n, 3)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
