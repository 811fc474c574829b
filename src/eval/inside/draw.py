# draw.py - runs one program that draws, and looks at its figures while they live. It shares a process with that program: what the verdict says of a program
# that means to deceive is worth nothing (docs/sandbox.md). Standard input: the order as JSON. Standard output: one line, the nonce and the verdict as JSON; what the
# program prints goes to standard error. Pictures are left in out/.
import json
import math
import os
import sys

OUT, FIGURES, PIXELS = "/tmp/job/out", 8, 20e6


class Wrong(Exception):
    pass


# ---- what a figure has to show --------------------------------------------------------------------------------------------------


def shown(figure):
    """Its panels that hold something, as one reads them: rows from above, columns from the left."""
    panels = [a for a in figure.axes if a.get_visible() and (a.has_data() or a.texts or a.artists or a.tables)]
    return sorted(panels, key=lambda a: (-round(a.get_position().y1, 1), a.get_position().x0))


def check_panels(figure, rows, columns):
    panels = shown(figure)
    found = len({round(a.get_position().y1, 1) for a in panels}), len({round(a.get_position().x0, 2) for a in panels})
    if found != (rows, columns) or len(panels) != rows * columns:
        raise Wrong(f"{len(panels)} panels with something in them, {found[0]} by {found[1]}, wanted {rows} by {columns}")


def check_bars(figure, panel, names, heights):
    from matplotlib.patches import Rectangle
    panels = shown(figure)
    if len(panels) < panel:
        raise Wrong(f"there is no panel {panel}")
    axes = panels[panel - 1]
    bars = [(p.get_x() + p.get_width() / 2, p.get_y() + p.get_height(), abs(p.get_width())) for p in axes.patches if isinstance(p, Rectangle) and p.get_visible() and math.isfinite(p.get_height()) and p.get_height()]
    ticks = [(place, label.get_text().strip()) for place, label in zip(axes.get_xticks(), axes.get_xticklabels())]
    found = {}
    for x, top, width in bars:
        place, name = min(ticks, key=lambda t: abs(t[0] - x), default=(x, ""))
        if abs(place - x) <= max(width / 2, 0.3):
            found[name] = round(float(top), 6)
    if len(bars) != len(names):
        raise Wrong(f"panel {panel} has {len(bars)} bars, wanted {len(names)}")
    for name, height in zip(names, heights):
        if name not in found:
            raise Wrong(f"panel {panel} has no bar named {name}")
        if abs(found[name] - height) > 1e-6:
            raise Wrong(f"panel {panel}: the bar of {name} is {found[name]:g} high, wanted {height:g}")


def check_tick_size(figure, sizes, of):
    found = {round(float(label.get_fontsize()), 2) for a in shown(figure) for label in [*a.get_xticklabels(), *a.get_yticklabels()]}
    if not any(abs(f - s) < 0.05 for f in found for s in sizes):
        raise Wrong(f"the figure is not in {of}: numbers at the axes are {', '.join(f'{f:g}' for f in sorted(found)) or 'missing'}, there {' or '.join(f'{s:g}' for s in sizes)}")


def polygons(figure):
    """(path in data coordinates, face colour or None), in the order in which they are painted."""
    out = []
    for axes in shown(figure):
        for artist in sorted([*axes.collections, *axes.patches], key=lambda a: a.get_zorder()):
            if not artist.get_visible():
                continue
            if hasattr(artist, "get_paths"):
                paths, colors = artist.get_paths(), [tuple(c) for c in artist.get_facecolor()]
            else:
                paths, colors = [artist.get_path().transformed(artist.get_patch_transform())], [tuple(artist.get_facecolor())]
            out += [(path, colors[i % len(colors)] if colors and colors[i % len(colors)][3] > 0 else None) for i, path in enumerate(paths) if len(path.vertices) > 3]
    return out


def check_polygons(figure, least):
    n = len(polygons(figure))
    if n < least:
        raise Wrong(f"the map has {n} polygons, wanted {least} or more")


