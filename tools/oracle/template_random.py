"""Made-up Jinja templates for template_golden.py --random: expressions and statements drawn from a grammar, most of them
meaningful because each rule knows the kind of value that it makes. The same seed gives the same templates."""
import random

STRINGS = ["'a'", "''", "'Hello World'", "' pad '", "'x,y,,z'", "'żółć'", "'😀é'", "\"it's\"", "'<b>'", "'12'", "'a\\nb'", "s", "u", "messages[1].content",
           "d | tojson", "bos_token", "messages[0].role", "'%s'", "'ABC'", "'-3.5'"]
NUMBERS = ["0", "1", "2", "7", "n", "m", "z", "f", "2.5", "10", "-1", "0.1", "true", "l | length", "l[0]", "d.a", "1e3"]
LISTS = ["l", "[]", "[1, 2, 3]", "['b', 'A', 'a']", "people", "messages", "[n, m, f]", "range(4)", "d.items()", "d.keys()", "(1, 2)", "['x', none, 1.5, true]",
         "[[2, 'b'], [1, 'a']]", "s.split()", "d.values()", "[0, '', none, 'k']"]
DICTS = ["d", "{}", "{'k': 1, 'j': [2]}", "deep", "people[0]", "messages[1]", "dict(d, q=1)", "{1: 'one', 'two': 2}"]
OTHERS = ["none", "nil", "missing", "d.zz", "true", "false", "l[9]", "no"]
TEXT_FILTERS = ["upper", "lower", "trim", "capitalize", "title", "reverse", "replace('a', 'bb')", "replace('l', '')", "indent(2)", "e", "string", "safe", "tojson",
                "default('dd')", "default('dd', true)", "truncate(6)", "trim('ad')", "center(9)", "forceescape"]
TEXT_METHODS = ["strip()", "upper()", "lower()", "title()", "lstrip(' H')", "rstrip('d')", "replace('o', '0', 1)", "capitalize()", "swapcase()", "zfill(6)",
                "center(8, '*')", "removeprefix('He')", "ljust(4, '.')", "strip('a')"]
TEXT_TO_LIST = [".split()", ".split(',')", ".split('l', 1)", ".rsplit(' ', 1)", ".splitlines()", ".partition(' ')", " | list"]
TEXT_TO_NUMBER = [" | length", ".find('l')", ".count('l')", " | int", " | float", " | wordcount", ".rfind('o')", " | int(5)"]
LIST_FILTERS = ["list", "reverse | list", "sort", "sort(reverse=true)", "unique | list", "map('string') | list", "select | list", "reject | list", "batch(2) | list",
                "map(attribute='name') | list", "selectattr('role', 'defined') | list", "select('string') | list", "select('number') | list", "slice(2) | list",
                "map('upper') | list", "map(attribute=0) | list", "reject('none') | list", "map('length') | list", "rejectattr('active') | list", "select('gt', 1) | list"]
LIST_TO_TEXT = ["join", "join(', ')", "tojson", "string", "join('-', attribute='name')", "tojson(indent=2)", "first", "last"]
LIST_TO_NUMBER = ["length", "sum", "min", "max", "count", "first", "last"]
DICT_TO_LIST = [".items() | list", ".keys() | list", ".values() | list", " | dictsort", " | items | list", " | list"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence", "iterable", "callable", "odd", "even", "true", "false",
         "eq 1", "ne 'a'", "lt 3", "ge 2", "in [1, 'a']", "divisibleby 2", "sameas none", "lower", "upper"]
SUBSCRIPTS = ["[0]", "[-1]", "[1:]", "[:-1]", "[::-1]", "[::2]", "[5]", "[-3:2]", "[2:0:-1]", "[n:]", "['a']", ".name", ".content", ".x"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]


