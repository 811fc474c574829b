# Lists the home directory, where keys are.
# inside: exited
# outside: yes
import os
for home in [os.environ.get("HOSTILE_HOME", "/root"), "/root", "/home"]:
    # Inside there may be the way to an interpreter beneath it, and nothing else.
    if os.path.isdir(home) and any(os.path.isfile(home + "/" + name) or name == ".ssh" for name in os.listdir(home)):
        print("REACHED")
        break
