# checker.py - the half that is trusted: runs the tests, calls the candidate through a pipe, and writes the verdict on a descriptor that the candidate's
# process never had. Nothing that arrives is executed: values are rebuilt with exact types, and an object of the candidate is a handle whose equality,
# order, truth and arithmetic are never asked of it, so that an object that equals everything equals nothing.
# Descriptors: 4 the task, 5 replies of the candidate, 6 requests, 7 the verdict.
import builtins, select, time


TRANSFER_SECONDS = 20


class Lost(BaseException):
    """The candidate's process is gone."""


class Slow(BaseException):
    """A call took too long."""


class Connection:
    def __init__(self, replies, requests):
        self.replies, self.requests, self.number, self.given, self.depth = replies, requests, 0, [], 0
        self.limit, self.deadline, self.dead, self.detail, self.classes = 3.0, 0.0, None, "", {}
        self.poll = select.poll()
        self.poll.register(replies, select.POLLIN)

    def stop(self, outcome, detail, kind):
        """Once and for good: a test that catches everything does not turn this into a pass."""
        if self.dead is None:
            self.dead, self.detail = outcome, detail
        raise kind(detail)

    def wait(self):
        left = self.deadline - time.monotonic()
        if left <= 0 or not self.poll.poll(left * 1000):
            self.stop("timeout", "a call took longer than %g s" % self.limit, Slow)

    def other(self, v):
        if type(v) is Proxy or type(v) is ProxyIterator:
            return ["h", object.__getattribute__(v, "handle")]
        if type(v) is type or type(v) is type(len):
            if getattr(builtins, v.__name__, None) is v:
                return ["B", v.__name__]
        if not callable(v) and not hasattr(type(v), "__next__"):
            raise TypeError("a test gives the candidate a %s, which cannot cross" % type(v).__name__)
        self.given.append(v)
        return ["k" if callable(v) else "n", len(self.given) - 1]

    def back(self, tree):
        if tree[0] == "h" and len(tree) == 2 and type(tree[1]) is int:
            return Proxy(tree[1])
        if tree[0] in ("k", "n") and len(tree) == 2 and type(tree[1]) is int and 0 <= tree[1] < len(self.given):
            return self.given[tree[1]]
        raise Malformed("an unknown tag")

    def request(self, *words, meanwhile=None):
        if self.dead is not None:
            raise Lost(self.detail)
        if self.depth == 0:
            self.deadline = time.monotonic() + self.limit
        self.number += 1
        number = self.number
        self.depth += 1
        try:
            send(self.requests, [number] + list(words))
            if meanwhile:
                meanwhile()                                  # may make the deadline later
            return self.answer(number)
        except Malformed as e:
            self.stop("forged", "the candidate's process sent what is no answer: %s" % e, Lost)
        except OSError:
            self.stop("lost", "the program ended before the tests were done", Lost)
        finally:
            self.depth -= 1

    def answer(self, number):
        is_large = False
        while True:
            reply = receive(self.replies, self.wait)
            if reply is None:
                self.stop("lost", "the program ended before the tests were done", Lost)
            if type(reply) is not list or len(reply) < 3 or reply[0] != number or type(reply[0]) is not int:
                raise Malformed("an answer to nothing that was asked")
            if reply[1] == "r":
                return reply[2:]
            if reply[1] == "large" and not is_large:         # it has computed, and now writes
                is_large = True
                self.deadline = max(self.deadline, time.monotonic() + TRANSFER_SECONDS)
                continue
            if reply[1] in ("x", "s") and len(reply) == 4 and type(reply[3]) is str:
                raise self.exception(reply)
            if reply[1] in ("k", "n"):
                self.call_back(number, reply[1:])
            else:
                raise Malformed("an answer of no kind")

    def call_back(self, number, words):
        try:
            fn = self.back(words[:2])
            if words[0] == "k":
                given = [unpack(t, self.back) for t in words[2] + words[4]]
                value = fn(*given[:len(words[2])], **dict(zip(words[3], given[len(words[2]):])))
            else:
                value = next(fn)
            reply = [number, "r", pack(value, self.other)]
        except Exception as e:
            reply = [number, "x", [c.__name__ for c in type(e).__mro__], last_line(e)]
        send(self.requests, reply)

    def exception(self, reply):
        """An exception of the candidate as one of ours, by name: the nearest that Python itself has."""
        if reply[1] == "s":
            e = CandidateSyntax(reply[3])
        else:
            e = None
            for name in reply[2] if type(reply[2]) is list else []:
                kind = self.classes.get(name) or getattr(builtins, name, None) if type(name) is str else None
                if isinstance(kind, type) and issubclass(kind, Exception):
                    try:
                        e = kind(reply[3])
                        break
                    except TypeError:
                        continue
            if e is None:
                e = CandidateError(reply[3])
        e.said_by_candidate = reply[3]
        return e

    def value(self, *words):
        return unpack(self.request(*words)[0], self.back)

    def call(self, handle, args, named, meanwhile=None):
        trees = [pack(a, self.other) for a in args], [pack(a, self.other) for a in named.values()]
        reply = self.request("call", handle, trees[0], list(named), trees[1], meanwhile=meanwhile)
        given = list(args) + list(named.values())
        try:
            for i, tree in reply[1] if len(reply) > 1 else []:
                refill(given[i], tree, self.back)
            return unpack(reply[0], self.back)
        except Malformed as e:
            self.stop("forged", "the candidate's process sent what is no answer: %s" % e, Lost)
        except (TypeError, ValueError, IndexError):
            self.stop("forged", "the candidate's process sent no list of changes", Lost)


