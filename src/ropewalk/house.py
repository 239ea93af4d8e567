"""The only place that wires: it opens a project's folder and hands each room what the rooms above it can do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.blobs.place import open_bucket
from ropewalk.clock import Clock, SystemClock
from ropewalk.errors import Invalid, NotFound
from ropewalk.ledger.head import write_head
from ropewalk.ledger.sign import Signer
from ropewalk.records import frozen
from ropewalk.settings import FILE, Settings, read_settings
from ropewalk.site import HIDDEN, Site, who
from ropewalk.store.choose import make_schema, open_store
from ropewalk.store.link import Store
from ropewalk.workspaces.stores import STORES, blobs_url, host_of, store_url

# What only some commands need is imported where it is handed on: `ropewalk runs` starts without an endpoint's rooms.
if TYPE_CHECKING:
    import polars as pl

    from ropewalk.compute.local import LocalPool
    from ropewalk.loops.start import Starts
    from ropewalk.loops.work import Loop
    from ropewalk.models.adopt import Labelled
    from ropewalk.pipelines.progress import Progress as StepProgress
    from ropewalk.pipelines.progress import RunResult
    from ropewalk.releases.release import Release
    from ropewalk.releases.walk import Doors
    from ropewalk.releases.walk import Progress as StageProgress
    from ropewalk.runs.run import Run
    from ropewalk.schedules.fire import Fire
    from ropewalk.scripts.program import Program
    from ropewalk.scripts.run import ScriptResult, Tracking, Wanted
    from ropewalk.store.database import Transaction

CLIMB_SECONDS = 0.5
DATABASE = "ropewalk.db"


@frozen
class House:
    """An open project.

    Attributes:
        site: folder and floor.
        settings: what `ropewalk.toml` says.
        guest: whether the environment's variables name another project's stores, in whose process this one is open.
    """

    site: Site
    settings: Settings
    guest: bool = False


@contextmanager
def open_house(
    root: Path, *, create: bool = True, clock: Clock | None = None, alone: bool = False, guest: bool = False
) -> Generator[House]:
    """Open a project's folder; on leaving, its signed head is written and everything is closed.

    Args:
        root: the project's folder.
        create: make `.ropewalk` when it is not there; reading commands pass False.
        clock: the time; the machine's when None.
        alone: nobody else may have the records open meanwhile.
        guest: take no store from the environment, whose variables are another project's.

    Raises:
        NotFound: nothing was ever recorded here and `create` is False.
        Conflict: others have the records open, and they are wanted alone.
        Unavailable: another has the records alone.
        Invalid: `ropewalk.toml` is not valid.
    """
    settings = read_settings(root)
    hidden = root / HIDDEN
    url = store_url(root, settings, guest=guest)
    if not create:
        _require_records(root, settings, url)
    time = clock or SystemClock()
    hidden.mkdir(parents=True, exist_ok=True, mode=0o700)
    if url and settings.store.schema:
        make_schema(url, settings.store.schema)
    db = _held(open_store(url, hidden / DATABASE, time), alone=alone)
    site = Site(
        root=root,
        db=db,
        blobs=open_bucket(hidden, blobs_url(root, settings, guest=guest), time),
        clock=time,
        signer=Signer.create(hidden / "keys"),
        actor=who(root),
    )
    try:
        yield House(site=site, settings=settings, guest=guest)
    finally:
        with closing(db):
            write_head(db, site.signer, hidden)


@contextmanager
def open_rows(
    root: Path, *, url: str | None = None, climb: bool = False, alone: bool = False, guest: bool = False
) -> Generator[Store]:
    """Open a project's rows alone, for what is done to whole stores; `climb` brings the schema to this release's.

    Args:
        root: the project's folder.
        url: another store than the settings name; empty for the SQLite file in the folder.
        climb: False leaves the schema as it is.
        alone: nobody else may have the rows open meanwhile; False asks nobody.
        guest: as for `open_house`.

    Raises:
        NotFound: nothing was ever recorded here.
        Conflict: others have the rows open, and they are wanted alone.
    """
    settings = read_settings(root)
    where = store_url(root, settings, guest=guest) if url is None else url
    if url is None:
        _require_records(root, settings, where)
    (root / HIDDEN).mkdir(parents=True, exist_ok=True, mode=0o700)
    db = open_store(where, root / HIDDEN / DATABASE, SystemClock(), climb=climb)
    if alone:
        _held(db, alone=True)
    try:
        yield db
    finally:
        db.close()


def _held(store: Store, *, alone: bool) -> Store:
    try:
        store.hold(alone=alone)
    except BaseException:
        store.close()
        raise
    return store


def _require_records(root: Path, settings: Settings, url: str) -> None:
    """Pass only where something was recorded; on a server nobody can tell without asking it."""
    if not url and not (root / HIDDEN / DATABASE).exists():
        raise NotFound(
            "project-empty",
            "Nothing has been recorded in this folder yet.",
            where=root.name or str(root),
            why="a project's records begin with its first run",
            fix="ropewalk run" if (root / settings.pipeline.partition(":")[0]).is_file() else "ropewalk init",
        )


def run(
    house: House,
    *,
    target: str = "",
    args: Mapping[str, str] | None = None,
    on_progress: Callable[[StepProgress], None],
    fire: str = "",
    early: LocalPool | None = None,
) -> RunResult:
    """Run a pipeline; the models that its steps logged are registered in the transaction that finishes the run.

    Args:
        house: the open project.
        target: `FILE.py:FUNCTION`; the project's own pipeline when empty.
        args: the pipeline's arguments as typed on a command line, or as values.
        on_progress: told of each step.
        fire: `ID:FENCE` of the start of a schedule that this run is, which begins and ends with it.
        early: workers that were started for it before the house was opened.
    """
    from ropewalk.loops import ends
    from ropewalk.pipelines.execute import run_pipeline
    from ropewalk.pipelines.spans import told_of_run

    with told_of_run(house.site, house.settings.telemetry) as noted:

        def begun(tx: Transaction, run: Run) -> None:
            noted(run.id)
            ends.begun(house.site, fire, tx, run)

        return run_pipeline(
            house.site,
            target=target or house.settings.pipeline,
            args=dict(args or {}),
            on_progress=on_progress,
            on_begin=begun,
            on_finish=partial(ends.finished, house.site, fire),
            compute=house.settings.compute,
            early=early,
        )


def of_finished(house: House) -> Callable[[Transaction, Run], None]:
    """Return what the end of a run brings with it that no schedule has started."""
    from ropewalk.loops import ends

    return partial(ends.finished, house.site, "")


def run_script(house: House, program: Program, wanted: Wanted, *, tracking: Tracking | None = None) -> ScriptResult:
    """Run a script that nobody may touch; the model that it leaves is registered in the transaction that ends the run.

    Args:
        house: the open project.
        program: what to run.
        wanted: what of it is kept, and how.
        tracking: serves MLflow's clients on a socket; None for nobody.
    """
    from ropewalk.models.register import register_logged
    from ropewalk.scripts.run import run_script as go

    return go(house.site, program, wanted, tracking=tracking, on_finish=partial(register_logged, house.site))


def score(house: House) -> Callable[[str, pl.DataFrame], pl.DataFrame]:
    """Return what answers a frame of inputs with a bundle, in a confined worker of its own."""
    from ropewalk.endpoints import batch

    return partial(batch.score, house.site, allowed=house.settings.scan.globals)


def doors(house: House) -> Doors:
    """Return what a release's walk may ask of the rooms above it."""
    from ropewalk.endpoints.staging import serve_bundle
    from ropewalk.observations import baseline
    from ropewalk.releases.walk import Doors

    def serve(bundle: str, environment: str) -> object:
        return serve_bundle(house.site, bundle, environment=environment, allowed=house.settings.scan.globals)

    return Doors(
        serve=serve,  # type: ignore[arg-type]
        predict=score(house),
        recorded=partial(recorded, house.site),
        baseline=partial(baseline.read, house.site),
    )


