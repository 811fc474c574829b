# Leaves a process behind that no one waits for. Outside one that ends by itself.
# inside: exited
# outside: mild
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(3):
            os.close(fd)
        os.execv(sys.executable, ["@MARK@", "-S", "-c", "import time; time.sleep(3)"])
    os._exit(0)
os.wait()
if "HOSTILE_MILD" in os.environ:
    time.sleep(0.5)
    print("REACHED" if any(b"@MARK@" in open("/proc/%s/cmdline" % p, "rb").read() for p in os.listdir("/proc") if p.isdigit() and int(p) != os.getpid() and os.path.exists("/proc/%s/cmdline" % p)) else "")
