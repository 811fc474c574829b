# Makes a program that runs as root, and runs it.
# inside: exited
# outside: root
import os, shutil, subprocess
shutil.copy("/usr/bin/id", "id")
os.chmod("id", 0o4755)
if subprocess.run(["./id", "-u"], capture_output=True, text=True).stdout.strip() == "0":
    print("REACHED")
