# collect.py - what a program drew, carried out: pictures in the directory named by the first argument, each as one line of JSON. A sandbox of its own, in which the
# program that drew them never ran. Of an SVG only elements and attributes that draw are kept, so that it can run nothing and fetch nothing, wherever it is opened.
import base64
import json
import os
import re
import stat
import sys
import xml.etree.ElementTree as tree

FILES, BYTES, ELEMENTS = 6, 4 << 20, 50000
SVG, LINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"
MARKS = {"path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "use"}
KEPT = MARKS | {"svg", "g", "defs", "symbol", "tspan", "textPath", "title", "desc", "linearGradient", "radialGradient", "stop", "clipPath", "mask", "pattern", "marker", "style", "filter", "feGaussianBlur", "feOffset",
                "feBlend", "feFlood", "feComposite", "feMerge", "feMergeNode", "feColorMatrix", "feDropShadow"}


class Refused(Exception):
    pass


def is_safe(text):
    """CSS or an attribute without rules that fetch: url(#...) alone."""
    return "@" not in text and "\\" not in text and "javascript:" not in text.lower() and not re.search(r"url\(\s*['\"]?\s*[^#'\"\s]", text, re.I) and "image-set" not in text.lower()


def clean(element, counted):
    """A copy with what draws; None: it does not."""
    name = element.tag[len(SVG):] if isinstance(element.tag, str) and element.tag.startswith(SVG) else element.tag if isinstance(element.tag, str) and "{" not in element.tag else ""
    counted[0] += 1
    if counted[0] > ELEMENTS:
        raise Refused(f"it has more than {ELEMENTS} elements")
    if name not in KEPT or (name == "style" and not is_safe("".join(element.itertext()))):
        return None
    out = tree.Element(SVG + name)
    for key, value in element.attrib.items():
        plain = "href" if key == LINK else key
        if plain.startswith("{") or plain.lower().startswith("on") or (plain == "href" and not value.strip().startswith("#")) or not is_safe(value):
            continue
        out.set(plain, value)
    out.text = element.text
    for child in element:
        kept = clean(child, counted)
        if kept is not None:
            kept.tail = child.tail
            out.append(kept)
    return out


def number(text):
    found = re.match(r"\s*([0-9.]+)\s*(px|pt)?\s*$", text or "")
    return float(found.group(1)) * (4 / 3 if found.group(2) == "pt" else 1) if found and found.group(1).count(".") < 2 and found.group(1) != "." else None


def size_of(root):
    box = [float(n) for n in re.findall(r"-?[0-9.]+(?:e-?[0-9]+)?", root.get("viewBox", "")) if n.count(".") < 2 and n.strip("-.")]
    width, height = number(root.get("width")), number(root.get("height"))
    width, height = width or (box[2] if len(box) == 4 else 300), height or (box[3] if len(box) == 4 else 150)
    if not (1 <= width <= 10000 and 1 <= height <= 10000):
        raise Refused(f"its size is {width:g} by {height:g}")
    return round(width), round(height)


def svg(data):
    text = data.decode("utf-8", "replace")
    if re.search(r"<!(DOCTYPE[^>]*\[|ENTITY)", text, re.I):
        raise Refused("it declares entities")
    if "xmlns=" not in text:                                  # a browser that is shown the text in a page adds it
        text = re.sub(r"<svg\b", '<svg xmlns="http://www.w3.org/2000/svg"', text, count=1)
    if "xlink:" in text and "xmlns:xlink" not in text:
        text = re.sub(r"<svg\b", '<svg xmlns:xlink="http://www.w3.org/1999/xlink"', text, count=1)
    sys.setrecursionlimit(3000)
    try:
        root = tree.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))
        kept = clean(root, [0])
    except (tree.ParseError, RecursionError) as e:
        raise Refused(f"it is no well-formed XML: {e}")
    if kept is None or kept.tag != SVG + "svg":
        raise Refused("its root is no svg element")
    tree.register_namespace("", SVG[1:-1])
    width, height = size_of(kept)
    kept.set("width", str(width))
    kept.set("height", str(height))
    marks = sum(1 for e in kept.iter() if e.tag[len(SVG):] in MARKS)
    return tree.tostring(kept, encoding="utf-8"), width, height, marks


def collect(path):
    name = os.path.basename(path)
    is_svg = name.endswith(".svg")
    out = {"name": name, "type": "image/svg+xml" if is_svg else "image/png"}
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as f:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Refused("it is no ordinary file")
            data = f.read(BYTES + 1)
        if len(data) > BYTES:
            raise Refused(f"it has more than {BYTES} bytes")
        if is_svg:
            data, out["width"], out["height"], out["marks"] = svg(data)
        out["data"] = base64.b64encode(data).decode()
    except (Refused, OSError) as e:
        out["refused"] = "".join(c if c.isprintable() else " " for c in str(e))[:200]
    return out


def main():
    names = sorted(n for n in os.listdir(sys.argv[1]) if n.endswith((".png", ".svg")))
    for name in names[:FILES]:
        print(json.dumps(collect(os.path.join(sys.argv[1], name))))


if __name__ == "__main__":
    main()
