# libraries.py - which of the libraries named by the arguments are there: one line of JSON {name: version or null}. Leaves matplotlib's list of fonts for the programs to come,
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
    except ImportError:
        found[name] = None
if found.get("matplotlib"):
    import matplotlib.font_manager  # noqa: F401
print(json.dumps(found))
