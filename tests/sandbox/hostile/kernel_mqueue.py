# Makes a message queue that outlives it. Outside: optional in a kernel.
# inside: exited
# outside: maybe
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 240 if os.uname().machine == "x86_64" else 180
if os.fork() == 0:
    r = libc.syscall(n, b"starchat-test", 0o102, 0o600, 0)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