def check_colored(figure, color, at, not_at, within):
    is_it = {"red": lambda c: c is not None and c[0] >= 0.4 and c[1] <= 0.35 and c[2] <= 0.35}[color]
    painted = polygons(figure)

    def top(point):
        return next((c for path, c in reversed(painted) if c is not None and path.contains_point(point)), None)
    for name, point in at.items():
        if not is_it(top(point)):
            raise Wrong(f"{name} is not {color}")
    for name, point in not_at.items():
        if is_it(top(point)):
            raise Wrong(f"{name} is {color}, too")
    for path, c in painted:
        box = path.get_extents()
        x, y = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
        if is_it(c) and not any(w <= x <= e and s <= y <= n for w, s, e, n in within):
            raise Wrong(f"something at longitude {x:.1f}, latitude {y:.1f} is {color}, too")


def points_of(axes, marker):
    """Points that are drawn one by one, and whether their mark is that one."""
    from matplotlib.markers import MarkerStyle
    style = MarkerStyle(marker)
    like = style.get_path().transformed(style.get_transform()).vertices
    out = []
    for c in axes.collections:
        if c.get_visible() and hasattr(c, "get_offsets") and hasattr(c, "get_sizes"):
            path = c.get_paths()[0].vertices if len(c.get_paths()) else like[:0]
            same = path.shape == like.shape and abs(path - like).max() < 1e-6
            out += [(float(x), float(y), same) for x, y in c.get_offsets()]
    for line in axes.lines:
        if line.get_visible() and line.get_marker() not in (None, "None", "none", "", " "):
            out += [(float(x), float(y), line.get_marker() == marker) for x, y in zip(*line.get_data())]
    return out


def check_points(figure, at, marker):
    found = [p for axes in shown(figure) for p in points_of(axes, marker)]
    places = {(round(x, 6), round(y, 6)) for x, y, _ in found}
    for x, y in at:
        if (x, y) not in places:
            raise Wrong(f"there is no point at ({x:g}, {y:g})")
    if len(places) != len(at):
        raise Wrong(f"there are {len(places)} points, wanted {len(at)}")
    if not all(same for _, _, same in found):
        raise Wrong(f"the marker is not '{marker}'")


def check_labels(figure, names, at, near):
    for name, point in zip(names, at):
        least = None
        for axes in shown(figure):
            x, y = axes.transData.transform(point)
            for text in [*axes.texts, *figure.texts]:
                if name.lower() not in text.get_text().lower() or not text.get_visible():
                    continue
                box = text.get_window_extent()
                far = math.hypot(max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1)) / axes.bbox.height
                least = far if least is None else min(least, far)
        if least is None:
            raise Wrong(f"no text at a point names {name}")
        if least > near:
            raise Wrong(f"the name {name} is not near its point")


def check_title(figure, text):
    titles = [a.get_title(loc).strip() for a in figure.axes for loc in ("center", "left", "right")]
    titles.append(figure._suptitle.get_text().strip() if figure._suptitle else "")
    if text not in titles:
        raise Wrong(f"the title is \"{next((t for t in titles if t), '')}\", wanted \"{text}\"")


CHECKS = {"panels": check_panels, "bars": check_bars, "tick_size": check_tick_size, "polygons": check_polygons, "colored": check_colored, "points": check_points, "labels": check_labels, "title": check_title}


# ---- figures ------------------------------------------------------------------------------------------------------------------------


