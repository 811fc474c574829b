# Mounts a file system. Outside in a child with a mount namespace of its own.
# inside: exited
# outside: root
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.unshare(0x20000)
libc.mount(None, b"/", None, 0x44000, None)
n = 165 if os.uname().machine == "x86_64" else 40
if os.fork() == 0:
    r = libc.syscall(n, b"none", b"/tmp", b"tmpfs", 0, 0)
    os._exit(0 if r >= 0 else 1)
if os.waitstatus_to_exitcode(os.wait()[1]) == 0:
    print("REACHED")
