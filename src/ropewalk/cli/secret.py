"""A password as it is typed: twice on a terminal, or the first line of standard input, and never as an argument."""

from __future__ import annotations

import sys

from ropewalk.errors import Invalid

LETTERS_MAX = 4096


def new_password(name: str) -> str:
    """Ask for a new password.

    Raises:
        Invalid: the two that were typed are different, or standard input is empty.
    """
    if sys.stdin.isatty():
        from getpass import getpass

        first = getpass(f"password of {name}: ")
        if getpass("once more: ") != first:
            raise Invalid("password-unfit", "The two passwords are not the same.", fix="type the command again")
        return first
    line = sys.stdin.readline(LETTERS_MAX)
    if not line.rstrip("\r\n"):
        raise Invalid(
            "password-unfit",
            "No password was given.",
            where="standard input",
            why="it is read from the terminal, or from the first line of standard input",
            fix=f"ropewalk user add {name} < password.txt",
        )
    return line.rstrip("\r\n")
