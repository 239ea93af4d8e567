# ruff: noqa: E501 - each case is the text of a small program
"""Small programs with an edit each: at the far end of a way in which code reaches code, or beside it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    body: str
    old: str
    new: str
    file: str = "pipeline.py"
    files: dict[str, str] = field(default_factory=dict)


FAR = {
    "far.py": "SIZE = 1\n\ndef f(x):\n    return x * 10\n\ndef g(x):\n    return x * 20\n\nclass Base:\n    def m(self):\n        return 30\n"
}
REACHED = {
    "module alias": Case(
        "import far as other\n@step\ndef work(x):\n    return other.f(x)", "x * 10", "x * 11", "far.py", FAR
    ),
    "star import": Case("from far import *\n@step\ndef work(x):\n    return f(x)", "x * 10", "x * 11", "far.py", FAR),
    "inherited method": Case(
        "import far\nclass Own(far.Base):\n    pass\n@step\ndef work(x):\n    return Own().m()",
        "30",
        "31",
        "far.py",
        FAR,
    ),
    "module taken in the hand": Case(
        "import far\n@step\ndef work(x):\n    return getattr(far, 'f')(x)", "x * 10", "x * 11", "far.py", FAR
    ),
    "submodule of a package": Case(
        "from package import inner\n@step\ndef work(x):\n    return inner.f(x)",
        "x * 10",
        "x * 11",
        "package/inner.py",
        {"package/__init__.py": "", "package/inner.py": FAR["far.py"]},
    ),
    "dotted import": Case(
        "import package.inner\n@step\ndef work(x):\n    return package.inner.f(x)",
        "x * 10",
        "x * 11",
        "package/inner.py",
        {"package/__init__.py": "", "package/inner.py": FAR["far.py"]},
    ),
    "relative import in a function": Case(
        "from package.outer import go\n@step\ndef work(x):\n    return go(x)",
        "x * 10",
        "x * 11",
        "package/inner.py",
        {
            "package/__init__.py": "",
            "package/outer.py": "def go(x):\n    from .inner import f\n    return f(x)\n",
            "package/inner.py": FAR["far.py"],
        },
    ),
    "import of a module in a function": Case(
        "@step\ndef work(x):\n    import far\n    return far.f(x)", "x * 10", "x * 11", "far.py", FAR
    ),
    "table of functions": Case(
        "import far\nTABLE = {'f': [far.f]}\n@step\ndef work(x):\n    return TABLE['f'][0](x)",
        "x * 10",
        "x * 11",
        "far.py",
        FAR,
    ),
    "partial": Case(
        "import far, functools\nPART = functools.partial(far.f)\n@step\ndef work(x):\n    return PART(x)",
        "x * 10",
        "x * 11",
        "far.py",
        FAR,
    ),
    "bound method of an object": Case(
        "import far\nMETHOD = far.Base().m\n@step\ndef work(x):\n    return METHOD()", "30", "31", "far.py", FAR
    ),
    "default argument that is a function": Case(
        "import far\ndef use(x, how=far.f):\n    return how(x)\n@step\ndef work(x):\n    return use(x)",
        "x * 10",
        "x * 11",
        "far.py",
        FAR,
    ),
    "keyword default": Case(
        "def use(x, *, more=1):\n    return x + more\n@step\ndef work(x):\n    return use(x)", "more=1", "more=2"
    ),
    "memoised function": Case(
        "import functools\n@functools.cache\ndef slow(x):\n    return x + 1\n@step\ndef work(x):\n    return slow(x)",
        "x + 1",
        "x + 2",
    ),
    "single dispatch": Case(
        "import functools\n@functools.singledispatch\ndef use(x):\n    return 0\n@use.register\ndef _(x: int):\n    return 1\n"
        "@step\ndef work(x):\n    return use(x)",
        "return 1",
        "return 2",
    ),
    "decorator with arguments": Case(
        "def times(n):\n    def deco(f):\n        def inner(x):\n            return f(x) * n\n        return inner\n"
        "    return deco\n@times(3)\ndef use(x):\n    return x\n@step\ndef work(x):\n    return use(x)",
        "@times(3)",
        "@times(4)",
    ),
    "property": Case(
        "class Box:\n    @property\n    def size(self):\n        return 1\n@step\ndef work(x):\n    return Box().size",
        "return 1",
        "return 2",
    ),
    "class method and static method": Case(
        "class Box:\n    @classmethod\n    def make(cls):\n        return cls.inner()\n    @staticmethod\n    def inner():\n"
        "        return 1\n@step\ndef work(x):\n    return Box.make()",
        "return 1",
        "return 2",
    ),
    "metaclass": Case(
        "class Meta(type):\n    def size(cls):\n        return 1\nclass Box(metaclass=Meta):\n    pass\n"
        "@step\ndef work(x):\n    return Box.size()",
        "return 1",
        "return 2",
    ),
    "default factory of a dataclass": Case(
        "from dataclasses import dataclass, field\n@dataclass\nclass Box:\n    a: list = field(default_factory=lambda: [1])\n"
        "@step\ndef work(x):\n    return Box().a",
        "[1]",
        "[2]",
    ),
    "order of a dataclass's fields": Case(
        "from dataclasses import dataclass\n@dataclass\nclass Box:\n    a: int\n    b: int\n@step\ndef work(x):\n    return Box(1, x).a",
        "    a: int\n    b: int",
        "    b: int\n    a: int",
    ),
    "value of an enumeration": Case(
        "import enum\nclass Kind(enum.Enum):\n    A = 1\n    B = 2\n@step\ndef work(x):\n    return Kind.A.value",
        "A = 1",
        "A = 3",
    ),
    "named tuple": Case(
        "from collections import namedtuple\nPair = namedtuple('Pair', 'a b')\n@step\ndef work(x):\n    return Pair(1, 2)[0] + Pair(1, 2).a",
        "'a b'",
        "'b a'",
    ),
    "mutual recursion": Case(
        "def even(n):\n    return n == 0 or odd(n - 1)\ndef odd(n):\n    return n != 0 and even(n - 1)\n@step\ndef work(x):\n    return even(x)",
        "n != 0 and",
        "n == 1 and",
    ),
    "comprehension, lambda and nested function": Case(
        "A = 1\n@step\ndef work(x):\n    def inner():\n        return [(lambda: A)() for _ in range(x)]\n    return inner()",
        "A = 1",
        "A = 2",
    ),
    "step called by a step": Case(
        "@step\ndef other(x):\n    return x + 1\n@step\ndef work(x):\n    return other(x)", "x + 1", "x + 2"
    ),
    "registry filled by a decorator": Case(
        "ALL = {}\ndef register(f):\n    ALL[f.__name__] = f\n    return f\n@register\ndef one(x):\n    return 1\n"
        "@step\ndef work(x):\n    return ALL['one'](x)",
        "return 1",
        "return 2",
    ),
    "seed at the top of a module": Case(
        "import random\nrandom.seed(1)\n@step\ndef work(x):\n    return random.random()", "seed(1)", "seed(2)"
    ),
    "function called at the top of a module": Case(
        "import os\ndef prepare():\n    os.environ['A'] = '1'\nprepare()\n@step\ndef work(x):\n    return os.environ['A']",
        "'1'",
        "'2'",
    ),
    "regular expression": Case(
        "import re\nWORD = re.compile('a+')\n@step\ndef work(x):\n    return bool(WORD.match('b'))", "'a+'", "'b+'"
    ),
    "array": Case(
        "import numpy as np\nA = np.arange(5)\n@step\ndef work(x):\n    return int(A.sum())", "arange(5)", "arange(6)"
    ),
    "function inside a library's object": Case(
        "from sklearn.preprocessing import FunctionTransformer\nimport far\nT = FunctionTransformer(far.f)\n"
        "@step\ndef work(x):\n    return T.transform([[x]])",
        "x * 10",
        "x * 11",
        "far.py",
        FAR,
    ),
    "expression of polars": Case(
        "import polars as pl\nE = pl.col('a') + 1\n@step\ndef work(x):\n    return pl.select(a=x).select(E)",
        "+ 1",
        "+ 2",
    ),
    "text equal to the docstring": Case("@step\ndef work(x):\n    'same'\n    return 'same'", "'same'", "'other'"),
    "constant of another type": Case("@step\ndef work(x):\n    return x * 1", "x * 1", "x * True"),
    "argument order": Case(
        "def use(a, b):\n    return a - b\n@step\ndef work(x):\n    return use(x, b=1)", "use(a, b)", "use(b, a)"
    ),
    "local name of a global": Case(
        "import far\n@step\ndef work(x):\n    return far.f(x)", "far.f(x)", "far.g(x)", "pipeline.py", FAR
    ),
}
BESIDE = {
    "another function": Case("import far\n@step\ndef work(x):\n    return far.f(x)", "x * 20", "x * 21", "far.py", FAR),
    "another constant": Case(
        "from far import f\n@step\ndef work(x):\n    return f(x)", "SIZE = 1", "SIZE = 2", "far.py", FAR
    ),
    "a comment and empty lines": Case(
        "@step\ndef work(x):\n    return x", "    return x", "\n    # so\n\n    return x"
    ),
    "a docstring": Case("@step\ndef work(x):\n    'One.'\n    return x", "'One.'", "'Two.'"),
    "no docstring": Case("@step\ndef work(x):\n    'One.'\n    return x", "    'One.'\n", ""),
    "what only a script does": Case(
        "@step\ndef work(x):\n    return x\nif __name__ == '__main__':\n    print(1)", "print(1)", "print(2)"
    ),
}
