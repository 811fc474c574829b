# Asks for disk quotas.
# inside: exited
# outside: maybe
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 179 if os.uname().machine == "x86_64" else 60
if os.fork() == 0:
    r = libc.syscall(n, 0x800001 << 8, 0, 0, 0)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
