# Opens files by handle, past all directories.
# inside: exited
# outside: maybe
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
buf = ctypes.create_string_buffer(136)
ctypes.cast(buf, ctypes.POINTER(ctypes.c_uint))[0] = 128
mount = ctypes.c_int()
n = 303 if os.uname().machine == "x86_64" else 264
if libc.syscall(n, -100, b"/tmp", buf, ctypes.byref(mount), 0) == 0:
    print("REACHED")
