"""`ropewalk run` runs a script as it is, or the project's pipeline: what has not changed is answered from the cache."""

from __future__ import annotations

import argparse
import gc
import os
import re
import shlex
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

from ropewalk.cli.output import Output
from ropewalk.cli.output import Progress as Bar
from ropewalk.errors import Invalid, RopewalkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ropewalk.house import House
    from ropewalk.models.versions import ModelVersion
    from ropewalk.pipelines.progress import Progress, RunResult
    from ropewalk.runs.keep import Point
    from ropewalk.runs.run import Run
    from ropewalk.store.database import Reader

EXAMPLE = """
ropewalk run train.py                          # any script, unchanged; what follows its name is its own
ropewalk run -- python train.py --lr 0.1       # any command
ropewalk run                                   # the project's pipeline
ropewalk run pipeline.py:train month_to=6 leaves=7,15
ropewalk run --pool ray --address 10.0.0.5:6379    # its steps on the nodes of a Ray cluster
"""
# Libraries that an extra of ours brings, by the name they are imported under.
EXTRAS = {"sklearn": "sklearn", "skops": "sklearn", "pandas": "sklearn", "onnxruntime": "onnx", "skl2onnx": "onnx"}
_ABSENT = re.compile(r"No module named '([\w.]+)'")
MARKS = {"done": "+", "cached": "=", "failed": "x", "retrying": "~"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add target and arguments."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[FILE.py:FUNCTION] [NAME=VALUE]",
        help="the pipeline, ropewalk.toml's when left out, and its arguments; or SCRIPT.py, or -- COMMAND",
    )
    parser.add_argument(
        "--model",
        default="",
        metavar="NAME[=VARIABLE]",
        help="of a script: the model's name, the project's when left out, and the variable that holds it",
    )
    parser.add_argument(
        "--no-autolog",
        action="store_true",
        help="of a script: leave MLflow's autologging off where mlflow is installed",
    )
    pool_arguments(parser)


def pool_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says where the steps of a pipeline run."""
    parser.add_argument(
        "--pool", choices=("local", "ray"), default="", help="where steps run, ropewalk.toml's [compute] when left out"
    )
    parser.add_argument(
        "--address", default="", metavar="ADDRESS", help="of the Ray cluster: auto, HOST:PORT, ray://HOST:PORT or local"
    )


def placed(house: House, options: argparse.Namespace) -> House:
    """Return the house with the pool that was typed, where one was.

    Raises:
        Invalid: an address was typed for a pool that has none.
    """
    from msgspec.structs import replace as changed

    from ropewalk.records import replace

    compute = house.settings.compute
    compute = changed(compute, pool=options.pool or compute.pool, address=options.address or compute.address)
    if options.address and compute.pool != "ray":
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where="--address",
            why="only a Ray cluster has an address, and steps run on this machine",
            fix=f"add --pool ray --address {options.address}",
        )
    return replace(house, settings=changed(house.settings, compute=compute))


def own(words: list[str]) -> int:
    """Return how many words are ours: those before `--`, or before a script's file."""
    for place, word in enumerate(words):
        takes_it = place and words[place - 1] in ("--model", "--project", "--pool", "--address")
        if word == "--" or (word.endswith((".py", ".ipynb")) and not takes_it and not word.startswith("-")):
            return place
    return len(words)


def handle(options: argparse.Namespace, out: Output) -> int | None:
    """Run it and print each step when it ends; the same command again resumes a killed run."""
    from ropewalk.cli.project import require_pipeline
    from ropewalk.leases import FIRE, PARENT, end_with

    if options.program:
        from ropewalk.cli import script

        if options.pool == "ray" or options.address:
            raise Invalid(
                "usage",
                "The command line is not understood.",
                where="--pool",
                why="a script runs on this machine as it is; the steps of a pipeline run on a cluster",
                fix=shlex.join(["ropewalk", "run", *options.program]),
            )

        return script.handle(options, out)
    fire = os.environ.pop(FIRE, "")  # of this run, and of none that its steps may start
    if os.environ.get(PARENT, "").isdigit():
        end_with(int(os.environ[PARENT]))
    target, args = split(options.words)
    require_pipeline(options.project, target)

    from ropewalk.pipelines.early import early

    with early(options.project, target, args) as pool:
        gc.disable()  # nothing of what an import makes is garbage
        # Imported while the worker starts.
        from ropewalk.house import open_house, run
        from ropewalk.runs import keep

        gc.freeze()
        gc.enable()
        with open_house(options.project) as opened:
            house = placed(opened, options)
            with out.progress(f"running {target or house.settings.pipeline}") as bar, mended(options.words):
                tell = partial(_tell, out=out, bar=bar)
                done = run(house, target=target, args=args, fire=fire, on_progress=tell, early=pool)
            with house.site.db.read() as rows:
                points = keep.metrics(rows, done.run.id)
                models = _made(rows, done.run.id)
            states = done.states() if out.json else []
    _show(done, states, points, models, out)
    return None


