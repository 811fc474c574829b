# Opens a ring, around which filters see nothing.
# inside: exited
# outside: maybe
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
params = ctypes.create_string_buffer(120)
n = 425 if os.uname().machine == "x86_64" else 425
if os.fork() == 0:
    r = libc.syscall(n, 4, params)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
