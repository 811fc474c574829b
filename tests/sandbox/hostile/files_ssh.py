# Reads a private key beside which a sandbox starts.
# inside: exited
# outside: yes
print("REACHED" if open("@SCRATCH@/.ssh/id_secret").read() else "")