def _made(rows: Reader, run_id: str) -> list[ModelVersion]:
    """Return the versions that a run's models are."""
    from ropewalk.runs import keep

    facts = keep.facts(rows, run_id, "model")
    if not facts:
        return []
    from ropewalk.models import versions

    return [versions.of_manifest(rows, str(fact.content()["manifest"]), fact.key)[-1] for fact in facts]


@contextmanager
def mended(words: list[str]) -> Generator[None]:
    """Let an error name what to type: what goes on with a stopped run, what brings a library that is not there."""
    try:
        yield
    except RopewalkError as error:
        missing = _ABSENT.search(error.what)
        if error.code == "run-interrupted":
            error.fix = shlex.join(["ropewalk", "run", *words])
        elif error.code == "pipeline-failed-to-load" and missing:
            name = missing[1].partition(".")[0]
            error.fix = f'pip install "ropewalk[{EXTRAS[name]}]"' if name in EXTRAS else f"pip install {name}"
        raise


def command_of(run: Run) -> str:
    """Return what goes on with a run, or does the same again: its pipeline and its arguments, to be typed."""
    if run.kind == "script":
        words = run.arguments()["command"]
        return shlex.join(["ropewalk", "run", *([] if words[0].endswith(".py") else ["--"]), *words])
    if run.kind == "sweep":
        return "ropewalk sweep --help"  # how it searched is not its run's to know
    if run.kind != "pipeline":
        return "ropewalk run"
    words = [f"{name}={_typed(value)}" for name, value in run.arguments().items()]
    return shlex.join(["ropewalk", "run", run.pipeline, *words])


def _typed(value: object) -> str:
    """Return a value as one types it."""
    match value:
        case bool():
            return str(value).lower()
        case list() | tuple():
            return ",".join(_typed(one) for one in cast("list[object]", value))
        case _:
            return str(value)


def _show(
    done: RunResult,
    states: Sequence[tuple[str, str]],
    points: Sequence[Point],
    models: Sequence[ModelVersion],
    out: Output,
) -> None:
    resumed = ", resumed where it was interrupted" if done.resumed else ""
    steps = f"{done.total} step{'s' if done.total != 1 else ''}"
    out.line()
    out.line(f"{done.run.name} {done.run.state}: {steps}, {done.count('cached')} from the cache{resumed}", style="bold")
    if points:
        out.table(("metric", "value"), [(point.key, point.value) for point in points])
    for model in models:
        out.line(f"model {model.ref}  {model.manifest}")
    out.result(
        {
            "run": done.run.id,
            "name": done.run.name,
            "state": done.run.state,
            "resumed": done.resumed,
            "steps": [{"node": node, "state": state} for node, state in states],
            "metrics": {point.key: point.value for point in points},
            "models": [model.ref for model in models],
        }
    )
    out.next("ropewalk ship" if models else "ropewalk runs", f"ropewalk runs {done.run.name}", "ropewalk plan")


def split(words: list[str]) -> tuple[str, dict[str, str]]:
    """Return target and arguments of the words that were typed.

    Raises:
        Invalid: a word is neither.
    """
    targets = [word for word in words if "=" not in word]
    if len(targets) > 1:
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where="ropewalk run",
            why=f"one pipeline at a time; found {', '.join(targets)}",
            fix="ropewalk run --help",
        )
    pairs = [word.partition("=") for word in words if "=" in word]
    return "".join(targets), {name: value for name, _, value in pairs}


def line_of(progress: Progress) -> str:
    """Return one line for a step that ended, or nothing."""
    mark = MARKS.get(progress.state)
    if mark is None:
        return ""
    took = f"{progress.seconds:6.2f} s" if progress.state == "done" else f"{progress.state:>8}"
    told = f"  {progress.message}" if progress.message and progress.state != "cached" else ""
    return f"{mark} {progress.finished}/{progress.total} {progress.node:<16} {took}{told}"


def _tell(progress: Progress, out: Output, bar: Bar) -> None:
    if progress.state == "running":
        bar.note(f"step {progress.node}")
    text = line_of(progress)
    if text:
        out.now(text)