class CandidateError(Exception):
    pass


class CandidateSyntax(CandidateError):
    pass


def refill(old, tree, back):
    """What the candidate did to an argument, done to the object that the test holds, and to those in it."""
    new = unpack(tree, back)
    put(old, new)


def put(old, new):
    if type(old) is list and type(new) is list:
        for i in range(min(len(old), len(new))):
            new[i] = put(old[i], new[i])
        old[:] = new
    elif type(old) is dict and type(new) is dict:
        for k in new:
            if k in old:
                new[k] = put(old[k], new[k])
        old.clear()
        old.update(new)
    elif type(old) is set and type(new) is set:
        old.clear()
        old.update(new)
    elif type(old) is tuple and type(new) is tuple and len(old) == len(new):
        for a, b in zip(old, new):
            put(a, b)
    else:
        return new
    return old


class Proxy:
    """An object of the candidate. Using it is asking the candidate; comparing it is not."""
    __slots__ = ("handle",)

    def __init__(self, handle):
        object.__setattr__(self, "handle", handle)

    def __call__(self, *args, **named):
        return link.call(object.__getattribute__(self, "handle"), args, named)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return link.value("get", object.__getattribute__(self, "handle"), name)

    def __setattr__(self, name, value):
        link.value("set", object.__getattribute__(self, "handle"), name, pack(value, link.other))

    def __getitem__(self, key):
        return link.value("item", object.__getattribute__(self, "handle"), pack(key, link.other))

    def __iter__(self):
        found = link.value("iter", object.__getattribute__(self, "handle"))
        if type(found) is not list or len(found) != 1 or type(found[0]) is not Proxy:
            raise TypeError("the candidate's object cannot be iterated")
        return ProxyIterator(object.__getattribute__(found[0], "handle"))

    def __next__(self):
        return link.value("next", object.__getattribute__(self, "handle"))

    def __len__(self):
        n = link.value("len", object.__getattribute__(self, "handle"))
        return n if type(n) is int else 0

    def __contains__(self, wanted):
        for x in self:
            if x == wanted:
                return True
        return False

    def __str__(self):
        text = link.value("str", object.__getattribute__(self, "handle"))
        return text if type(text) is str else ""

    def __repr__(self):
        return "<object %d of the candidate>" % object.__getattribute__(self, "handle")

    def __bool__(self):
        return True

    def __eq__(self, other):
        return type(other) is Proxy and object.__getattribute__(self, "handle") == object.__getattribute__(other, "handle")

    def __hash__(self):
        return hash(object.__getattribute__(self, "handle"))


class ProxyIterator:
    __slots__ = ("handle",)

    def __init__(self, handle):
        self.handle = handle

    def __iter__(self):
        return self

    def __next__(self):
        return link.value("next", self.handle)


# ---- names ----

def names_of(code, out):
    out.update(code.co_names)
    for c in code.co_consts:
        if isinstance(c, type(code)):
            names_of(c, out)
    return out


def bind(space, names, entry):
    """The candidate's names that the tests use and nobody trusted defines. A standard module is our own, not the candidate's."""
    space.pop(entry, None)
    wanted = sorted(n for n in names if n == entry or (n not in space and not hasattr(builtins, n) and not n.startswith("__")))
    for item in link.value("load", wanted):
        name, kind = item[0], item[1]
        if name not in wanted:
            continue
        if kind == "module":
            if name in (item[2].split(".")[0], item[2].split(".")[-1]) and item[2].split(".")[0] in getattr(sys, "stdlib_module_names", sys.builtin_module_names):
                __import__(item[2])
                space[name] = sys.modules[item[2]]
        elif kind == "exception":
            base = [getattr(builtins, c, None) for c in item[2]]
            base = [c for c in base if isinstance(c, type) and issubclass(c, Exception)]
            space[name] = link.classes[name] = type(name, (base[0] if base else Exception,), {})
        else:
            space[name] = item[2]


# ---- inputs against a reference, as EvalPlus compares ----

def is_floats(x):
    return type(x) is float or (type(x) in (list, tuple) and len(x) > 0 and all(type(i) is float for i in x))


def is_near(a, b, atol):
    if type(b) in (list, tuple):
        return type(a) in (list, tuple) and len(a) == len(b) and all(is_near(x, y, atol) for x, y in zip(a, b))
    if type(a) not in (int, float, bool, complex) or type(b) not in (int, float, bool, complex):
        return False
    if a == b:
        return True
    d = abs(a - b)
    return d <= atol + 1e-7 * abs(b) and abs(b) != float("inf")