def recorded(site: Site, endpoint: str, rows: int) -> pl.DataFrame:
    """Return the newest captured rows of an endpoint with their answers, oldest first; shadows are left out."""
    import polars as pl

    from ropewalk.endpoints.capture import read
    from ropewalk.endpoints.segment import segments

    with site.db.read() as reader:
        known = segments(reader, endpoint)
    held, since_us = 0, 0
    for segment in reversed(known):
        held += segment.rows
        if held >= 2 * rows:
            since_us = segment.first_us
            break
    table = read(site, endpoint, since_us=since_us)
    own = ("at_us", "event_us", "latency_us", "status")
    wanted = [name for name in table.columns if name in own or name.startswith(("in.", "out."))]
    return table.filter(pl.col("role") != "shadow").tail(rows).select(wanted)


def ship(
    house: House,
    *,
    model: str = "",
    release: str = "",
    environment: str = "production",
    labelled: Labelled | None = None,
    on_progress: Callable[[StageProgress], None],
    wait: bool = True,
) -> Release:
    """Walk a model version through the nine stages, or go on with a release.

    Args:
        house: the open project.
        model: as `adopt.to_ship` takes it; the newest version of the project's model when empty.
        release: id of a release to go on with, such as after an approval.
        environment: where it is to serve.
        labelled: rows to judge a model of MLflow's client by.
        on_progress: told of each stage.
        wait: stay until the canary is decided.

    Raises:
        Invalid: the settings know no such environment, or the model is none.
        NotFound: there is no such model version or release.
        Refused: a stage failed, or MLflow's client logged what cannot be shipped.
    """
    from ropewalk.models.adopt import to_ship
    from ropewalk.releases import line

    site, settings = house.site, house.settings
    if release:
        return line.resume(site, settings, release, doors=doors(house), on_progress=on_progress, wait=wait)
    _require_environment(settings, environment)
    version = to_ship(site, settings, model, labelled=labelled)
    return line.ship(
        site,
        settings,
        version=version,
        environment=environment,
        doors=doors(house),
        on_progress=on_progress,
        wait=wait,
    )


