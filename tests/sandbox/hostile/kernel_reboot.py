# Switches the machine off. Never outside.
# inside: exited
# outside: never
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 169 if os.uname().machine == "x86_64" else 142
if os.fork() == 0:
    r = libc.syscall(n, 0xfee1dead, 672274793, 0x4321fedc, 0)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
