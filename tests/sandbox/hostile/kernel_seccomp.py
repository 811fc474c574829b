# Filters calls itself, to let others fail.
# inside: exited
# outside: yes
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
code = (ctypes.c_uint * 2)(0x06, 0x7fff0000)
class Prog(ctypes.Structure):
    _fields_ = [('n', ctypes.c_ushort), ('p', ctypes.c_void_p)]
prog = ctypes.byref(Prog(1, ctypes.addressof(code)))
libc.prctl(38, 1, 0, 0, 0)
n = 317 if os.uname().machine == "x86_64" else 277
if os.fork() == 0:
    r = libc.syscall(n, 1, 0, prog)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
