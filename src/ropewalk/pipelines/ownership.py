"""Which modules are the project's own, and which belong to libraries that are told by their version."""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import cache
from types import ModuleType

import ropewalk

_STANDARD = os.path.dirname(os.path.realpath(os.__file__)) + os.sep  # noqa: PTH120 - pathlib costs the worker's start
_OURS = os.path.dirname(os.path.realpath(ropewalk.__file__)) + os.sep  # noqa: PTH120
_PICKLES = (b"\x80\x04\x95", b"\x80\x05\x95")  # how a pickle of these protocols begins
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


@cache
def _real(file: str) -> str:
    """Return where a module's file really lies; thousands of modules are asked for, and none of them moves."""
    return os.path.realpath(file)


class Ownership:
    """Tells the project's code from libraries by where it lies.

    Code below the snapshot is the project's. So is any other Python file that is not of the interpreter, not
    installed and not ours: a library in development that is installed in editable form changes without its version.

    Args:
        folder: the snapshot's folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = os.path.realpath(folder) + os.sep
        self._known: dict[str, bool] = {}

    def is_library_file(self, file: str) -> bool:
        """Say whether a file belongs to a library; a name in angle brackets is made at run time and does not."""
        if file.startswith("<"):
            return file.startswith("<frozen")
        real = _real(file)
        if real.startswith(self.folder):
            return False
        return real.startswith((_STANDARD, _OURS)) or any(part in real for part in _INSTALLED)

    def inside(self, file: str) -> bool:
        """Say whether a file lies in the snapshot."""
        return _real(file).startswith(self.folder)

    def owns(self, module: str | None) -> bool:
        """Say whether a module, by its full name, is the project's; what has no module was made by its code."""
        if module is None:
            return True
        if module not in self._known:
            self._known[module] = self._look(module)
        return self._known[module]

    def _look(self, module: str) -> bool:
        found = sys.modules.get(module)
        if found is None:
            try:
                spec = importlib.util.find_spec(module.partition(".")[0])
            except (ImportError, ValueError):
                return False
            places = [spec.origin] if spec and spec.origin else list((spec and spec.submodule_search_locations) or ())
        else:
            file = getattr(found, "__file__", None)
            places = [file] if isinstance(file, str) else list(getattr(found, "__path__", ()))
        if not places or places[0] in ("built-in", "frozen"):
            return False
        return not self.is_library_file(str(places[0]) + os.sep)

    def modules(self) -> list[ModuleType]:
        """Return the project's modules that are imported now and lie in the snapshot, by name."""
        found: list[ModuleType] = []
        for name, module in sorted(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and _real(file).startswith(self.folder) and name != "__main__":
                found.append(module)
        return found

    def packed(self, data: bytes) -> bool:
        """Say whether a pickle holds another that names a module of the project: what a library packs by itself."""
        if not any(data.find(start, 1) > 0 for start in _PICKLES):
            return False
        names = [module.__name__.encode() for module in self.modules()]
        return any(b"\x8c" + bytes([len(name) & 0xFF]) + name in data for name in names)
