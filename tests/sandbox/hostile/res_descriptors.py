# Opens files without end. Outside 200, more than a sandbox allows.
# inside: exited
# outside: yes
have = [open("/dev/null") for i in range(200)]
print("REACHED")
