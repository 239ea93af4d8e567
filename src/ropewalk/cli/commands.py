"""The table of commands: their names, what they do in a few words, and the module that is imported on dispatch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from ropewalk.errors import Invalid
from ropewalk.records import frozen

if TYPE_CHECKING:
    import argparse

    from ropewalk.cli.output import Output


@frozen
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


@runtime_checkable
class Starter(Protocol):
    """What the module of a command offers that starts a program of somebody else's."""

    def own(self, words: list[str]) -> int:
        """Return how many of the words are the command's own; the others are the program's."""
        ...


TRAIN = "Train"
DELIVER = "Deliver"
SERVE = "Serve and watch"
PROVE = "Prove"
HELP = "Help"
GROUPS = (TRAIN, DELIVER, SERVE, PROVE, HELP)
COMMANDS = (
    Command(name="init", summary="make a project that runs: settings, pipeline, test", group=TRAIN, module="init"),
    Command(
        name="run",
        summary="run a script as it is, or the pipeline; what has not changed is answered from the cache",
        group=TRAIN,
        module="run",
    ),
    Command(
        name="sweep",
        summary="try values of the pipeline's arguments: grid, random, Optuna",
        group=TRAIN,
        module="sweep",
    ),
    Command(name="plan", summary="say what would run and why", group=TRAIN, module="plan"),
    Command(
        name="step",
        summary="run one step of a run that an orchestrator drives, or close it",
        group=TRAIN,
        module="step",
    ),
    Command(name="why", summary="say why a step ran, or did not", group=TRAIN, module="why"),
    Command(name="runs", summary="list, search and show runs", group=TRAIN, module="runs"),
    Command(name="diff", summary="say what is different between two runs", group=TRAIN, module="diff"),
    Command(
        name="schedule", summary="show, pause, start and backfill what starts by itself", group=TRAIN, module="schedule"
    ),
    Command(
        name="restore", summary="write out code, data and model of a run, byte for byte", group=TRAIN, module="restore"
    ),
    Command(name="data", summary="list and profile snapshots, infer and check contracts", group=TRAIN, module="data"),
    Command(
        name="import", summary="take in what MLflow kept: runs, files, models, with ids", group=TRAIN, module="import_"
    ),
    Command(
        name="export",
        summary="write plain files: a pipeline for orchestrators, a release for containers, runs for MLflow",
        group=TRAIN,
        module="export",
    ),
    Command(
        name="spool",
        summary="show and send what trainings logged while their server was away",
        group=TRAIN,
        module="spool",
    ),
    Command(name="ship", summary="walk a model through the nine stages to live traffic", group=DELIVER, module="ship"),
    Command(
        name="approve",
        summary="say yes to a release, on the evidence that is there now",
        group=DELIVER,
        module="approve",
    ),
    Command(name="reject", summary="say no to a release, with a reason", group=DELIVER, module="reject"),
    Command(name="promote", summary="give a canary all traffic at once", group=DELIVER, module="promote"),
    Command(name="rollback", summary="undo the newest delivery", group=DELIVER, module="rollback"),
    Command(
        name="serve",
        summary="answer with the newest model at once, unreleased, on this machine",
        group=SERVE,
        module="serve",
    ),
    Command(name="up", summary="serve endpoint, API and console, and run the loops", group=SERVE, module="up"),
    Command(
        name="batch",
        summary="score a file or a query of any size: the bits that the endpoint answers",
        group=SERVE,
        module="batch",
    ),
    Command(
        name="rehearse",
        summary="play recorded traffic to a release on staging, and compare",
        group=DELIVER,
        module="rehearse",
    ),
    Command(
        name="client",
        summary="write a typed client of an endpoint: Python or TypeScript",
        group=SERVE,
        module="client",
    ),
    Command(
        name="report", summary="tell a business metric of predictions: a canary's judge", group=SERVE, module="report"
    ),
    Command(name="user", summary="say who may enter the server, in which roles", group=SERVE, module="user"),
    Command(name="token", summary="make, list and revoke tokens for programs", group=SERVE, module="token"),
    Command(
        name="webhook",
        summary="show who is told of changes and what became of it; try it out",
        group=SERVE,
        module="webhook",
    ),
    Command(name="workspace", summary="keep projects of many teams behind one server", group=SERVE, module="workspace"),
    Command(
        name="usage", summary="show what each workspace was used for, by user and day", group=SERVE, module="usage"
    ),
    Command(name="stream", summary="score topics, pause them, replay their dead letters", group=SERVE, module="stream"),
    Command(name="status", summary="show who answers, what is on its way, what is wrong", group=SERVE, module="status"),
    Command(
        name="trace",
        summary="show which rows, code and approvals stand behind a prediction",
        group=PROVE,
        module="trace",
    ),
    Command(
        name="blast-radius",
        summary="list every prediction that a release made: for whom, from when until when",
        group=PROVE,
        module="blast",
    ),
    Command(name="replay", summary="answer a past prediction again, bit for bit", group=PROVE, module="replay"),
    Command(name="verify", summary="check everything that was kept, offline", group=PROVE, module="verify"),
    Command(
        name="gc", summary="remove what nothing needs; says what would go until told --yes", group=PROVE, module="gc"
    ),
    Command(
        name="store", summary="show, back up, restore and move the database of records", group=PROVE, module="store"
    ),
    Command(name="demo", summary="play a year of flights through the whole line", group=HELP, module="demo"),
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
        "  --workspace NAME  the workspace of that project to work in",
        "  --json            one JSON object instead of text",
        "  --version         print the version",
        "",
        "example: ropewalk init churn && cd churn && ropewalk run && ropewalk ship && ropewalk up",
        "         ropewalk COMMAND --help shows the options of a command, with an example",
    ]
    return "\n".join(lines) + "\n"
