"""The table of commands: their names, what they do in a few words, and the module that is imported on dispatch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from ropewalk.errors import Invalid

if TYPE_CHECKING:
    import argparse

    from ropewalk.cli.output import Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A row of the table.

    Attributes:
        name: what one types.
        summary: what it does, for `ropewalk --help`; no full stop.
        group: the heading that it stands under.
        module: file in this room that holds its handler.
    """

    name: str
    summary: str
    group: str
    module: str


class Handler(Protocol):
    """What every command's module offers.

    Attributes:
        EXAMPLE: lines that one can paste into a terminal, shown at the end of `--help`.
    """

    EXAMPLE: str

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own arguments; `--json` and `--project` are there already."""
        ...

    def handle(self, options: argparse.Namespace, out: Output) -> int | None:
        """Do it; return the exit status, or None for 0.

        `options.project` is the project's folder, `options.json` whether a machine reads the answer.
        """
        ...


HELP = "Help"
GROUPS = (HELP,)
COMMANDS = (
    Command(name="explain", summary="say what an error code means and what to do", group=HELP, module="explain"),
)


def find(name: str) -> Command:
    """Return the command of that name.

    Raises:
        Invalid: there is none; the error offers the nearest.
    """
    for command in COMMANDS:
        if command.name == name:
            return command
    from difflib import get_close_matches

    near = get_close_matches(name, [command.name for command in COMMANDS], n=1)
    raise Invalid(
        "command-unknown",
        f"{name!r} is not a command.",
        where="ropewalk",
        why=f"the nearest one is {near[0]!r}" if near else "nothing is called like that",
        fix=f"ropewalk {near[0]} --help" if near else "ropewalk --help",
    )


def handler(command: Command) -> Handler:
    """Import the module of one command, and no other."""
    from importlib import import_module

    return cast("Handler", import_module(f"ropewalk.cli.{command.module}"))


def overview() -> str:
    """Return what `ropewalk --help` prints, from the table alone."""
    width = max(len(command.name) for command in COMMANDS)
    lines = [
        "usage: ropewalk [--project FOLDER] [--json] COMMAND ...",
        "",
        "From a commit to a monitored endpoint on one line, kept as signed evidence.",
    ]
    for group in GROUPS:
        lines += ["", f"{group}:"]
        lines += [f"  {row.name:<{width}}  {row.summary}" for row in COMMANDS if row.group == group]
    lines += [
        "",
        "Everywhere:",
        "  --project FOLDER  the project to work in (found from the current folder upwards if not given)",
        "  --json            one JSON object instead of text",
        "  --version         print the version",
        "",
        "example: ropewalk explain command-unknown",
        "         ropewalk COMMAND --help shows the options of a command, with an example",
    ]
    return "\n".join(lines) + "\n"
