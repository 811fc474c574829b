# Finds an API key in the environment.
# inside: exited
# outside: yes
import os
if os.environ.get("HOSTILE_SECRET"):
    print("REACHED")
