"""Starts the watching of one process, and ends it however the process ends, but for a kill."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from functools import partial
from typing import Any

from ropewalk.witness.arguments import watch as watch_arguments
from ropewalk.witness.autolog import watch as watch_autolog
from ropewalk.witness.files import Files
from ropewalk.witness.fits import Fits
from ropewalk.witness.hydra import watch as watch_hydra
from ropewalk.witness.imports import Watch
from ropewalk.witness.leaving import Leaving
from ropewalk.witness.networks import Networks
from ropewalk.witness.notes import Notes, said
from ropewalk.witness.saves import Saves
from ropewalk.witness.splits import Splits

WATCHER = "ROPEWALK_WATCHER"
VARIABLE = "ROPEWALK_WITNESS_VARIABLE"
_DIE_WITH_PARENT = 1


class Witness:
    """All that watches one process.

    Args:
        folder: where its notes go.
        worker: whether it is a helper that the script has started, whose models are parts of the script's.
    """

    def __init__(self, folder: str, *, worker: bool) -> None:
        self._notes = Notes(folder)
        self._worker = worker
        self._files = Files(folder)
        self._ended = False
        imports = Watch(self._notes)
        splits = Splits(self._notes)
        fits = Fits(self._notes, splits)
        saves = Saves(self._notes, self._files)
        networks = Networks(self._notes)
        variable = os.environ.get(VARIABLE, "")
        self._leaving = Leaving(self._notes, fits, saves, networks, variable=variable)
        imports.after("argparse", partial(watch_arguments, notes=self._notes))
        imports.after("hydra.core.utils", partial(watch_hydra, notes=self._notes))
        if not worker:
            imports.after("sklearn.base", fits.watch)
            imports.after("sklearn.model_selection._split", splits.watch)
            saves.watch(imports)
            networks.watch(imports)
            watch_autolog(imports, self._notes)
        sys.meta_path.insert(0, imports)

    def watch(self) -> None:
        """Begin; `os._exit`, which ends a process without a word, says ours first."""
        sys.addaudithook(self._files.hear)
        atexit.register(self.end)
        os.register_at_fork(after_in_child=self._forked)
        leave = os._exit

        def _exit(status: int = 0) -> None:
            self.end()
            leave(status)

        os._exit = _exit  # type: ignore[assignment]

    def _forked(self) -> None:
        """A forked child is a worker with notes of its own."""
        self._notes.pid = os.getpid()
        self._notes.facts = {}
        self._worker, self._ended = True, False
        self._files.forget()

    def end(self) -> None:
        """Write down what was seen, once; never raises."""
        if self._ended:
            return
        self._ended = True
        try:
            self._files.hush()
            if not self._worker:
                self._leaving.leave()
                error: Any = getattr(sys, "last_value", None)
                self._notes.facts["error"] = "" if error is None else said(error)
                self._notes.facts["path"] = sys.path[0] if sys.path else ""
            self._notes.facts["files"] = self._files.facts()
            self._notes.facts["worker"] = self._worker
            self._notes.facts["python"] = [sys.executable, sys.version.split()[0]]
            self._notes.write()
        except Exception as error:  # noqa: BLE001 - the script has done its work
            sys.stderr.write(f"ropewalk: what the script did could not be written down: {said(error)}\n")


def start(folder: str) -> None:
    """Watch this process from now on (`sitecustomize` calls this).

    Args:
        folder: where the notes go; made by whoever started the script.
    """
    words = sys.orig_argv
    worker = "--multiprocessing-fork" in words or any(
        "multiprocessing" in word or "loky" in word for word in words[1:5]
    )
    if os.environ.get(WATCHER) == str(os.getppid()):
        _end_with_watcher(os.getppid())
    Witness(folder, worker=worker).watch()


def _end_with_watcher(watcher: int) -> None:
    """Ask the kernel to end this process when the one that records it is gone: nobody would keep what it does."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
    if os.getppid() != watcher:  # it went before we asked
        os.kill(os.getpid(), signal.SIGTERM)
