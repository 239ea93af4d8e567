# ruff: noqa: E501 - each case is the text of a small program
"""Programs that once were served stale, or were looked for to be: environment, pickles, aliases, language, modules."""

from __future__ import annotations

from fingerprint_cases import FAR, Case

ONE = {"conf.py": "NAME = 'REGION'\nKEYS = ('A_B', 'C_D')\n"}
# fmt: off
HUNT_REACHED = {
    # two names of one list
    "alias of a list becomes a copy": Case("A=[1]\nB=A\n@step\ndef work(x):\n    A.append(x)\n    return B", "B=A", "B=list(A)"),
    "alias over modules becomes a copy": Case("import far\nimport conf\n@step\ndef work(x):\n    far.L.append(x)\n    return conf.M", "M = L", "M = list(L)", "conf.py", {"far.py": "L = [1]\n", "conf.py": "from far import L\nM = L\n"}),
    "alias within a dict becomes a copy": Case("A=[1]\nD={'a': A}\n@step\ndef work(x):\n    A.append(x)\n    return D['a']", "'a': A", "'a': [*A]"),
    "rows of one list": Case("D=[[0]]*2\n@step\ndef work(x):\n    D[0].append(x)\n    return D[1]", "[[0]]*2", "[[0],[0]]"),
    "alias of an object": Case("class C:\n    pass\na=C()\nb=a\n@step\ndef work(x):\n    a.v=x\n    return getattr(b,'v',0)", "b=a", "b=C()"),
    "default that is a global list": Case("L=[]\ndef add(x, to=L):\n    to.append(x)\n@step\ndef work(x):\n    add(x)\n    return L", "to=L", "to=[]"),
    "class attribute that is a global list": Case("L=[]\nclass C:\n    held=L\n@step\ndef work(x):\n    C.held.append(x)\n    return L", "held=L", "held=[]"),
    # pickles of the project's code
    "pickle in a constant, protocol 0": Case("import pickle, far\n@step\ndef work(x):\n    return pickle.loads(b'cfar\\nf\\n.')(x)", "x * 10", "x * 11", "far.py", FAR),
    "pickle in a constant, protocol 4": Case("import pickle\n@step\ndef work(x):\n    return pickle.loads(b'\\x80\\x04\\x95\\x0c\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x8c\\x03far\\x94\\x8c\\x01f\\x93\\x94.')(x)", "x * 10", "x * 11", "far.py", FAR),
    "pickle made at import": Case("import pickle, far\nP=pickle.dumps(far.f)\n@step\ndef work(x):\n    return pickle.loads(P)(x)", "x * 10", "x * 11", "far.py", FAR),
    "pickles in a dict": Case("import pickle, far\nP={'f': pickle.dumps(far.Base())}\n@step\ndef work(x):\n    return pickle.loads(P['f']).m()", "30", "31", "far.py", FAR),
    # the language
    "match on a class": Case("import far\n@step\ndef work(x):\n    match far.Base():\n        case far.Base() as b:\n            return b.m()", "30", "31", "far.py", FAR),
    "match on a constant of a module": Case("import far\n@step\ndef work(x):\n    match x:\n        case far.SIZE:\n            return 1\n    return 0", "SIZE = 1", "SIZE = 2", "far.py", FAR),
    "walrus": Case("import far\n@step\ndef work(x):\n    if (y := far.f(x)) > 3:\n        return y", "x * 10", "x * 11", "far.py", FAR),
    "generator helper": Case("def gen(x):\n    yield x\n    yield 1\n@step\ndef work(x):\n    return list(gen(x))", "yield 1", "yield 2"),
    "generator expression": Case("import far\n@step\ndef work(x):\n    return sum(far.f(i) for i in range(3))", "x * 10", "x * 11", "far.py", FAR),
    "async helper": Case("import asyncio\nasync def go(x):\n    return x + 1\n@step\ndef work(x):\n    return asyncio.run(go(x))", "x + 1", "x + 2"),
    "async generator and comprehension": Case("import asyncio\nasync def go():\n    yield 1\nasync def all():\n    return [x async for x in go()]\n@step\ndef work(x):\n    return asyncio.run(all())", "yield 1", "yield 2"),
    "async context manager": Case("import asyncio\nclass C:\n    async def __aenter__(self):\n        return 1\n    async def __aexit__(self,*a):\n        pass\nasync def go():\n    async with C() as v:\n        return v\n@step\ndef work(x):\n    return asyncio.run(go())", "return 1", "return 2"),
    "metaclass": Case("class M(type):\n    def __call__(cls):\n        return 1\nclass A(metaclass=M):\n    pass\n@step\ndef work(x):\n    return A()", "return 1", "return 2"),
    "metaclass attribute": Case("class M(type):\n    @property\n    def p(cls):\n        return 1\nclass A(metaclass=M):\n    pass\n@step\ndef work(x):\n    return A.p", "return 1", "return 2"),
    "metaclass prepares": Case("class M(type):\n    def __new__(m, n, b, d):\n        d['k'] = 1\n        return super().__new__(m, n, b, d)\nclass A(metaclass=M):\n    pass\n@step\ndef work(x):\n    return A.k", "= 1", "= 2"),
    "init_subclass registers": Case("R={}\nclass A:\n    def __init_subclass__(cls):\n        R[cls.__name__]=cls\nclass B(A):\n    def m(self):\n        return 1\n@step\ndef work(x):\n    return R['B']().m()", "return 1", "return 2"),
    "set_name": Case("class D:\n    def __set_name__(self, o, n):\n        self.n=n+'1'\n    def __get__(self,o,t):\n        return self.n\nclass A:\n    d=D()\n@step\ndef work(x):\n    return A().d", "'1'", "'2'"),
    "class_getitem": Case("class A:\n    def __class_getitem__(cls, k):\n        return 1\n@step\ndef work(x):\n    return A[0]", "return 1", "return 2"),
    "instancecheck": Case("class M(type):\n    def __instancecheck__(c, i):\n        return True\nclass A(metaclass=M):\n    pass\n@step\ndef work(x):\n    return isinstance(x, A)", "True", "False"),
    "operators of an object": Case("class V:\n    def __add__(self, o):\n        return 1\na=V()\n@step\ndef work(x):\n    return a + x", "return 1", "return 2"),
    "data descriptor through inheritance": Case("import far\nclass A(far.P):\n    pass\n@step\ndef work(x):\n    return A().p", "return 5", "return 6", "far.py", {"far.py": "class P:\n    @property\n    def p(self):\n        return self.q()\n    def q(self):\n        return 5\n"}),
    "class attribute through inheritance": Case("import far\nclass A(far.P):\n    pass\n@step\ndef work(x):\n    return A.k", "k = 5", "k = 6", "far.py", {"far.py": "class P:\n    k = 5\n"}),
    "field factory of a dataclass": Case("from dataclasses import dataclass, field\n@dataclass\nclass A:\n    l: list = field(default_factory=lambda: [1])\n@step\ndef work(x):\n    return A().l", "[1]", "[2]"),
    "post_init of a dataclass": Case("from dataclasses import dataclass\n@dataclass\nclass A:\n    a: int = 1\n    def __post_init__(self):\n        self.a += 1\n@step\ndef work(x):\n    return A().a", "+= 1", "+= 2"),
    "inherited field of a dataclass": Case("from dataclasses import dataclass\nimport far\n@dataclass\nclass A(far.P):\n    b: int = 1\n@step\ndef work(x):\n    return A()", "k: int = 5", "k: int = 6", "far.py", {"far.py": "from dataclasses import dataclass\n@dataclass\nclass P:\n    k: int = 5\n"}),
    "auto of an enum": Case("import enum\nclass E(enum.Enum):\n    @staticmethod\n    def _generate_next_value_(n, s, c, l):\n        return n + '1'\n    A=enum.auto()\n@step\ndef work(x):\n    return E.A.value", "'1'", "'2'"),
    "missing of an enum": Case("import enum\nclass E(enum.Enum):\n    A=1\n    B=2\n    @classmethod\n    def _missing_(cls, v):\n        return cls.A\n@step\ndef work(x):\n    return E(9).name", "return cls.A", "return cls.B"),
    "singledispatch registered elsewhere": Case("import far, more\n@step\ndef work(x):\n    return far.g(x)", "return 1", "return 2", "more.py", {"far.py": "import functools\n@functools.singledispatch\ndef g(x):\n    return 0\n", "more.py": "import far\n@far.g.register\ndef _(x: int):\n    return 1\n"}),
    "singledispatchmethod": Case("import functools\nclass A:\n    @functools.singledispatchmethod\n    def m(self, x):\n        return 0\n    @m.register\n    def _(self, x: int):\n        return 1\n@step\ndef work(x):\n    return A().m(x)", "return 1", "return 2"),
    "cached helper": Case("import functools\nimport far\n@functools.cache\ndef f(x):\n    return far.f(x)\n@step\ndef work(x):\n    return f(x)", "x * 10", "x * 11", "far.py", FAR),
    "cached method": Case("import functools\nclass A:\n    @functools.cache\n    def m(self):\n        return 1\n@step\ndef work(x):\n    return A().m()", "return 1", "return 2"),
    "lambda default": Case("def f(x, key=lambda v: v + 1):\n    return key(x)\n@step\ndef work(x):\n    return f(x)", "v + 1", "v + 2"),
    "lambda in a table": Case("T={'a': lambda x: x + 1}\n@step\ndef work(x):\n    return T['a'](x)", "x + 1", "x + 2"),
    # modules
    "monkeypatched function of a module": Case("import far, patch\n@step\ndef work(x):\n    return far.f(x)", "x + 100", "x + 101", "patch.py", {**FAR, "patch.py": "import far\ndef other(x):\n    return x + 100\nfar.f = other\n"}),
    "monkeypatched method": Case("import far, patch\n@step\ndef work(x):\n    return far.Base().m()", "return 100", "return 101", "patch.py", {**FAR, "patch.py": "import far\ndef other(self):\n    return 100\nfar.Base.m = other\n"}),
    "monkeypatched standard library": Case("import textwrap, patch\n@step\ndef work(x):\n    return textwrap.dedent(x)", "'100'", "'101'", "patch.py", {"patch.py": "import textwrap\ntextwrap.dedent = lambda x: '100'\n"}),
    "setattr on a module": Case("import far\nsetattr(far, 'SIZE', 7)\n@step\ndef work(x):\n    return far.SIZE", "7", "8", "pipeline.py", FAR),
    "global changed at import by another module": Case("import far, patch\n@step\ndef work(x):\n    return far.SIZE", "= 7", "= 8", "patch.py", {**FAR, "patch.py": "import far\nfar.SIZE = 7\n"}),
    "star import of a star import": Case("from one import *\n@step\ndef work(x):\n    return f(x)", "x * 10", "x * 11", "far.py", {**FAR, "one.py": "from far import *\n"}),
    "relative import of a package": Case("from package.sub.deep import go\n@step\ndef work(x):\n    return go(x)", "x * 10", "x * 11", "package/low.py", {"package/__init__.py": "", "package/low.py": FAR["far.py"], "package/sub/__init__.py": "", "package/sub/deep.py": "from ..low import f\ndef go(x):\n    return f(x)\n"}),
    "conditional import": Case("try:\n    from fast import f\nexcept ImportError:\n    from far import f\n@step\ndef work(x):\n    return f(x)", "x * 10", "x * 11", "far.py", FAR),
    "conditional import in a function": Case("@step\ndef work(x):\n    try:\n        from nowhere import f\n    except ImportError:\n        from far import f\n    return f(x)", "x * 10", "x * 11", "far.py", FAR),
    "lazy module attribute": Case("import lazy\n@step\ndef work(x):\n    return lazy.f(x)", "x * 10", "x * 11", "far.py", {**FAR, "lazy.py": "def __getattr__(name):\n    import far\n    return getattr(far, name)\n"}),
    "namespace package": Case("from space import inner\n@step\ndef work(x):\n    return inner.f(x)", "x * 10", "x * 11", "space/inner.py", {"space/inner.py": FAR["far.py"]}),
    "namespace package, dotted": Case("import space.deep.inner as i\n@step\ndef work(x):\n    return i.f(x)", "x * 10", "x * 11", "space/deep/inner.py", {"space/deep/inner.py": FAR["far.py"]}),
    "renamed re-export": Case("from one import g as h\n@step\ndef work(x):\n    return h(x)", "x * 10", "x * 11", "far.py", {**FAR, "one.py": "from far import f as g\n__all__ = ['g']\n"}),
    "module in a list": Case("import far\nM=[far]\n@step\ndef work(x):\n    return M[0].f(x)", "x * 10", "x * 11", "far.py", FAR),
    "file beside the module": Case("import pathlib\n@step\ndef work(x):\n    return (pathlib.Path(__file__).parent / 'c.txt').read_text()", "one", "two", "c.txt", {"c.txt": "one"}),
    "importlib.resources": Case("import importlib.resources as r\n@step\ndef work(x):\n    return r.files('package').joinpath('c.txt').read_text()", "one", "two", "package/c.txt", {"package/__init__.py": "", "package/c.txt": "one"}),
    "pkgutil.get_data": Case("import pkgutil\n@step\ndef work(x):\n    return pkgutil.get_data('package', 'c.txt')", "one", "two", "package/c.txt", {"package/__init__.py": "", "package/c.txt": "one"}),
    "type alias that is called": Case("import far\nfrom typing import TypeAlias\nK: TypeAlias = far.Base\n@step\ndef work(x):\n    return K().m()", "30", "31", "far.py", FAR),
    "new type": Case("from typing import NewType\nimport far\nN=NewType('N', far.Base)\n@step\ndef work(x):\n    return N.__supertype__().m()", "30", "31", "far.py", FAR),
    "function of a closure's class": Case("def make(n):\n    class C:\n        def m(self):\n            return n\n    return C\nK=make(1)\n@step\ndef work(x):\n    return K().m()", "make(1)", "make(2)"),
    "exception's own text": Case("class E(Exception):\n    def __str__(self):\n        return 'one'\n@step\ndef work(x):\n    try:\n        raise E\n    except E as e:\n        return str(e)", "'one'", "'two'"),
    "operator.methodcaller": Case("import operator, far\nC=operator.methodcaller('m')\n@step\ndef work(x):\n    return C(far.Base())", "'m'", "'n'", "pipeline.py", FAR),
    "sorted by a key of a class": Case("class K:\n    def __init__(self, v):\n        self.v=v\n    def __lt__(self, o):\n        return self.v < o.v\n@step\ndef work(x):\n    return sorted([x, 2], key=K)", "self.v < o.v", "self.v > o.v"),
    "map with a partial of a bound method": Case("import functools\nclass A:\n    def m(self, k, x):\n        return k + x\nP=functools.partial(A().m, 1)\n@step\ndef work(x):\n    return list(map(P, [x]))", "k + x", "k - x"),
}
HUNT_BESIDE = {
    "another pickle's code": Case("import pickle, far, near\nP=pickle.dumps(far.f)\n@step\ndef work(x):\n    return pickle.loads(P)(x)", "x * 1", "x * 2", "near.py", {**FAR, "near.py": "def h(x):\n    return x * 1\n"}),
    "bytes that are no pickle": Case("B=b'far\\nf.'\n@step\ndef work(x):\n    return B", "x * 10", "x * 11", "far.py", FAR),
    "aliases stay": Case("A=[1]\nB=A\n@step\ndef work(x):\n    A.append(x)\n    return B", "B=A", "B = A  # the same"),
    "an alias that nothing reaches": Case("A=[1]\n@step\ndef work(x):\n    return A", "A=[1]\n", "A=[1]\nC=A\n"),
    "the environment in the hand": Case("from os import environ\n@step\ndef work(x):\n    return environ['A']", "@step", "# c\n@step"),
    "an unused member of a namespace package": Case("from space import inner\n@step\ndef work(x):\n    return inner.f(x)", "1", "2", "space/other.py", {"space/inner.py": FAR["far.py"], "space/other.py": "K = 1\n"}),
    "an unused method of another class": Case("import far\n@step\ndef work(x):\n    return far.f(x)", "30", "31", "far.py", FAR),
    "unused branch of a module that is patched": Case("import far, patch\n@step\ndef work(x):\n    return far.g(x)", "return x * 10", "return x * 12", "far.py", {**FAR, "patch.py": "import far\n"}),
}
