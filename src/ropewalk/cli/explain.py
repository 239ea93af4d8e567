"""`ropewalk explain CODE` says what an error code means and what to do about it."""

from __future__ import annotations

import argparse
import re
from importlib.resources import files

from ropewalk.cli.output import Output
from ropewalk.errors import NotFound

EXAMPLE = """
ropewalk explain
ropewalk explain command-unknown
"""
_HEADING = re.compile(r"^## ([a-z0-9-]+)$", re.MULTILINE)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the code."""
    parser.add_argument(
        "code", nargs="?", default="", metavar="CODE", help="as printed in error[CODE]; all when left out"
    )


def handle(options: argparse.Namespace, out: Output) -> None:
    """Print what a code means, or all codes with their first sentence.

    Raises:
        NotFound: there is no such code.
    """
    known = explanations()
    code = str(options.code)
    if not code:
        firsts = {name: text.splitlines()[0] for name, text in known.items()}
        out.table(("code", "meaning"), list(firsts.items()))
        out.result(firsts)
        out.next("ropewalk explain CODE")
        return
    if code not in known:
        raise _unknown(code, list(known))
    out.line(code, style="bold")
    out.line()
    out.line(known[code])
    out.result({"code": code, "text": known[code]})


def explanations() -> dict[str, str]:
    """Return the text under each code's heading in `errors.md`, in the file's order."""
    text = (files("ropewalk") / "errors.md").read_text(encoding="utf-8")
    parts = _HEADING.split(text)[1:]
    return {name: body.strip() for name, body in zip(parts[::2], parts[1::2], strict=True)}


def _unknown(code: str, known: list[str]) -> NotFound:
    from difflib import get_close_matches

    near = get_close_matches(code, known, n=1)
    return NotFound(
        "code-unknown",
        f"{code!r} is not an error code.",
        where="ropewalk explain",
        why=f"the nearest one is {near[0]!r}" if near else "no code is called like that",
        fix=f"ropewalk explain {near[0]}" if near else "ropewalk explain",
    )
