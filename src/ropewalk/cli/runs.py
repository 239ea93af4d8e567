"""`ropewalk runs` lists runs and their metrics, or shows one."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.cli.parse import count
from ropewalk.errors import Invalid

if TYPE_CHECKING:
    from ropewalk.runs.run import Run
    from ropewalk.runs.search import Page, Summary
    from ropewalk.store.database import Reader

EXAMPLE = """
ropewalk runs
ropewalk runs --filter "metrics.roc_auc > 0.7 and params.depth = '8'"
ropewalk runs --order "metrics.roc_auc DESC" --count 5
ropewalk runs train-3
ropewalk runs logs train-3 fit -f
ropewalk runs cancel train-3
"""
METRICS_SHOWN = 4


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add a run, a filter and paging."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[cancel|logs] [RUN] [STEP]",
        help="a run by id, its first letters or name, all if none; `cancel RUN` ends it, `logs RUN [STEP]` prints",
    )
    parser.add_argument("-f", "--follow", action="store_true", help="with logs: go on while the run runs")
    parser.add_argument("--filter", default="", help="metrics.X, params.X, tags.X, state, pipeline... joined by and")
    parser.add_argument(
        "--order", action="append", default=[], metavar="ORDER", help="metrics.X DESC, params.X; newest first if none"
    )
    parser.add_argument("--count", type=count, default=20, help="how many")
    parser.add_argument("--after", default="", metavar="TOKEN", help="as printed under the page before")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Print a table of runs, or one run whole; cancel one, or print what its steps printed."""
    from ropewalk.cli import runlog

    if options.words[:1] == ["cancel"]:
        return runlog.cancel(options.words[1:], options, out)
    if options.words[:1] == ["logs"]:
        return runlog.logs(options.words[1:], options, out)
    if len(options.words) > 1:
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where="ropewalk runs",
            why=f"one run at a time; found {', '.join(options.words)}",
            fix="ropewalk runs --help",
        )
    return _list(options, "".join(options.words), out)


def _list(options: argparse.Namespace, name: str, out: Output) -> None:
    from ropewalk.house import open_house
    from ropewalk.loops.rescue import Rescue
    from ropewalk.runs import run as runs
    from ropewalk.runs import search

    with open_house(options.project, create=False) as house:
        Rescue(house.site).turn()
        with house.site.db.read() as rows:
            if name:
                _one(search.summarize(rows, runs.find(rows, name)), out)
                return
            page = _page(rows, options)
            found = search.summaries(rows, page.runs)
            newest = [called(rows, run) for run in page.runs[:2]]
    _many(found, out)
    out.next(*_further(options, newest, page.token))


def _page(rows: Reader, options: argparse.Namespace) -> Page:
    """Return the page that was asked for; what is not understood is answered with a command that works."""
    from ropewalk.runs import search
    from ropewalk.runs.vocabulary import RUNS

    try:
        return search.search(rows, options.filter, orders=options.order, count=options.count, token=options.after)
    except Invalid as error:
        fixes = {
            "filter-invalid": f'ropewalk runs --filter "{RUNS.example}"',
            "order-invalid": 'ropewalk runs --order "metrics.roc_auc DESC"',
            "token-invalid": "ropewalk runs",
        }
        fix = fixes.get(error.code, error.fix)
        raise Invalid(**(error.record() | {"fix": fix})) from error


def called(rows: Reader, run: Run) -> str:
    """Return what a run may be called on a command line: its name, or its id where the name means a newer one."""
    from ropewalk.runs import run as runs

    return run.name if run.name and runs.find(rows, run.name).id == run.id else run.id


def _further(options: argparse.Namespace, found: list[str], token: str) -> list[str]:
    """Return what one may type after a page: the next one, the newest run, the newest two beside each other."""
    if not found:
        return ["ropewalk runs"] if options.filter or options.after else ["ropewalk run"]
    commands = [f"ropewalk runs {found[0]}"]
    if len(found) > 1:
        commands.append(f"ropewalk diff {found[1]} {found[0]}")
    if token:
        wanted = f" --filter {shlex.quote(options.filter)}" if options.filter else ""
        wanted += "".join(f" --order {shlex.quote(order)}" for order in options.order)
        commands.append(f"ropewalk runs --count {options.count} --after {token}{wanted}")
    return commands


def _many(found: list[Summary], out: Output) -> None:
    from ropewalk.clock import iso

    names = list(dict.fromkeys(point.key for one in found for point in one.metrics))[:METRICS_SHOWN]
    table: list[tuple[object, ...]] = []
    for one in found:
        values = {point.key: point.value for point in one.metrics}
        run = one.run
        commit = run.commit_sha[:10] + ("+" if run.dirty else "")
        table.append(
            (run.name, run.id[:13], run.state, commit, iso(run.started_us)[:19], *(values.get(key) for key in names))
        )
    out.table(("run", "id", "state", "commit", "started", *names), table)
    if not found:
        out.line("no run fits: they are searched by metrics.X, params.X, tags.X, state, name or pipeline")
    out.result([_plain(one) for one in found])


def _plain(one: Summary) -> dict[str, object]:
    run = one.run
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state,
        "pipeline": run.pipeline,
        "args": run.arguments(),
        "commit": run.commit_sha,
        "dirty": bool(run.dirty),
        "started_us": run.started_us,
        "ended_us": run.ended_us,
        "error": run.error,
        "metrics": {point.key: point.value for point in one.metrics},
        "params": one.params,
        "tags": one.tags,
    }


def _one(found: Summary, out: Output) -> None:
    from ropewalk.cli.run import command_of
    from ropewalk.clock import iso

    run = found.run
    out.fields(
        {
            "run": f"{run.name} ({run.id})",
            "state": run.state,
            "pipeline": f"{run.pipeline} {run.args}",
            "commit": f"{run.commit_sha or 'no git'} on {run.branch or 'no branch'}",
            "changes": "not committed, kept with the run" if run.dirty else "none",
            "author": run.author or "not known without git",
            "started": iso(run.started_us),
            "ended": iso(run.ended_us) if run.ended_us else "not yet",
            "code": run.code,
        }
    )
    if run.error:
        out.line(run.error, style="red")
    for title, pairs in (
        ("metrics", [(point.key, point.value) for point in found.metrics]),
        ("parameters", list(found.params.items())),
        ("tags", list(found.tags.items())),
    ):
        if pairs:
            out.line()
            out.table((title, "value"), pairs)
    out.result(_plain(found))
    if run.state in ("interrupted", "failed", "cancelled"):
        out.next(command_of(run), f"ropewalk runs logs {run.name}")
    elif run.state == "running":
        out.next(f"ropewalk runs logs {run.name} -f", f"ropewalk runs cancel {run.name}")
    else:
        out.next(f"ropewalk restore {run.id} --into ../{run.name}", "ropewalk ship")
