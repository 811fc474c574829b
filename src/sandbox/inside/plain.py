# plain.py - one program, as human-eval runs it: candidate and tests in one process. The verdict is written when the program's last line has been
# executed, so exit(0), os._exit(0), a kill or a crash before it are no pass. A program that reads this process can still write the verdict itself.
# Descriptors: 4 the program, 5 the nonce, 6 the verdict.
import sys, posix


def last_line(e):
    try:
        text = str(e)
    except BaseException:
        text = ""
    return "".join(c if c.isprintable() else "?" for c in type(e).__name__ + (": " + text if text else ""))[:400]


def run(read, write, leave):
    sys.path[:] = [p for p in sys.path if p]
    for place in ("%s/lib/python%d.%d/site-packages" % ((sys.prefix,) + sys.version_info[:2]), "/usr/lib/python3/dist-packages"):
        try:
            posix.stat(place)
            sys.path.append(place)
        except OSError:
            pass
    module = type(sys)("solution")
    sys.modules["solution"] = module
    source, outcome, detail = b"", "pass", ""
    while part := read(4, 1 << 20):
        source += part
    posix.close(4)
    try:
        code = compile(source, "solution.py", "exec")
    except BaseException as e:
        code, outcome, detail = None, "syntax" if isinstance(e, SyntaxError) else "error", last_line(e)
    if code:
        try:
            exec(code, module.__dict__)
        except AssertionError as e:
            outcome, detail = "fail", last_line(e)
        except MemoryError as e:
            outcome, detail = "oom", last_line(e)
        except BaseException as e:
            outcome, detail = "error", last_line(e)
    write(6, read(5, 32) + (" %s skipped 0 0 %s" % (outcome, detail)).encode("utf-8", "replace")[:900] + b"\n")
    leave(0)


run(posix.read, posix.write, posix._exit)
