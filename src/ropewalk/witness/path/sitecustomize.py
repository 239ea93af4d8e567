"""Python imports this before a script when our folder is first on PYTHONPATH: it starts the witness and steps aside."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "ropewalk.witness"


def _start() -> None:
    """Load the witness alone, from beside this file: the interpreter may have another Ropewalk, or none.

    Its modules import names from each other, never modules: for `from ropewalk.witness import x` it wants `ropewalk`.
    """
    folder = os.path.dirname(HERE)
    spec = spec_from_file_location(NAME, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder])
    if spec is None or spec.loader is None:
        return
    package = module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)
    from importlib import import_module

    import_module(f"{NAME}.begin").start(os.environ["ROPEWALK_WITNESS"])


def _go_on() -> None:
    """Run the `sitecustomize` that would have been found without us."""
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != HERE]
if os.environ.get("ROPEWALK_WITNESS"):
    try:
        _start()
    except Exception as error:  # noqa: BLE001 - whatever is wrong with us, the script runs
        print(f"ropewalk: the script runs unwatched: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
_go_on()