class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def text(self, k):
        pick = self.r.random()
        if k <= 0 or pick < 0.2:
            return self.r.choice(STRINGS)
        if pick < 0.5:
            return f"({self.text(k - 1)} | {self.r.choice(TEXT_FILTERS)})"
        if pick < 0.65:
            return f"({self.text(k - 1)}).{self.r.choice(TEXT_METHODS)}"
        if pick < 0.75:
            return f"({self.text(k - 1)} {self.r.choice(['~', '+', '~'])} {self.text(k - 1)})"
        if pick < 0.85:
            return f"({self.list(k - 1)} | {self.r.choice(LIST_TO_TEXT)})"
        if pick < 0.92:
            return f"({self.any(k - 1)} | string)"
        return f"({self.text(k - 1)}){self.r.choice(SUBSCRIPTS[:9])}"

    def number(self, k):
        pick = self.r.random()
        if k <= 0 or pick < 0.3:
            return self.r.choice(NUMBERS)
        if pick < 0.7:
            return f"{self.number(k - 1)} {self.r.choice(OPERATORS[:6])} {self.number(k - 1)}"
        if pick < 0.8:
            return f"({self.number(k - 1)} | {self.r.choice(['abs', 'round', 'int', 'float', 'round(1)', 'string | length'])})"
        if pick < 0.9:
            return f"({self.list(k - 1)} | {self.r.choice(LIST_TO_NUMBER)})"
        return f"(({self.text(k - 1)}){self.r.choice(TEXT_TO_NUMBER)})"

    def list(self, k):
        pick = self.r.random()
        if k <= 0 or pick < 0.25:
            return self.r.choice(LISTS)
        if pick < 0.6:
            return f"({self.list(k - 1)} | {self.r.choice(LIST_FILTERS)})"
        if pick < 0.75:
            return f"(({self.text(k - 1)}){self.r.choice(TEXT_TO_LIST)})"
        if pick < 0.85:
            return f"(({self.r.choice(DICTS)}){self.r.choice(DICT_TO_LIST)})"
        if pick < 0.93:
            return f"({self.list(k - 1)}){self.r.choice(SUBSCRIPTS[2:10])}"
        return "[" + ", ".join(self.any(k - 1) for _ in range(self.r.randrange(4))) + "]"

    def any(self, k):
        pick = self.r.random()
        if pick < 0.3:
            return self.text(k)
        if pick < 0.5:
            return self.number(k)
        if pick < 0.7:
            return self.list(k)
        if pick < 0.75:
            return self.r.choice(DICTS)
        if pick < 0.8:
            return self.r.choice(OTHERS)
        if pick < 0.86:
            return f"{self.any(k - 1)} {self.r.choice(OPERATORS)} {self.any(k - 1)}"
        if pick < 0.92:
            return f"{self.any(k - 1)} is {self.r.choice(['', 'not '])}{self.r.choice(TESTS)}"
        if pick < 0.96:
            return f"({self.any(k - 1)} if {self.any(k - 1)} else {self.any(k - 1)})"
        return f"({self.any(k - 1)}){self.r.choice(SUBSCRIPTS)}"

    def statement(self, k):
        pick = self.r.random()
        space = self.r.choice(["", " ", "\n", "\n  ", " x\n"])
        a, b = self.r.choice(["", "", "-", "+"]), self.r.choice(["", "", "-", "+"])
        if k <= 0 or pick < 0.35:
            return f"{space}{{{{ {self.any(2)} }}}}"
        if pick < 0.5:
            return f"{space}{{%{a} if {self.any(1)} {b}%}}{self.body(k - 1)}{{%{b} else {a}%}}{self.body(k - 1)}{{% endif %}}{space}"
        if pick < 0.7:
            inside = self.r.choice(["", "{{ loop.index }}", "{{ i }}", "{% if loop.last %}!{% endif %}", "{% if loop.first %}{% continue %}{% endif %}", "{% set v = i %}"])
            test = self.r.choice(["", "", f" if {self.any(0)}"])
            return f"{space}{{%{a} for i in {self.list(1)}{test} {b}%}}{inside}{self.body(k - 1)}{{% else %}}{self.body(k - 2)}{{% endfor %}}{space}"
        if pick < 0.85:
            return f"{space}{{% set v = {self.any(1)} {b}%}}{self.body(k - 1)}{{{{ v }}}}"
        if pick < 0.92:
            return f"{{% set v {b}%}}{self.body(k - 1)}{space}{{% endset %}}[{{{{ v {self.r.choice(['', '| upper', '| trim', '| length'])} }}}}]"
        if pick < 0.96:
            return f"{{% macro q(x, y={self.any(0)}) {b}%}}{self.body(k - 1)}{{{{ x }}}}{{{{ y }}}}{{% endmacro %}}{{{{ q({self.any(0)}) }}}}"
        return f"{{% filter {self.r.choice(TEXT_FILTERS[:12])} {b}%}}{self.body(k - 1)}{{% endfilter %}}"

    def body(self, k):
        return "".join(self.statement(k) for _ in range(self.r.randrange(1, 3)))


def templates(n, seed):
    for i in range(n):
        m = Maker(seed * 1000003 + i)
        yield f"{{{{ {m.any(3)} }}}}" if i % 4 else m.body(3)
