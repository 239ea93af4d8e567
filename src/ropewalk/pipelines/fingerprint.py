"""What a step's code really is: bytecode and values, followed through everything of the project that it reaches."""

from __future__ import annotations

import importlib
import importlib.util
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from types import CellType, FunctionType, ModuleType
from typing import Any, cast

from ropewalk.pipelines.asking import Asking, at, names_in
from ropewalk.pipelines.bytecode import Scan, scan
from ropewalk.pipelines.declare import StepOptions, options_of
from ropewalk.pipelines.effects import effects_of
from ropewalk.pipelines.facts import Facts, Ref
from ropewalk.pipelines.graph import Code
from ropewalk.pipelines.linefree import LineFree
from ropewalk.pipelines.ownership import Ownership
from ropewalk.pipelines.told import NOT_SEEN, told
from ropewalk.pipelines.variables import VARIABLE, is_secret
from ropewalk.pipelines.walk import Walk
from ropewalk.records import replace
from ropewalk.refs import canonical, digest_of, short
from ropewalk.source.environment import is_library, library_version

FORMAT = 2
# Names by which code reaches code that cannot be followed: then the whole project counts.
UNFOLLOWED = frozenset(
    {"globals", "vars", "eval", "exec", "compile", "__import__", "import_module", "importlib", "runpy", "subprocess"}
    | {"__subclasses__", "__annotations__", "get_type_hints", "get_annotations", "_getframe", "currentframe"}
    | {"run_module", "run_path", "system", "popen", "Popen", "spec_from_file_location", "__globals__", "modules"}
    | {"__doc__", "getdoc", "getsource", "getsourcelines", "resolve_name"}
)


# Names by which code reaches the files of a library that it names by a text.
_NAMED_LIBRARIES = UNFOLLOWED | {"find_spec", "files", "distribution", "version", "get_data", "resources"}
_RESOURCES = ("importlib.resources", "importlib_resources", "pkgutil", "pkg_resources")
_ASKS = 'asks for environment variables by names that are not written there: declare them, reads=["env:NAME"]'
_COUNTS = ", so every file of the project counts for it"
NOTHING = Scan(token=[], chains=(), imports=(), names=frozenset(), words=frozenset())


