"""The door for the terminal: what was typed goes to one command, and every ending is a clean one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ropewalk.cli.output import Output

INTERRUPTED = 130
BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return the exit status of the process.

    Args:
        argv: words after `ropewalk`; those of the process when None.

    Returns:
        0 when it worked, 1 when the world refused, 2 when the command line was wrong, 130 after Ctrl-C, 141 when
        the reader of a pipe went away (as a process ended by SIGPIPE shows it).
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words in (["--help"], ["-h"], ["help"]):
        from ropewalk.cli.commands import overview

        return _print(overview())
    if words == ["--version"]:
        from ropewalk import __version__

        return _print(f"ropewalk {__version__}\n")
    return _run(words)


def _print(text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        return _hang_up()
    return 0


def _run(words: list[str]) -> int:
    from ropewalk.cli.output import Output

    out = Output(json="--json" in _ours(words))
    try:
        status = _dispatch(words, out)
        out.finish()
    except SystemExit as ending:  # argparse, having printed the help that was asked for
        return _print("") or int(ending.code or 0)
    except BrokenPipeError:
        return _hang_up()
    except KeyboardInterrupt:
        return _tell(out, None, words)
    except Exception as error:  # noqa: BLE001 - the outermost door: whatever it is, it ends in four lines and a log
        return _tell(out, error, words)
    return status


def _dispatch(words: list[str], out: Output) -> int:
    from ropewalk.cli import commands, parse

    request = parse.read(words)
    out.command = request.command.name
    out.json = request.json
    out.project = request.options.project
    return commands.handler(request.command).handle(request.options, out) or 0


def _tell(out: Output, error: Exception | None, words: list[str]) -> int:
    from ropewalk.cli import failure

    try:
        if error is None:
            failure.show_interrupt(out)
            return INTERRUPTED
        return failure.show(error, words, out)
    except BrokenPipeError:
        return _hang_up()


def _ours(words: list[str]) -> list[str]:
    """Return the words before `--`: what follows belongs to somebody else's program."""
    return words[: words.index("--")] if "--" in words else words


def _hang_up() -> int:
    """Let nothing more be written to a pipe that nobody reads, the interpreter's own flush at exit included."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return BROKEN_PIPE
