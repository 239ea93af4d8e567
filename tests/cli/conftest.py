"""Commands planted into the table, so that the frame is tried by what it is given and not by what it holds today."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from types import ModuleType

import pytest

from ropewalk.cli import commands
from ropewalk.cli.output import Output


class Planted(ModuleType):
    EXAMPLE = "ropewalk planted 3"

    def __init__(self, does: Callable[[Namespace, Output], int | None]) -> None:
        super().__init__("ropewalk.cli.planted")
        self.does = does

    def arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("rest", nargs="*")

    def handle(self, options: Namespace, out: Output) -> int | None:
        return self.does(options, out)


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Namespace, Output], int | None]], None]:
    """Return what makes `ropewalk planted` do the function given."""

    def planting(does: Callable[[Namespace, Output], int | None]) -> None:
        row = commands.Command(name="planted", summary="do as the test says", group=commands.HELP, module="planted")
        monkeypatch.setattr(commands, "COMMANDS", (*commands.COMMANDS, row))
        monkeypatch.setitem(sys.modules, "ropewalk.cli.planted", Planted(does))

    return planting