class Fingerprinter:
    """Reads the code of steps as they are in this process: make it before any step has run.

    Args:
        owned: says which modules are the project's.
        tree: digest of all the project's files, for code that cannot be followed.
        files: digest of those that are not Python, for code that knows where it lies.
    """

    def __init__(self, owned: Ownership, tree: str, files: str = "") -> None:
        self._owned = owned
        self._tree = tree
        self._files = files or tree
        self._lines = LineFree()
        self._facts: dict[tuple[object, ...], Facts] = {}
        self._keep: list[object] = []
        self._effects: list[Ref] | None = None
        self._modules = len(owned.modules())

    def code_of(self, function: Callable[..., Any]) -> Code:
        """Return the code of a step, or of any function.

        The root's own default arguments are left out: they are inputs.
        """
        code, modules = self._walk(function), len(self._owned.modules())
        if modules != self._modules:
            # An import inside a function has brought modules whose statements count too.
            self._modules, self._effects = modules, None
            return self.code_of(function)
        return code

    def _walk(self, function: Callable[..., Any]) -> Code:
        first = Ref(name="", value=function, kind="root")
        order: dict[tuple[object, ...], int] = {}
        lines: list[list[Any]] = []
        parts: dict[str, str] = {
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "reading of code": str(FORMAT),
        }
        reads: dict[str, None] = {}
        hidden: set[str] = set()
        asks, words = False, dict[str, None]()
        pending = [first, *self._module_effects()]
        while pending:
            facts, key = self._look(pending.pop(0))
            if key in order:
                continue
            order[key] = len(order)
            pending += facts.refs
            reads.update(dict.fromkeys(facts.reads))
            asks = asks or facts.asks
            words.update(dict.fromkeys(facts.words))
            hidden.update(f"{VARIABLE}{name}" for name in facts.hidden)
            parts[_free(facts.name, parts)] = facts.shown
            lines.append([facts.name, facts.token, list(facts.refs)])
        for line in lines:
            line[2] = [order[self._look(ref)[1]] for ref in line[2]]
        if asks:
            reads.update(dict.fromkeys(f"{VARIABLE}{name}" for name in names_in(words)))
        shared = _shared({order[key]: self._facts[key].holds for key in order})
        if shared:
            groups = sorted({" = ".join(dict.fromkeys(lines[number][0] for number, _ in group)) for group in shared})
            parts["one thing by several names"] = "; ".join(groups)
        return Code(
            digest=digest_of(canonical([FORMAT, parts["python"], lines, *([shared] if shared else [])])),
            parts=parts,
            reads=tuple(name for name in reads if name not in hidden),
        )

    def globals_of(self, objects: Mapping[str, object]) -> dict[str, str]:
        """Return the code digest of each function or class of the project, for values that refer to them."""
        return {
            name: self.code_of(value).digest if isinstance(value, FunctionType) else self._class_digest(value)
            for name, value in sorted(objects.items())
        }

    def _class_digest(self, value: object) -> str:
        def holder() -> object:
            return value

        return self.code_of(holder).digest

    def _module_effects(self) -> list[Ref]:
        if self._effects is None:
            self._effects = [
                Ref(name=f"{module.__name__} (statements)", value=(module, code), kind="effects")
                for module, code in effects_of(self._owned)
            ]
        return self._effects

    def _look(self, ref: Ref) -> tuple[Facts, tuple[object, ...]]:
        """Return what is known of one thing, by itself, and the key that it is known by."""
        value = ref.value
        if ref.kind in ("root", "follow"):
            options = options_of(value)
            if options is not None:
                value = getattr(value, "__wrapped__")  # noqa: B009 - functools.wraps set it
            key: tuple[object, ...] = (ref.kind, id(value))
        else:
            options = None
            key = (ref.kind, ref.name, value if isinstance(value, str) else id(value))
        if key not in self._facts:
            self._keep.append(value)
            self._facts[key] = self._make(ref, value, options)
        return self._facts[key], key

    def _make(self, ref: Ref, value: Any, options: StepOptions | None) -> Facts:  # noqa: ANN401, PLR0911 - any object
        if ref.kind == "library":
            version = "-" if ref.value == "ropewalk" else library_version(str(ref.value))
            return Facts(name=f"library {ref.value}", token=version, shown=version, refs=(), reads=())
        if ref.kind == "project":
            return Facts(name="the whole project", token=self._tree, shown=short(self._tree), refs=(), reads=())
        if ref.kind == "note":
            return Facts(name=ref.name, token="", shown="-", refs=(), reads=())
        if ref.kind == "files":
            return Facts(
                name="the project's other files", token=self._files, shown=short(self._files), refs=(), reads=()
            )
        if ref.kind == "effects":
            module, code = value
            return self._bound_facts(ref.name, scan(code), cast("dict[str, Any]", vars(module)), refs=[], extra=[])
        if isinstance(value, FunctionType):
            return self._function(value, root=ref.kind == "root", options=options)
        walk = Walk(self._owned)
        if isinstance(value, type) and ref.kind == "follow":
            return walk.class_facts(value)
        if isinstance(value, ModuleType) and ref.kind == "follow":
            return walk.module_facts(value)
        return walk.value_facts(ref.name, value)

    def _function(self, function: FunctionType, *, root: bool, options: StepOptions | None) -> Facts:
        name = f"{function.__module__}.{function.__qualname__}"
        refs: list[Ref] = []
        extra: list[Any] = []
        walk = Walk(self._owned)
        cells = list(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        for variable, cell in cells:
            extra.append(["cell", variable, walk.cell(f"{name}({variable})", cell, refs)])
        if not root:
            given = (function.__defaults__, function.__kwdefaults__)
            if any(given):
                refs.append(Ref(name=f"{name}(defaults)", value=given, kind="value"))
                extra.append("defaults")
        own = {key: value for key, value in vars(function).items() if key != "__wrapped__"}
        if own:
            extra.append(["attributes", walk.state(f"{name}(attributes)", own, refs)])
        found = scan(self._lines.of(function.__code__))
        if self._owned.is_library_file(function.__code__.co_filename):
            top = str(function.__globals__.get("__name__", "")).partition(".")[0]
            refs.append(Ref(name=top, value=top, kind="library"))
            found = NOTHING
            # Such a wrapper may convert or check by them.
            notes = {key: repr(note) for key, note in function.__annotations__.items()}
            extra.append(["library code", function.__code__.co_name, notes])
        held = _held(function, [] if found is NOTHING else cells)
        facts = self._bound_facts(name, found, function.__globals__, refs=refs, extra=extra, held=held)
        facts = replace(facts, holds=(*walk.holds, *facts.holds))
        return (
            facts if options is None else replace(facts, reads=(*options.reads, *facts.reads), hidden=options.secrets)
        )

    def _bound_facts(
        self,
        name: str,
        found: Scan,
        namespace: Mapping[str, Any],
        *,
        refs: list[Ref],
        extra: list[Any],
        held: Mapping[str, Any] | None = None,
    ) -> Facts:
        """Return a code object's facts with everything that its global names and imports are bound to."""
        walk = Walk(self._owned)
        module = str(namespace.get("__name__") or "")
        bound = [walk.chain(chain, namespace, module, refs) for chain in found.chains]
        package = str(namespace.get("__package__") or "")
        for item in found.imports:
            absolute = "." * item.level + item.module
            absolute = importlib.util.resolve_name(absolute, package) if item.level else absolute
            bound.append(walk.imported(absolute, item.names, refs))
        unfollowed = sorted(found.names & UNFOLLOWED)
        if unfollowed:
            refs.append(Ref(name="", value="", kind="project"))
            refs.append(Ref(name=f"{NOT_SEEN}{name} uses {', '.join(unfollowed)}{_COUNTS}", value="-", kind="note"))
        if found.names & _NAMED_LIBRARIES:
            named = sorted(word for word in found.words if is_library(word))
            refs += [Ref(name=word, value=word, kind="library") for word in named]
        refs += [
            Ref(name=f"{NOT_SEEN}{name} changes {what}", value="-", kind="note") for what in _changed(found, namespace)
        ]
        if _reads_packages(found, namespace):
            refs.append(Ref(name="", value="", kind="files"))
        for data in found.packed:
            walk.packed(data, refs)
        asking = Asking(found, namespace, held or {})
        if asking.open:
            refs.append(Ref(name=f"{NOT_SEEN}{name} {_ASKS}", value="-", kind="note"))
        return Facts(
            name=name,
            token=(token := digest_of(canonical([found.token, bound, extra]))),
            shown=told(token, found),
            refs=tuple(refs),
            reads=tuple(f"{VARIABLE}{variable}" for variable in asking.names if not is_secret(variable)),
            asks=asking.open,
            words=(*sorted(found.words), *asking.texts()),
            holds=tuple(walk.holds),
        )


def _held(function: FunctionType, cells: list[tuple[str, CellType]]) -> dict[str, Any]:
    """Return what variables of enclosing functions hold, and arguments where nobody gives them."""
    code, found = function.__code__, dict[str, Any](function.__kwdefaults__ or {})
    defaults = function.__defaults__ or ()
    names = code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount]
    found.update(zip(names, defaults, strict=True))
    for variable, cell in cells:
        with suppress(ValueError):  # nothing is in it yet
            found[variable] = cell.cell_contents
    return found


