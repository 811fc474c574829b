# Counts events of the processor.
# inside: exited
# outside: maybe
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
attr = (ctypes.c_uint * 32)(1, 128, 0, 0)
n = 298 if os.uname().machine == "x86_64" else 241
if os.fork() == 0:
    r = libc.syscall(n, attr, 0, -1, -1, 0)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
