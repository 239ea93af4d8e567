"""Reads a command line: the options that every command knows, the command, and that command's own arguments."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ropewalk.cli import commands
from ropewalk.errors import Invalid
from ropewalk.records import frozen

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

# A folder that holds one of these is a project; the nearest one above the current folder is meant.
MARKS = ("ropewalk.toml", ".ropewalk")
COUNT_MAX = 1000
PORT_MAX = 65535


@frozen
class Request:
    """What was typed, understood.

    Attributes:
        command: row of the table.
        options: the command's arguments, with `project` (a Path) and `json`.
        json: whether the answer is for a machine.
    """

    command: commands.Command
    options: argparse.Namespace
    json: bool


class Formatter(argparse.RawDescriptionHelpFormatter):
    """As argparse's, which would import every archive format with `shutil` to learn how wide the terminal is."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    told = os.environ.get("COLUMNS", "")
    try:
        return int(told) if told.isdigit() and int(told) else os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (ValueError, OSError):
        return 80


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are errors of ours, in four lines like the others."""

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print the help.

        Raises:
            BrokenPipeError: nobody reads it; argparse itself would swallow that and end with status 0.
        """
        (file or sys.stdout).write(self.format_help())

    def error(self, message: str) -> NoReturn:
        """Raise the complaint.

        Raises:
            Invalid: always.
        """
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where=self.prog,
            why=message,
            fix=f"{self.prog} --help",
        )


def read(words: list[str]) -> Request:
    """Return the request that the words make; builds the parser of the named command alone.

    Raises:
        Invalid: an option, a command or an argument is not known, or the project's folder is not there.
        SystemExit: `--help` was asked for and has been printed.
    """
    count = _leading(words)
    general = _general()
    given = general.parse_args(words[:count])
    words = words[count:]
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    if not words or words[0].startswith("-"):
        general.error("a command is missing")
    command = commands.find(words[0])
    handler = commands.handler(command)
    parser = Parser(
        prog=f"ropewalk {command.name}",
        description=f"{command.summary[:1].upper()}{command.summary[1:]}.",
        epilog="example:\n" + "".join(f"  {line}\n" for line in handler.EXAMPLE.strip().splitlines()),
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    _everywhere(parser, given)
    handler.arguments(parser)
    # What follows belongs to a program that the command starts, options that look like ours included.
    own = handler.own(words[1:]) if isinstance(handler, commands.Starter) else len(words) - 1
    ours = words[1 : own + 1]
    # Options may stand between names too: `runs logs -f RUN`. What follows two dashes is nobody's option.
    options = parser.parse_args(ours) if "--" in ours else parser.parse_intermixed_args(ours)
    options.program = [word for place, word in enumerate(words[own + 1 :]) if place or word != "--"]
    options.project = project_folder(options.project)
    if options.workspace and not getattr(handler, "OF_HOST", False):
        from ropewalk.cli.inworkspace import folder_of

        options.project = folder_of(options.project, options.workspace)
    return Request(command=command, options=options, json=options.json)


def count(text: str) -> int:
    """Return how many of something are wanted, 1 to 1,000; argparse makes a complaint of the error.

    Raises:
        argparse.ArgumentTypeError: it is no such number.
    """
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= COUNT_MAX:
        raise argparse.ArgumentTypeError(f"wanted a whole number from 1 to {COUNT_MAX:,}, found {text!r}")
    return int(text)


def port(text: str) -> int:
    """Return a port, 0 for any free one; argparse makes a complaint of the error.

    Raises:
        argparse.ArgumentTypeError: it is no such number.
    """
    if not text.isascii() or not text.isdigit() or int(text) > PORT_MAX:
        raise argparse.ArgumentTypeError(f"wanted a port from 0 to {PORT_MAX}, found {text!r}")
    return int(text)


def project_folder(given: str) -> Path:
    """Return the project's folder: the one given, else the nearest above the current one, else the current one.

    Raises:
        Invalid: the folder given is not there.
    """
    if given:
        folder = Path(given)
        if not folder.is_dir():
            raise Invalid(
                "project-not-found",
                "The project's folder is not there.",
                where=given,
                why="--project takes a folder that exists",
                fix=f"ls -d {Path(given).parent}",
            )
        return folder.resolve()
    return project_folder_of(Path.cwd())


def project_folder_of(here: Path) -> Path:
    """Return the nearest project above a folder, the folder itself included; the folder where there is none."""
    for folder in (here, *here.parents):
        if any((folder / mark).exists() for mark in MARKS):
            return folder
    return here


def _general() -> Parser:
    parser = Parser(prog="ropewalk", add_help=False, allow_abbrev=False, formatter_class=Formatter)
    _everywhere(parser, argparse.Namespace(project="", workspace="", json=False))
    return parser


def _everywhere(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    parser.add_argument("--project", metavar="FOLDER", default=given.project, help="the project to work in")
    parser.add_argument("--workspace", metavar="NAME", default=given.workspace, help="the workspace of it to work in")
    parser.add_argument("--json", action="store_true", default=given.json, help="answer with one JSON object")


def _leading(words: list[str]) -> int:
    """Return how many words stand before the command: options, and what follows `--project` and `--workspace`."""
    count = 0
    while count < len(words) and words[count].startswith("-"):
        count += 2 if words[count] in ("--project", "--workspace") else 1
    return min(count, len(words))
