# The same by clone3, whose flags a filter cannot see.
# inside: exited
# outside: yes
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
args = (ctypes.c_ulonglong * 11)(0x10000000, 0, 0, 0, 17)
n = 435 if os.uname().machine == "x86_64" else 435
if os.fork() == 0:
    r = libc.syscall(n, args, 88)
    os._exit(0 if (r == 0 and os._exit(0)) or r > 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
