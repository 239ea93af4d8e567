"""Calls back when a module has been imported, without importing it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from ropewalk.witness.notes import Notes

Patch = Callable[[ModuleType], None]


class Watch:
    """A finder that finds nothing itself: it lets the others find, and adds a call after the module has run.

    Args:
        notes: where it is said when a patch fails.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._after: dict[str, list[Patch]] = {}

    def after(self, name: str, patch: Patch) -> None:
        """Call `patch` with the module once it is there; at once if it is."""
        module = sys.modules.get(name)
        if module is not None:
            self._run(patch, module)
        else:
            self._after.setdefault(name, []).append(patch)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what the other finders find, with the call added (the import system calls this)."""
        if name not in self._after:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = None if finder is self or find is None else find(name, path, target)
            if spec is not None:
                self._add(name, spec)
                return spec
        return None

    def _add(self, name: str, spec: ModuleSpec) -> None:
        loader: Any = spec.loader
        execute = getattr(loader, "exec_module", None)
        if execute is None:
            return

        def exec_module(module: ModuleType) -> None:
            execute(module)
            for patch in self._after.pop(name, []):
                self._run(patch, module)

        try:
            loader.exec_module = exec_module
        except AttributeError:
            return

    def _run(self, patch: Patch, module: ModuleType) -> None:
        try:
            patch(module)
        except Exception as error:  # noqa: BLE001 - a library that looks otherwise than we think is used as it is
            self._notes.trouble(f"{module.__name__} is not watched", error)
