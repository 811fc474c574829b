# libraries.py - which of the libraries named by the arguments are there: one line of JSON {name: version, or an object with why it cannot be had}. Leaves matplotlib's list of fonts for the programs to come,
# which would each take a second to make it.
import importlib
import json
import os
import sys

found = {}
os.makedirs(os.environ["MPLCONFIGDIR"], exist_ok=True)
for name in sys.argv[1:]:
    try:
        module = importlib.import_module(name)
        found[name] = str(getattr(module, "__version__", "unknown"))
    except Exception as e:                                    # not there, or there and broken
        found[name] = {} if isinstance(e, ModuleNotFoundError) and e.name == name else {"why": "".join(c if c.isprintable() else " " for c in f"{type(e).__name__}: {e}")[:200]}
if isinstance(found.get("matplotlib"), str):
    import matplotlib.font_manager  # noqa: F401
print("\n" + json.dumps(found))
