"""What was typed after `ropewalk run`: which program runs, and what its run is called."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ropewalk.errors import Invalid, NotFound

_MODULE = "-m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program as it is started.

    Attributes:
        words: its argv.
        typed: the words as they were typed.
        name: what its runs are called after: `train.py`, or a module's or program's name.
        file: the script's own file; None for a module, or a program that is found on PATH.
        given: the words that are the script's own arguments.
    """

    words: tuple[str, ...]
    typed: tuple[str, ...]
    name: str
    file: Path | None
    given: tuple[str, ...]


def program_of(words: Sequence[str]) -> Program:
    """Return the program that the words name: a Python file, which this interpreter runs, or a whole command.

    Raises:
        NotFound: there is no such file or program.
        Invalid: it is a notebook, or a folder.
    """
    first = words[0]
    if first.endswith(".ipynb"):
        raise _notebook(first)
    if first.endswith(".py") and os.sep not in first and not Path(first).is_file() and shutil.which(first):
        return Program(words=tuple(words), typed=tuple(words), name=first, file=None, given=tuple(words[1:]))
    if first.endswith(".py") and not os.access(first, os.X_OK):
        return _python([sys.executable, *words], words)
    if first.endswith(".py"):
        _require_file(first)
        return _python([sys.executable, *words], words)
    if _is_python(first):
        return _python(list(words), words)
    if shutil.which(first) is None:
        raise _no_program(first)
    file = Path(first).resolve() if os.sep in first else None
    return Program(words=tuple(words), typed=tuple(words), name=Path(first).name, file=file, given=tuple(words[1:]))


def _is_python(word: str) -> bool:
    return Path(word).name.rstrip("0123456789.") == "python"


def _python(words: list[str], typed: Sequence[str]) -> Program:
    """Return a command of an interpreter: the script behind its options, or the module behind `-m`."""
    if words[0] != sys.executable and shutil.which(words[0]) is None:
        raise _no_program(words[0])
    place = 1
    while place < len(words) and words[place].startswith("-"):
        if words[place] == _MODULE and place + 1 < len(words):
            return Program(
                words=tuple(words),
                typed=tuple(typed),
                name=words[place + 1],
                file=None,
                given=tuple(words[place + 2 :]),
            )
        if words[place] == "-c":
            return Program(
                words=tuple(words), typed=tuple(typed), name="python -c", file=None, given=tuple(words[place + 2 :])
            )
        place += 2 if words[place] in ("-W", "-X") else 1
    if place == len(words):
        return Program(words=tuple(words), typed=tuple(typed), name="python", file=None, given=())
    if words[place].endswith(".ipynb"):
        raise _notebook(words[place])
    _require_file(words[place])
    file = Path(words[place]).resolve()
    return Program(words=tuple(words), typed=tuple(typed), name=file.name, file=file, given=tuple(words[place + 1 :]))


def _require_file(text: str) -> None:
    path = Path(text)
    if path.is_dir() and not (path / "__main__.py").is_file():
        raise Invalid(
            "script-not-runnable", "This is a folder, not a script.", where=text, fix=f"ls {shlex.quote(text)}"
        )
    if not path.exists():
        raise _not_found(text)


def _not_found(text: str) -> NotFound:
    near = sorted(one.name for one in Path.cwd().glob("*.py"))[:5]
    return NotFound(
        "script-not-found",
        "There is no such script.",
        where=text,
        why=f"this folder has {', '.join(near) or 'no Python files'}",
        fix=f"ropewalk run {near[0]}" if near else "ropewalk run PATH/TO/SCRIPT.py",
    )


def _no_program(text: str) -> NotFound:
    """Return the error for a program that is not there, or may not be run."""
    path, typed = Path(text), shlex.quote(text)
    why, fix = f"nothing on PATH is called {text!r}", f"install it, or name its file: ropewalk run -- ./{typed}"
    if path.is_file() and os.sep in text:
        why, fix = "the file may not be executed", f"chmod +x {typed}"
    elif path.is_file():
        why, fix = f"{why}; this folder has such a file", f"ropewalk run -- ./{typed}"
    elif os.sep in text:
        why, fix = "there is no such file", f"ls {shlex.quote(str(path.parent))}"
    return NotFound("script-not-found", "There is no such program.", where=text, why=why, fix=fix)


def _notebook(text: str) -> Invalid:
    return Invalid(
        "script-not-runnable",
        "A notebook is not run as a script.",
        where=text,
        why="its cells are executed by papermill or nbconvert, which are programs like any other",
        fix=f"ropewalk run -- papermill {shlex.quote(text)} out.ipynb",
    )
