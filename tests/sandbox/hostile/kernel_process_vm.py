# Reads the memory of another process by call.
# inside: exited
# outside: yes
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
buf = ctypes.create_string_buffer(8)
local = (ctypes.c_size_t * 2)(ctypes.addressof(buf), 8)
n = 310 if os.uname().machine == "x86_64" else 270
if os.fork() == 0:
    # The last argument lies on the stack, where an int would leave half of its place as it was.
    r = libc.syscall(n, *map(ctypes.c_ulong, (os.getpid(), ctypes.addressof(local), 1, ctypes.addressof(local), 1, 0)))
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