def _shared(holds: Mapping[int, Iterable[int]]) -> list[list[list[int]]]:
    """Return the places of each changeable object that is held in more than one: two names of one list are one list."""
    places: dict[int, list[list[int]]] = {}
    for number, held in holds.items():
        for position, one in enumerate(held):
            places.setdefault(one, []).append([number, position])
    return [found for found in places.values() if len(found) > 1]


def _reads_packages(found: Scan, namespace: Mapping[str, Any]) -> bool:
    """Say whether code reads files that lie in packages, which it names by a text."""
    held = (at(namespace, chain) for chain in found.chains)
    homes = [str(getattr(value, "__name__" if isinstance(value, ModuleType) else "__module__", "")) for value in held]
    homes += [item.module for item in found.imports]
    return any(home.startswith(_RESOURCES) for home in homes)


def _changed(found: Scan, namespace: Mapping[str, Any]) -> Iterator[str]:
    """Yield what code gives to modules that are not its own: a patch that holds for whoever comes after it."""
    for *chain, attribute in found.stores:
        value = namespace.get(chain[0])
        for name in chain[1:]:
            value = getattr(value, name, None)
        if isinstance(value, ModuleType):
            yield f"{value.__name__}.{attribute} while it runs"


def _free(name: str, parts: Mapping[str, str]) -> str:
    """Return a name that no part has yet: two closures of one factory have one name."""
    number, free = 1, name
    while free in parts:
        number += 1
        free = f"{name} #{number}"
    return free
