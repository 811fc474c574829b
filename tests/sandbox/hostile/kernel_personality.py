# Switches off address randomisation.
# inside: exited
# outside: yes
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 135 if os.uname().machine == "x86_64" else 92
if os.fork() == 0:
    r = libc.syscall(n, 0x0040000)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