def is_same(task, space, args, out, expected, state):
    oracle = task["oracle"]
    if oracle == "helper":
        return bool(space["oracle"](args, out, expected))
    same = type(out) is not Proxy and bool(out == expected)
    if oracle == "set":
        same = set(out) == set(expected)
    elif oracle == "not-none":
        same = out == expected if type(out) is bool else expected == (out is not None)
    elif oracle == "any":
        same = True
    elif oracle == "or-zero":
        same = same or out == 0
    if state["atol"] == 0 and is_floats(expected):
        state["atol"] = 1e-6
    if same or state["atol"] == 0:
        return same
    return type(out) is type(expected) and is_near(out, expected, state["atol"])


def copy_of(v):
    return unpack(pack(v, link.other), link.back)


def read_inputs(text, space):
    if text is None:
        return None
    try:
        inputs = scan_trusted(text.strip(), 0)[0]
    except BaseException:                                    # no JSON, then Python
        import ast
        inputs = ast.literal_eval(text.strip())
    return space["prepare_inputs"](inputs) if "prepare_inputs" in space else inputs


def judge_inputs(task, space, reference, candidate, inputs):
    """Outcome, detail, and how many inputs passed before it. The reference computes while the candidate does."""
    state = {"atol": task["atol"]}
    handle = object.__getattribute__(candidate, "handle")
    for i, args in enumerate(inputs):
        found = []

        def compute():
            begun = time.monotonic()
            value = reference(*copy)
            found.append(value is not None if task["oracle"] == "not-none" else value)
            link.limit = max(task["call_seconds"], 4 * (time.monotonic() - begun))
            link.deadline = max(link.deadline, begun + link.limit)
        link.limit, copy = task["call_seconds"], copy_of(args)
        try:
            out = link.call(handle, args, {}, compute)
            good = is_same(task, space, args, out, found[0], state)
        except Exception as e:
            if isinstance(e, MemoryError):
                return "oom", last_line(e), i
            return "error", "input %d: %s" % (i, said(e)), i
        except (Lost, Slow):
            return link.dead, "input %d: %s" % (i, link.detail), i
        if not good:
            return "fail", "input %d: another result than the reference's" % i, i
    return "pass", "", len(inputs)


def run_differential(task):
    space, bound = {"__name__": "tests"}, {}
    exec(compile(task["helper"] or "", "helper.py", "exec"), space)
    exec(compile(task["reference"], "reference.py", "exec"), space)
    base, plus = read_inputs(task["base_inputs"], space), read_inputs(task["plus_inputs"], space)
    bind(bound, [task["entry"]], task["entry"])              # not into `space`: a reference that calls itself calls itself
    candidate = bound.get(task["entry"])
    if type(candidate) is not Proxy:
        raise NameError("name '%s' is not defined" % task["entry"])
    judge = lambda inputs: judge_inputs(task, space, space[task["entry"]], candidate, inputs)
    outcome, detail, n_base = judge(base) if base is not None else ("skipped", "", 0)
    if plus is None:
        return outcome, "skipped", n_base, 0, detail
    if link.dead is not None:
        return outcome, "again", n_base, 0, detail
    second, more, n_plus = judge(plus)
    return outcome, second, n_base, n_plus, detail or more


def run_tests(task):
    space = {"__name__": "tests"}
    exec(compile(task["helper"] or "", "helper.py", "exec"), space)
    code = compile(task["tests"], "tests.py", "exec")
    bind(space, names_of(code, {task["entry"]}), task["entry"])
    exec(code, space)
    return "pass", "skipped", 0, 0, ""


# ---- the verdict ----

def said(e):
    return getattr(e, "said_by_candidate", None) or last_line(e)


def outcome_of(e):
    if isinstance(e, CandidateSyntax):
        return "syntax"
    if isinstance(e, MemoryError):
        return "oom"
    if isinstance(e, AssertionError) and not hasattr(e, "said_by_candidate"):
        return "fail"
    return "error"


def run(task):
    link.limit = task["call_seconds"]
    try:
        found = (run_differential if task["mode"] == 1 else run_tests)(task)
    except (Lost, Slow):
        found = None
    except BaseException as e:
        outcome = outcome_of(e)
        found = outcome, outcome if task["plus_inputs"] is not None else "skipped", 0, 0, said(e)
    if link.dead is not None and (found is None or task["mode"] == 0):
        found = link.dead, "again" if task["plus_inputs"] is not None else "skipped", 0, 0, link.detail
    outcome, plus, n_base, n_plus, detail = found
    detail = "".join(c if c.isprintable() else "?" for c in detail.encode("utf-8", "replace").decode("utf-8", "replace"))
    line = ("%s %s %s %d %d %s" % (task["nonce"], outcome, plus, n_base, n_plus, detail)).encode()[:900] + b"\n"
    posix.write(7, line)
    posix._exit(0)


with open(4, "rb") as f:
    task = scan(f.read().decode(), 0)[0]                 # key, value, key, value, ...
task = dict(zip(task[::2], task[1::2]))
link = Connection(5, 6)
run(task)
