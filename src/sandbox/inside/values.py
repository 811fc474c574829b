# values.py - values between the checker and the candidate, as JSON text that is data and nothing else. Stands in front of checker.py and candidate.py.
#
# A JSON list begins with a tag: l list, t tuple, S set, F frozenset, d dict (key, value, ...), b bytes, i large int, s text with surrogates, c complex,
# R range, D Decimal, Q Fraction, h handle of the candidate, k callable and n iterator of the checker, B builtin by name. Everything else stands for itself.
# Types are exact on arrival: a subclass crosses as its plain base, whatever methods it had.
import sys, posix
from _json import make_scanner, make_encoder, encode_basestring_ascii

FRAME_MAX, DEPTH_MAX, LARGE = 64 << 20, 180, 1 << 63


class Malformed(BaseException):
    """Bytes that are no frame, or a frame that is no value."""


def no_object(pairs):
    raise Malformed("an object where none can be")


class ScanContext:
    strict, object_hook, object_pairs_hook, parse_float, parse_int, memo = True, None, staticmethod(no_object), float, int, {}
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": -float("inf")}.__getitem__


class TrustedContext(ScanContext):
    object_pairs_hook, parse_int = None, int


scan = make_scanner(ScanContext)
scan_trusted = make_scanner(TrustedContext)
encode_chunks = make_encoder(None, None, encode_basestring_ascii, None, ":", ",", False, False, True)


def parse(text):
    try:
        tree, end = scan(text, 0)
    except Malformed:
        raise
    except BaseException as e:
        raise Malformed("no JSON: " + type(e).__name__)
    if text[end:].strip():
        raise Malformed("more than one value")
    return tree


def send(fd, tree):
    data = "".join(encode_chunks(tree, 0)).encode()
    data = len(data).to_bytes(8, "little") + data
    while data:
        data = data[posix.write(fd, data):]


def receive(fd, wait=None):
    """The next tree, or None at the end. `wait` is called before each read."""
    def exactly(n):
        parts = []
        while n:
            if wait:
                wait()
            part = posix.read(fd, min(n, 1 << 20))
            if not part:
                return None
            parts.append(part)
            n -= len(part)
        return b"".join(parts)
    head = exactly(8)
    if head is None:
        return None
    size = int.from_bytes(head, "little")
    if size > FRAME_MAX:
        raise Malformed("a frame of %d bytes" % size)
    body = exactly(size)
    if body is None:
        return None
    try:
        return parse(body.decode())
    except UnicodeDecodeError:
        raise Malformed("no UTF-8")


def is_plain_text(text):
    if text.isascii():
        return True
    try:
        text.encode()
        return True
    except UnicodeEncodeError:
        return False


def pack_text(v):
    v = str.__str__(v)
    return v if is_plain_text(v) else ["s"] + [ord(c) for c in v]


SIMPLE = ({int}, {float}, {bool}, {type(None)}, {str})


def is_simple(v):
    """A list whose items stand for themselves: most are, and most are long."""
    kinds = set(map(type, v))
    if kinds == {str}:
        return "".join(v).isascii()
    return kinds in SIMPLE and (kinds != {int} or (max(v) < LARGE and min(v) > -LARGE))


def pack_exact(t, v, other, depth):
    if depth > DEPTH_MAX:
        raise ValueError("a value nested more than %d levels deep" % DEPTH_MAX)
    if t is list or t is tuple or t is set or t is frozenset:
        out = ["l" if t is list else "t" if t is tuple else "S" if t is set else "F"]
        if is_simple(v):
            out.extend(v)
            return out
        for x in t.__iter__(v):
            out.append(pack(x, other, depth + 1))
        return out
    if t is dict:
        out = ["d"]
        for k, x in dict.items(v):
            out.append(pack(k, other, depth + 1))
            out.append(pack(x, other, depth + 1))
        return out
    if t is bytes or t is bytearray:
        return ["b", bytes(v).hex()]
    if t is complex:
        return ["c", v.real, v.imag]
    return ["R", v.start, v.stop, v.step]


CONTAINERS = (list, tuple, dict, set, frozenset, bytes, bytearray, complex, range)


def pack_subclass(v, other, depth):
    for t in (int, float, str) + CONTAINERS:
        if isinstance(v, t):
            if t is int:
                return pack(int.__add__(v, 0), other, depth)
            if t is float:
                return float.__add__(v, 0.0)
            return pack_text(v) if t is str else pack_exact(t, v, other, depth)
    module, name = type(v).__module__, type(v).__name__
    if module == "collections" and name == "deque":
        return pack_exact(list, list(v), other, depth)
    if module == "decimal" and name == "Decimal":
        return ["D", str(v)]
    if module == "fractions" and name == "Fraction":
        return ["Q", pack(v.numerator, other), pack(v.denominator, other)]
    if module == "numpy" and hasattr(v, "tolist"):
        return pack(v.tolist(), other, depth + 1)
    return other(v)


def pack(v, other, depth=0):
    t = type(v)
    if t is int:
        return v if -LARGE < v < LARGE else ["i", hex(v)]
    if t is str:
        return pack_text(v)
    if v is None or t is bool or t is float:
        return v
    if t in CONTAINERS:
        return pack_exact(t, v, other, depth)
    return pack_subclass(v, other, depth)


def unpack_list(tree, other):
    tag = tree[0]
    if tag in ("l", "t", "S", "F"):
        items = [unpack_list(x, other) if type(x) is list else x for x in tree[1:]]
        return items if tag == "l" else tuple(items) if tag == "t" else set(items) if tag == "S" else frozenset(items)
    if tag == "d":
        items = [unpack_list(x, other) if type(x) is list else x for x in tree[1:]]
        return dict(zip(items[::2], items[1::2], strict=True)) if sys.version_info >= (3, 10) else dict(zip(items[::2], items[1::2]))
    if tag == "b":
        return bytes.fromhex(tree[1])
    if tag == "i":
        return int(tree[1], 16)
    if tag == "s":
        return "".join([chr(c) for c in tree[1:]])
    if tag == "c":
        return complex(tree[1], tree[2])
    if tag == "R":
        return range(tree[1], tree[2], tree[3])
    if tag == "D":
        import decimal
        return decimal.Decimal(tree[1])
    if tag == "Q":
        import fractions
        return fractions.Fraction(unpack(tree[1], other), unpack(tree[2], other))
    return other(tree)


def unpack(tree, other):
    if type(tree) is not list:
        return tree
    try:
        return unpack_list(tree, other)
    except Malformed:
        raise
    except BaseException as e:
        raise Malformed("no value: " + type(e).__name__)


def last_line(e):
    try:
        text = str(e)
    except BaseException:
        text = ""
    return (type(e).__name__ + (": " + text if text else "")).strip().replace("\n", " ")[:400]


def find_packages():
    """Directories of installed packages; `site` would take longer than the rest of the start."""
    sys.path[:] = [p for p in sys.path if p]
    for place in ("%s/lib/python%d.%d/site-packages" % ((sys.prefix,) + sys.version_info[:2]), "/usr/lib/python3/dist-packages"):
        try:
            posix.stat(place)
            sys.path.append(place)
        except OSError:
            pass


find_packages()
