# Takes a file as swap space. Never outside.
# inside: exited
# outside: never
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 167 if os.uname().machine == "x86_64" else 224
if os.fork() == 0:
    r = libc.syscall(n, b"/tmp/job/x", 0)
    os._exit(0 if r >= 0 or ctypes.get_errno() not in (1, 38) else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
