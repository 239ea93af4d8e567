"""`ropewalk sweep` tries values of the pipeline's arguments: each trial a run of its own, killed and gone on with."""

from __future__ import annotations

import argparse
import os
import shlex
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.errors import Invalid, RopewalkError

if TYPE_CHECKING:
    from ropewalk.house import House
    from ropewalk.runs.run import Run
    from ropewalk.site import Site
    from ropewalk.sweeps.plan import Planned, Wanted
    from ropewalk.sweeps.sweep import Sweep, Trial

EXAMPLE = """
ropewalk sweep depth=4,6,8 rate=0.01,0.1 --goal accuracy:max           # every combination
ropewalk sweep pipeline.py:train depth=2..12 rate=0.001..0.3:log --random 20 --seed 7
ropewalk sweep rate=0.001..0.3:log --optuna 30 --goal loss:min         # pip install "ropewalk[optuna]"
ropewalk sweep depth=4,6,8 --dry-run                                   # the trials, and nothing runs
ropewalk sweep                                                         # what @pipeline(sweep=...) says
"""
SHOWN = 10
_OPTIONS = ("seed", "goal", "parallel", "failures_max")
DRY_SHOWN = 100
JSON_TRIALS_MAX = 10_000


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the space, the method, the goal and the limits."""
    from ropewalk.cli.run import pool_arguments

    parser.add_argument(
        "words",
        nargs="*",
        metavar="[FILE.py:FUNCTION] NAME=VALUES",
        help="what the pipeline declares when left out; or values `4,6,8`, a range `0.01..0.1` (`:log` by ratios, `:5` "
        "so many points of a grid), `*` all choices; lists are separated by `;`",
    )
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--grid", action="store_true", help="every combination; so it is when nothing is said")
    way.add_argument("--random", type=_trials, metavar="N", default=0, help="N combinations drawn at random")
    way.add_argument("--optuna", type=_trials, metavar="N", default=0, help="N trials that Optuna proposes")
    parser.add_argument("--seed", type=_whole, default=0, help="of the draw, 0 when left out: it is always the same")
    parser.add_argument("--goal", default="", metavar="METRIC[:max|:min]", help="what is best; :max when left out")
    parser.add_argument(
        "--parallel", type=_beside, default=0, metavar="P", help="how many trials at once; one a core, of Optuna's one"
    )
    parser.add_argument(
        "--failures-max", type=_whole, default=20, metavar="F", help="more failed trials end the sweep; 20"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the trials; nothing runs")
    pool_arguments(parser)


def _number(text: str, least: int, most: int) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"wanted a whole number from {least} to {most:,}, found {text!r}")
    return int(text)


def _trials(text: str) -> int:
    return _number(text, 1, 10_000)


def _beside(text: str) -> int:
    return _number(text, 1, 64)


def _whole(text: str) -> int:
    return _number(text, 0, 1_000_000)


def handle(options: argparse.Namespace, out: Output) -> int | None:
    """Run the sweep and print each trial when it ends; the same command again goes on with a killed one."""
    from ropewalk.cli.project import require_pipeline
    from ropewalk.cli.run import mended, placed, split
    from ropewalk.house import open_house
    from ropewalk.leases import PARENT, end_with
    from ropewalk.settings import read_settings
    from ropewalk.sweeps import plan

    if os.environ.get(PARENT, "").isdigit():
        end_with(int(os.environ[PARENT]))
    target, typed = split(options.words)
    require_pipeline(options.project, target)
    target = target or read_settings(options.project).pipeline
    said, words = _declared(options, target, typed)
    if not words:
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where="ropewalk sweep",
            why=f"nothing is named that could be tried, and {target} declares no sweep",
            fix="ropewalk sweep --help",
        )
    with open_house(options.project) as opened:
        house = placed(opened, options)
        wanted = _wanted(said, target, words)
        with mended(options.words):
            planned = plan.planned(house.site, wanted)
        if options.dry_run:
            _show_planned(planned, options, out)
            return None
        return _run(house, planned, options, out)


def _declared(
    options: argparse.Namespace, target: str, typed: dict[str, str]
) -> tuple[argparse.Namespace, dict[str, str]]:
    """Return options and words with what the pipeline itself declares, where nothing else was typed."""
    from ropewalk.cli.parse import Parser
    from ropewalk.cli.run import split
    from ropewalk.sweeps.declared import words_of

    found = words_of(options.project, target)
    if not found:
        return options, typed
    parser = Parser(prog=f"@pipeline(sweep=...) of {target}", add_help=False)
    arguments(parser)
    said = parser.parse_intermixed_args(found)
    named, words = split(said.words)
    if named:
        parser.error(f"wanted NAME=VALUES, found {named!r}")
    plain, merged = parser.parse_args([]), argparse.Namespace(**vars(options))
    ways = ("grid", "random", "optuna")
    names = [*(ways if not any(getattr(options, way) for way in ways) else ()), *_OPTIONS]
    for name in names:
        if getattr(options, name) == getattr(plain, name):
            setattr(merged, name, getattr(said, name))
    return merged, {**words, **typed}


def _wanted(options: argparse.Namespace, target: str, words: dict[str, str]) -> Wanted:
    from ropewalk.sweeps import sweep as sweeps
    from ropewalk.sweeps.plan import Wanted

    method = sweeps.OPTUNA if options.optuna else sweeps.RANDOM if options.random else sweeps.GRID
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Wanted(
        target=target,
        words=words,
        method=method,
        trials=options.optuna or options.random,
        seed=options.seed,
        goal=options.goal,
        parallel=options.parallel or (1 if options.optuna else min(cores, 64)),
        failures_max=options.failures_max,
    )


def _again(options: argparse.Namespace) -> str:
    """Return the command as it was typed, without what only shows."""
    words = ["ropewalk", "sweep", *options.words]
    for name in ("random", "optuna", "seed", "parallel", "pool", "address"):
        if getattr(options, name):
            words += [f"--{name}", str(getattr(options, name))]
    if options.goal:
        words += ["--goal", options.goal]
    if options.failures_max != 20:  # noqa: PLR2004 - what it is when left out
        words += ["--failures-max", str(options.failures_max)]
    return shlex.join(words)


def _show_planned(planned: Planned, options: argparse.Namespace, out: Output) -> None:
    names = [one.name for one in planned.space]
    sweep = planned.sweep
    if planned.trials:
        rows = [(at, *(one[name] for name in names)) for at, one in enumerate(planned.trials[:DRY_SHOWN], 1)]
        out.table(("trial", *names), rows)
        if len(planned.trials) > DRY_SHOWN:
            out.line(f"... and {len(planned.trials) - DRY_SHOWN:,} more")
    else:
        out.line(f"Optuna proposes {sweep.trials} trials, each when those before it have ended")
    out.line()
    out.line(f"{sweep.trials:,} trials of {sweep.pipeline}, {sweep.parallel} at once; nothing was run", style="bold")
    out.result({"pipeline": sweep.pipeline, "method": sweep.method, "count": sweep.trials, "trials": planned.trials})
    out.next(_again(options))


def _run(house: House, planned: Planned, options: argparse.Namespace, out: Output) -> int | None:
    from ropewalk.sweeps import sweep as sweeps
    from ropewalk.sweeps.drive import run_sweep

    site, total = house.site, planned.sweep.trials

    with out.progress(f"sweeping {planned.sweep.pipeline}", total) as bar:

        def begun(run: Run, resumed: bool) -> None:
            with site.db.read() as rows:
                counts = sweeps.counts(rows, run.id)
            ended = counts[sweeps.DONE] + counts[sweeps.FAILED]
            more = f", resumed: {ended} have ended" if resumed else ""
            out.now(f"{run.name}: {total} trials of {run.pipeline}{more}", style="bold")
            bar.advance(ended)

        def told(trial: Trial) -> None:
            bar.advance()
            out.now(_line(trial, total))

        try:
            sweep, run = run_sweep(site, planned, on_begin=begun, on_trial=told, compute=house.settings.compute)
        except RopewalkError as error:
            if error.code == "sweep-interrupted":
                error.fix = _again(options)
            raise
    _show(site, sweep, run, out)
    return None


def _line(trial: Trial, total: int) -> str:
    given = " ".join(f"{name}={value}" for name, value in trial.arguments().items())
    mark = "+" if trial.state == "done" else "x"
    value = f"  {trial.value:.6g}" if trial.value is not None else f"  {trial.error}" if trial.error else ""
    return f"{mark} {trial.number}/{total} {given}{value}"


def _show(site: Site, sweep: Sweep, run: Run, out: Output) -> None:
    """Print how many trials did what, the best of them, and what to type next."""
    from ropewalk.sweeps import sweep as sweeps

    with site.db.read() as rows:
        counts = sweeps.counts(rows, sweep.run_id)
        best = sweeps.best(rows, sweep, SHOWN)
        shown = best or sweeps.page(rows, sweep.run_id, count=SHOWN)
        every = sweeps.page(rows, sweep.run_id, count=JSON_TRIALS_MAX) if out.json else []
    out.line()
    out.line(f"{run.name} {run.state}: {counts[sweeps.DONE]} trials done, {counts[sweeps.FAILED]} failed", style="bold")
    names = list(shown[0].arguments()) if shown else []
    cells = [(one.value if sweep.goal else one.state) for one in shown]
    given = [tuple(one.arguments()[name] for name in names) for one in shown]
    lines = [(one.number, *values, cell) for one, values, cell in zip(shown, given, cells, strict=True)]
    out.table(("trial", *names, sweep.metric or "state"), lines)
    out.result(
        {
            "run": run.id,
            "name": run.name,
            "state": run.state,
            "goal": sweep.goal,
            "counts": counts,
            "best": _plain(best[0]) if best else None,
            "trials": [_plain(one) for one in every],
        }
    )
    chosen = shown[0]
    words = [f"{name}={value}" for name, value in chosen.arguments().items()]
    if best:
        out.line(f"best: trial {chosen.number}, {sweep.metric} {chosen.value:.6g}")
    out.next(shlex.join(["ropewalk", "run", sweep.pipeline, *words]), f"ropewalk runs {run.name}")


def _plain(trial: Trial) -> dict[str, object]:
    return {
        "number": trial.number,
        "args": trial.arguments(),
        "state": trial.state,
        "run": trial.run,
        "value": trial.value,
        "error": trial.error,
    }
