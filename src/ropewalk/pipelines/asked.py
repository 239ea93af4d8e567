"""Which environment variables a code object asks for, and where their names are held when they do not stand there."""

from __future__ import annotations

import dis
from collections.abc import Iterator, Sequence

GLOBALS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
ASKS = frozenset({"environ", "environb", "getenv", "getenvb"})
# What takes a name as its first argument.
_TAKES = frozenset({"get", "pop", "setdefault", "__getitem__", "__contains__"})
_WRITES = frozenset({"update", "clear"})
_HELD = ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FAST")
_USES = ("CALL", "BINARY_SUBSCR", "STORE_SUBSCR", "DELETE_SUBSCR")
_NOTHING = frozenset({"PRECALL", "KW_NAMES", "CACHE"})
_PAIRS = frozenset({"BINARY_OP", "BINARY_SUBSCR", "COMPARE_OP", "CONTAINS_OP", "IS_OP"})
Asked = str | tuple[str, ...]
Code = Sequence[dis.Instruction]


def asked_of(code: Code) -> Iterator[Asked]:
    """Yield each variable that is asked for by name, or where its name is held: see `Scan.asked`.

    `os.environ["A"]`, `os.getenv("A")`, `"A" in os.environ`, `os.environ[NAME]`, `os.environ.get(conf.NAME)`.
    """
    for position, item in enumerate(code):
        if item.opname == "IMPORT_FROM":
            # Under its own name it is heard of where it is used.
            if item.argval in ASKS and code[position + 1].argval != item.argval:
                yield ()
        elif item.argval in ASKS and (item.opname in ATTRIBUTES | GLOBALS or item.opname.startswith(_HELD)):
            yield from _key(code, position)


def _key(code: Code, position: int) -> Iterator[Asked]:
    place = position + 1
    while place < len(code) and code[place].opname in ATTRIBUTES and code[place].argval in _TAKES:
        place += 1
    if place == len(code):
        yield ()
    elif code[place].opname in ATTRIBUTES and code[place].argval in _WRITES:
        return
    elif code[place].opname == "CONTAINS_OP":
        yield _before(code, position)
    else:
        chain, after = _loaded(code, place)
        found = _named(code[place], chain)
        if found and not _is_whole(code, after):
            found = () if isinstance(found, tuple) else found
            yield ()
        yield found


def _loaded(code: Code, place: int) -> tuple[list[str], int]:
    """Return the attributes that are taken at once of what is loaded here, and where the next instruction is."""
    chain: list[str] = []
    place += 1
    while place < len(code) and code[place].opname in ATTRIBUTES:
        chain.append(str(code[place].argval))
        place += 1
    return chain, place


def _named(item: dis.Instruction, chain: list[str]) -> Asked:
    """Return a text that is loaded, or where it is held; `()` for anything else."""
    if item.opcode in dis.hasconst:
        return item.argval if isinstance(item.argval, str) and not chain else ()
    if item.opname in GLOBALS:
        return ("global", str(item.argval), *chain)
    return ("held", str(item.argval), *chain) if item.opname.startswith(_HELD) else ()


def _before(code: Code, position: int) -> Asked:
    """Return what is looked for in the environment: what was loaded right before it."""
    place = position
    while place > 0 and code[place].opname in ATTRIBUTES:
        place -= 1  # to the name that `environ` is an attribute of
    place -= 1
    chain: list[str] = []
    while place > 0 and code[place].opname in ATTRIBUTES:
        chain.insert(0, str(code[place].argval))
        place -= 1
    return _named(code[place], chain) if place >= 0 else ()


def _is_whole(code: Code, place: int) -> bool:
    """Say whether what lies on the stack is the key as it is, and not a part of it: `environ["A" + tail]`."""
    above = 1
    for item in code[place:]:
        moved = _moved(item)
        if moved is None:
            return False
        taken, given = moved
        if taken >= above:
            return item.opname.startswith(_USES) or item.argrepr == "[]"
        above += given - taken
    return False


def _moved(item: dis.Instruction) -> tuple[int, int] | None:
    """Return how many values an instruction takes from the stack and how many it puts there, None where not known."""
    name, count = item.opname, item.arg or 0
    if name in ATTRIBUTES:
        return 1, 2 if name == "LOAD_METHOD" else 1
    if name.startswith(("LOAD_", "PUSH_NULL")):
        return 0, 2 if name == "LOAD_GLOBAL" and count & 1 else 1
    counted = {
        "BUILD_STRING": (count, 1),
        "BUILD_TUPLE": (count, 1),
        "BUILD_LIST": (count, 1),
        "FORMAT_VALUE": (2 if count & 4 else 1, 1),
        "CALL": (count + 2, 1),
        "STORE_SUBSCR": (3, 0),
        "DELETE_SUBSCR": (2, 0),
        **dict.fromkeys(_NOTHING, (0, 0)),
        **dict.fromkeys(_PAIRS, (2, 1)),
    }
    return counted.get(name)
