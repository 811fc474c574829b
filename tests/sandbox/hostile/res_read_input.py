# Waits for an input that never comes. Outside there is one.
# inside: exited
# outside: yes
if input():
    print("REACHED")
