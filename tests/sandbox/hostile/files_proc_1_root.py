# Goes out through the first process. Outside: some machines hide it from root too.
# inside: exited
# outside: maybe
import os
if os.listdir(os.path.join("/proc/1/root", "usr")):
    print("REACHED")
