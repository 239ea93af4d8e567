"""Pickles that do harm when they are loaded, for tests of what must refuse or contain them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Evil:
    """A pickle that leaves a mark.

    Attributes:
        name: the way it takes.
        data: the pickle.
        mark: the file that is there when it had its way.
    """

    name: str
    data: bytes
    mark: Path


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def call(module: str, name: str, *arguments: str | bytes) -> bytes:
    """Return opcodes that call `module.name`: texts are given as they are, bytes are opcodes of an argument."""
    words = b"".join(_text(item) if isinstance(item, str) else item for item in arguments)
    return f"c{module}\n{name}\n".encode() + b"(" + words + b"tR"


def whole(opcodes: bytes) -> bytes:
    """Return a whole pickle that gives what the opcodes leave on the stack."""
    return b"\x80\x02" + opcodes + b"."


def evil_pickles(folder: Path) -> tuple[Evil, ...]:
    """Return pickles that each make a file of their own name in the folder when they are loaded."""
    return tuple(
        Evil(name=name, data=data, mark=folder / name) for name in _WAYS for data in (_WAYS[name](str(folder / name)),)
    )


def _shell(mark: str) -> str:
    return f"touch {mark}"


def _python(mark: str) -> str:
    return f"open({mark!r}, 'w').close()"


def _imported(mark: str) -> bytes:
    """`importlib.import_module('os')`, then its `system` by getattr: scanners that know os.system do not see it."""
    module = call("importlib", "import_module", "os")
    system = b"cbuiltins\ngetattr\n(" + module + _text("system") + b"tR"
    return whole(system + b"(" + _text(_shell(mark)) + b"tR")


def _located(mark: str) -> bytes:
    return whole(call("pydoc", "locate", "os.system") + b"(" + _text(_shell(mark)) + b"tR")


def _method(module: str, name: str, *arguments: bytes) -> bytes:
    return b"\x80\x04" + _text(module) + _text(name) + b"\x93(" + b"".join(arguments) + b"tR."


def _dotted(mark: str) -> bytes:
    """A dotted name of protocol 4 walks from an allowed module to one that is not."""
    return _method("subprocess", "os.system", _text(_shell(mark)))


def _made_up(mark: str) -> bytes:
    """The name of the import is made by the pickle itself, so that no text in it says `exec`."""
    name = call("builtins", "str", b"c_codecs\ndecode\n(" + _text("rkrp") + _text("rot13") + b"tR")
    return b"\x80\x04" + _text("builtins") + name + b"\x93(" + _text(_python(mark)) + b"tR."


def _inside(mark: str) -> bytes:
    inner = whole(call("os", "system", _shell(mark)))
    return whole(call("pickle", "loads", b"B" + len(inner).to_bytes(4, "little") + inner))


def _forked(mark: str) -> str:
    return f"import os\nif os.fork() == 0:\n    {_python(mark)}\n    os._exit(0)\nos.wait()"


def _spawned(mark: str) -> str:
    return f"import subprocess; subprocess.run(['touch', {mark!r}], check=True)"


def _instance(mark: str) -> bytes:
    """The oldest opcode, INST, of protocol 0."""
    return b"(S" + repr(_shell(mark)).encode() + b"\nios\nsystem\n."


def _by_memo(mark: str) -> bytes:
    """Module and name come back from the memo, out of order, before STACK_GLOBAL joins them."""
    stored = _text("system") + b"\x940" + _text("posix") + b"\x940"
    return b"\x80\x04" + stored + b"h\x01h\x00\x93(" + _text(_shell(mark)) + b"tR."


_WAYS: dict[str, Callable[[str], bytes]] = {
    "os.system": lambda mark: whole(call("os", "system", _shell(mark))),
    "posix.system": lambda mark: whole(call("posix", "system", _shell(mark))),
    "inst": _instance,
    "memo": _by_memo,
    "importlib": _imported,
    "timeit": lambda mark: whole(call("timeit", "timeit", "pass", _python(mark))),
    "pydoc": _located,
    "runpy": lambda mark: whole(
        call("runpy", "_run_code", call("builtins", "compile", _python(mark), "m", "exec"), b"}")
    ),
    "eval": lambda mark: whole(call("builtins", "eval", _python(mark))),
    "exec": lambda mark: whole(call("builtins", "exec", _python(mark))),
    "open": lambda mark: whole(call("builtins", "open", mark, "w")),
    "pathlib": lambda mark: _method("pathlib", "Path.touch", call("pathlib", "Path", mark)),
    "runstring": lambda mark: whole(call("numpy.testing._private.utils", "runstring", _python(mark), b"}")),
    "dotted": _dotted,
    "made_up": _made_up,
    "nested": _inside,
    "fork": lambda mark: whole(call("builtins", "exec", _forked(mark))),
    "subprocess": lambda mark: whole(call("builtins", "exec", _spawned(mark))),
    "code": lambda mark: whole(call("cProfile", "run", _python(mark))),
    "bdb": lambda mark: _method("bdb", "Bdb.run", call("bdb", "Bdb"), _text(_python(mark))),
}


def connecting(port: int) -> bytes:
    """Return a pickle that connects to a port of this machine and says a word."""
    return whole(
        call("builtins", "exec", f"import socket; socket.create_connection(('127.0.0.1', {port})).send(b'evil')")
    )


def honest() -> bytes:
    """Return a pickle of plain values that nothing refuses."""
    return pickle.dumps({"weights": [0.5, 1.5], "names": ("a", "b")}, protocol=5)