class Watcher:
    """Looks at each figure when it is shown or saved, or else at the end: after that a program may close it."""

    def __init__(self, checks):
        self.checks, self.seen, self.files, self.has_artists, self.wrong = checks, [], set(), False, None
        self.savefig = self.pyplot = None

    def judge(self, figure):
        wrong = []
        for check in self.checks:
            for name, arguments in check.items():
                try:
                    CHECKS[name](figure, **arguments)
                except Wrong as e:
                    wrong.append(str(e))
                except Exception as e:                        # a figure of a kind that the check does not know is no fault of the program
                    wrong.append(f"{name} cannot be looked for in this figure: {last_line(e)}")
        if self.wrong is None or len(wrong) < len(self.wrong):
            self.wrong = wrong

    def look(self, figure):
        if any(figure is f for f in self.seen) or len(self.seen) >= FIGURES:
            return
        self.seen.append(figure)
        width, height = figure.get_size_inches()
        dpi = min(100, math.sqrt(PIXELS / max(width * height, 1e-9)))
        self.savefig(figure, f"{OUT}/figure_{len(self.seen)}.png", dpi=dpi, format="png")
        self.has_artists = self.has_artists or any(shown(figure)) or bool(figure.texts or figure.lines or figure.patches or figure.images)
        self.judge(figure)

    def look_at_all(self):
        for number in self.pyplot.get_fignums() if self.pyplot else []:
            self.look(self.pyplot.figure(number))

    def install(self):
        try:
            import matplotlib
            matplotlib.use("Agg")
            import matplotlib.pyplot as pyplot
            from matplotlib.figure import Figure
            pyplot.switch_backend("Agg")
        except ImportError:
            return                                            # then the program cannot use it either, or draws by other means
        self.savefig, self.pyplot, close = Figure.savefig, pyplot, pyplot.close

        def save(figure, fname, *args, **kwargs):
            self.look(figure)
            if isinstance(fname, (str, os.PathLike)):
                self.files.add(os.path.basename(os.fspath(fname)))
            return self.savefig(figure, fname, *args, **kwargs)

        def show(*args, **kwargs):
            self.look_at_all()
            close("all")

        def close_one(*args, **kwargs):
            self.look_at_all()
            close(*args, **kwargs)
        # A program that asks for windows means to be seen; there are none here.
        matplotlib.use = pyplot.switch_backend = lambda *args, **kwargs: None
        Figure.savefig, Figure.show, pyplot.show, pyplot.close = save, lambda figure, *args, **kwargs: self.look(figure), show, close_one


def own_files(known):
    """Pictures that the program wrote by other means than savefig, which were seen as figures."""
    found = []
    for place, directories, files in os.walk("/tmp/job"):
        directories[:] = sorted(d for d in directories if not d.startswith(".") and os.path.join(place, d) != OUT)
        found += [os.path.join(place, f) for f in sorted(files) if f.lower().endswith((".png", ".svg")) and f not in known]
    return found[:FIGURES]


# ---- the run ---------------------------------------------------------------------------------------------------------------------------


def last_line(e):
    try:
        text = str(e)
    except BaseException:
        text = ""
    return "".join(c if c.isprintable() else " " for c in type(e).__name__ + (": " + text if text else ""))[:240]


def run(source, watcher):
    """(outcome, detail)"""
    module = type(sys)("__main__")
    module.__file__ = "/tmp/job/program.py"
    sys.modules["__main__"] = module
    sys.argv[:] = ["program.py"]
    try:
        code = compile(source, "program.py", "exec")
    except BaseException as e:
        return "syntax" if isinstance(e, (SyntaxError, ValueError)) else "error", last_line(e)
    try:
        exec(code, module.__dict__)
    except SystemExit as e:
        if e.code not in (None, 0):
            return "error", last_line(e)
    except MemoryError as e:
        return "oom", last_line(e)
    except BaseException as e:
        return "error", last_line(e)
    return "pass", ""


def main():
    order = json.load(sys.stdin)
    verdict = os.dup(1)
    os.dup2(2, 1)
    os.mkdir(OUT)
    with open("/tmp/job/program.py", "rb") as f:
        source = f.read()
    os.unlink("/tmp/job/program.py")
    os.unlink("/tmp/job/draw.py")
    watcher = Watcher(order["checks"])
    watcher.install()
    outcome, detail = run(source, watcher)
    try:
        watcher.look_at_all()
        for i, path in enumerate(own_files(watcher.files), 1):
            os.rename(path, f"{OUT}/file_{i}{path[-4:].lower()}")
    except BaseException as e:
        outcome, detail = ("error", "a figure cannot be drawn: " + last_line(e)) if outcome == "pass" else (outcome, detail)
    wrong = watcher.wrong if watcher.wrong is not None else ["the program made no figure of matplotlib"]
    found = {"outcome": outcome, "detail": detail, "figures": len(watcher.seen), "has_artists": watcher.has_artists, "wrong": wrong if order["checks"] else []}
    os.write(verdict, f"\n{order['nonce']} {json.dumps(found)}\n".encode())
    os._exit(0)


main()
