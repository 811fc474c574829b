# Enters a namespace of another process.
# inside: exited
# outside: root
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 308 if os.uname().machine == "x86_64" else 268
if os.fork() == 0:
    r = libc.syscall(n, os.open('/proc/self/ns/mnt', 0), 0)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
