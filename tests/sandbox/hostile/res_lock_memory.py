# Locks memory, so that nobody else has it. Outside 16 MB.
# inside: exited
# outside: maybe
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
buf = ctypes.create_string_buffer(16 << 20)
if libc.mlock(buf, 16 << 20) == 0:
    print("REACHED")
