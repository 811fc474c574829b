# Makes every other namespace. In a child.
# inside: exited
# outside: root
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
n = 272 if os.uname().machine == "x86_64" else 97
if os.fork() == 0:
    r = libc.syscall(n, 0x6c020000)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
