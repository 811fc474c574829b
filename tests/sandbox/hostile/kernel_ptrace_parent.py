# Traces its parent (PTRACE_SEIZE, which does not stop it).
# inside: exited
# outside: yes
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 101 if os.uname().machine == "x86_64" else 117
if os.fork() == 0:
    r = libc.syscall(n, 0x4206, os.getppid(), 0, 0)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
