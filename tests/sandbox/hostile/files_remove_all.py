# rm -rf of all that can be removed but its own directory. Outside against a scratch directory.
# inside: exited
# outside: scratch
import os, shutil
place = os.environ.get("HOSTILE_SCRATCH", "/usr/bin")
open(os.environ.get("HOSTILE_SCRATCH", "/tmp") + "/mine", "w").close()
before = len(os.listdir(place))
shutil.rmtree(place, ignore_errors=True)
if not os.path.exists(place) or len(os.listdir(place)) < before:
    print("REACHED")