def _require_environment(settings: Settings, name: str) -> None:
    """Pass only for an environment that somebody wrote down; a mistyped one would ask for nobody's approval."""
    from ropewalk.releases.traffic import FIRST_ENVIRONMENT

    known = sorted({FIRST_ENVIRONMENT, *settings.environments})
    if name not in known:
        raise Invalid(
            "environment-unknown",
            f"This project has no environment {name!r}.",
            where=FILE,
            why=f"it has {', '.join(known)}",
            fix=f"write [environments.{name}] into {FILE}, or ship to {FIRST_ENVIRONMENT}: ropewalk ship",
        )


def loops(house: House) -> list[Loop]:
    """Return the loops that read the end of the line and move its beginning; the caller starts and stops them."""
    from ropewalk.loops.batches import Batches
    from ropewalk.loops.climb import Climb
    from ropewalk.loops.compact import Compact
    from ropewalk.loops.deliver import Deliver
    from ropewalk.loops.rescue import Rescue
    from ropewalk.loops.schedule import Schedules, Ways
    from ropewalk.loops.sweep import Sweep
    from ropewalk.loops.tend import Tend
    from ropewalk.loops.tidy import Tidy
    from ropewalk.loops.watch import Watch
    from ropewalk.schedules.declared import Declared
    from ropewalk.webhooks.send import Ways as Roads

    site = house.site
    hooks = house.settings.webhooks
    return [
        Climb(site).loop(CLIMB_SECONDS),
        Watch(site, house.settings).loop(),
        Batches(site, hidden=_hidden(house)).loop(),
        Schedules(site, Ways(declared=Declared(site.root), starts=starts(house))).loop(),
        Rescue(site).loop(),
        Sweep(site).loop(),
        Tidy(site, house.settings.starts_keep_days).loop(),
        Compact(site, keep_days=house.settings.capture.keep_days).loop(),
        Tend(site).loop(),
        Deliver(site, Roads(allow=hooks.allow), hooks.keep_days).loop(),
    ]


def starts(house: House, *, only: Callable[[Fire], bool] = lambda _: True) -> Starts:
    """Return what runs the starts of schedules, each in a process of its own; all of them, or those that are meant."""
    from ropewalk.loops.apart import run_apart
    from ropewalk.loops.start import Starts
    from ropewalk.schedules import schedule as schedules

    def start(found: Fire, halt: threading.Event) -> str:
        with house.site.db.read() as rows:
            pipeline = schedules.get(rows, found.schedule).pipeline
        return run_apart(house.site, pipeline, found, halt, hidden=_hidden(house))

    return Starts(house.site, start, only=only)


def _hidden(house: House) -> tuple[str, ...]:
    """Return the variables that are another project's, in whose process this one is open."""
    return STORES if house.guest and host_of(house.site.root) is None else ()
