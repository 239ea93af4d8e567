"""What a project says of itself in `ropewalk.toml`, checked whole before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ropewalk.deploy import Deploy
from ropewalk.errors import Invalid
from ropewalk.parts import Canary, Capture, Count, Part, Positive, Stream
from ropewalk.refs import is_name

FILE = "ropewalk.toml"
LOCAL: Literal["local"] = "local"
Share = Annotated[float, Meta(ge=0, le=1)]


class Gate(Part, frozen=True, kw_only=True):
    """A threshold that a model's holdout metric has to meet before it may serve.

    Attributes:
        metric: `roc_auc`, `log_loss`, `brier`, `accuracy`, `f1`, `rmse`, `mae` or `r2`.
        at_least: lowest value that the bootstrap interval's lower end may have.
        at_most: highest value that the interval's upper end may have.
        champion_margin: how much worse than the champion it may be, on the same rows.
        slices: columns by whose values the metric is also looked at.
        slice_margin: how much worse than the whole any slice may be.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    champion_margin: float | None = None
    slices: tuple[str, ...] = ()
    slice_margin: float | None = None


class Tests(Part, frozen=True, kw_only=True):
    """Stage 3: what is tested besides the gates."""

    paths: tuple[str, ...] = ("tests",)
    golden_rows: Annotated[int, Meta(ge=1, le=100_000)] = 200
    timeout_seconds: Positive = 600.0


class Scan(Part, frozen=True, kw_only=True):
    """Stage 4: what is known of libraries, what is accepted, what pickles may import.

    Attributes:
        advisories: folder of OSV files, relative to the project; read offline.
        audit: a service that pip-audit asks too: `pypi`, `osv` or the address of an OSV service; empty asks nobody,
            so that nothing leaves the machine.
        accept: ids of advisories whose risk is taken.
        globals: what pickles may import beyond the defaults.
        require_advisories: fail where neither files nor a service say anything.
    """

    advisories: str = "advisories"
    audit: str = ""
    accept: tuple[str, ...] = ()
    globals: tuple[str, ...] = ()
    require_advisories: bool = False


class Environment(Part, frozen=True, kw_only=True):
    """A place where releases serve.

    Attributes:
        approvals: how many people other than the author must approve before canary.
        allow_pickle: whether models in pickle-family formats may serve here (always sandboxed).
        database: SQLite file, relative to the project, that the project's SQL migrations change; empty for none.
        config: values handed to the project's serving code.
    """

    approvals: Count = 0
    allow_pickle: bool = True
    database: str = ""
    config: dict[str, str | int | float | bool] = {}


class Qa(Part, frozen=True, kw_only=True):
    """Stage 7: bounded load and budgets, in milliseconds; the rehearsal's are in the guide rehearsal.md."""

    p50_ms: Positive = 20.0
    p99_ms: Positive = 200.0
    load_seconds: Annotated[float, Meta(gt=0, le=60)] = 1.5
    load_connections: Annotated[int, Meta(ge=1, le=64)] = 8
    rehearsal_rows: Count = 1000
    rehearsal_speed: Positive = 1000.0
    rehearsal_errors: Share = 0.0
    rehearsal_changed: Share = 1.0
    rehearsal_shift: Annotated[float, Meta(ge=0)] = 0.0
    rehearsal_latency: Annotated[float, Meta(ge=0)] = 0.0


class Monitor(Part, frozen=True, kw_only=True):
    """Something watched in live traffic.

    Attributes:
        name: how alerts call it.
        kind: `drift` (a column against the training snapshot), `output` (predictions), `calibration` (mean
            prediction against the rate of labels), `quality` (loss of labelled rows), `errors`.
        column: the input column of a drift monitor.
        window: length of a window of event time, such as `7d`, `12h`.
        rows_min: a window with fewer rows says nothing.
        threshold: smallest effect that matters, in the kind's own unit.
        retrain: start the project's pipeline when the alarm opens.
    """

    name: str
    kind: str
    column: str = ""
    window: str = "7d"
    rows_min: Count = 200
    threshold: Positive = 0.1
    retrain: bool = False


class Schedule(Part, frozen=True, kw_only=True):
    """What starts a pipeline by itself: exactly one of `cron`, `every`, `files`, `query`, `event` and `webhook`.

    Attributes:
        name: how people call it.
        pipeline: `FILE.py:FUNCTION`; the project's own when empty.
        cron: five fields: minute, hour, day of month, month, day of week.
        every: a duration such as `15m`, counted from `start`, or from 1970 in UTC without one.
        files: patterns relative to the project; it starts when such files arrive or change.
        query: SQL whose first value is watched; it starts when that changes.
        database: the SQLite file that the query asks, relative to the project.
        event: kind of an event, such as `model_version.created`, `model_version_alias.created` or `alert.opened`.
        match: values that the event's body has to hold.
        webhook: it starts when somebody posts to `/api/v1/triggers/NAME` with its secret.
        timezone: IANA zone of cron fields and dates.
        overlap: `skip`, `queue` or `cancel-running` where the one before still runs; empty for `skip` with times and
            `queue` with everything else and with `catch_up = "all"`.
        catch_up: `last`, `all` or `none` of the starts that were missed while nothing ran.
        jitter: each start waits up to so long, always the same for the same start.
        start: no start before this date or time, such as `2026-01-01`.
        end: no start from this date or time on.
        args: arguments of the pipeline.
    """

    name: str
    pipeline: str = ""
    cron: str = ""
    every: str = ""
    files: tuple[str, ...] = ()
    query: str = ""
    database: str = ""
    event: str = ""
    match: dict[str, str | int | float | bool] = {}
    webhook: bool = False
    timezone: str = "UTC"
    overlap: Literal["", "skip", "queue", "cancel-running"] = ""
    catch_up: Literal["last", "all", "none"] = "last"
    jitter: str = ""
    start: str = ""
    end: str = ""
    args: dict[str, Any] = {}


class Serve(Part, frozen=True, kw_only=True):
    """The endpoint: where it listens, what it bears, and whether callers who ask again go to a data `plane`."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8470
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    queue_max: Annotated[int, Meta(ge=1)] = 1024
    deadline_ms: Positive = 5000.0
    body_bytes_max: Annotated[int, Meta(ge=1024)] = 1 << 20
    plane: bool = True


class Webhooks(Part, frozen=True, kw_only=True):
    """Who may be told of changes besides public addresses.

    Attributes:
        allow: hosts, or `host:port`, that may be private and may be spoken to without TLS; never link-local ones.
        keep_days: for how long it is kept what became of messages.
    """

    allow: tuple[str, ...] = ()
    keep_days: Annotated[int, Meta(ge=1, le=3650)] = 30


class Store(Part, frozen=True, kw_only=True):
    """Where rows are kept.

    Attributes:
        url: `postgresql://USER@HOST:PORT/DATABASE`; empty for the SQLite file in the project's folder. The variable
            `ROPEWALK_STORE_URL` goes before it. A password does not belong into a file that git keeps: PostgreSQL's
            own `PGPASSFILE` or `PGPASSWORD` hold it, or that variable.
        schema: which of the database's schemas holds the tables; empty for the one that the address leads to. In a
            workspace's folder it stands for "beside the host's tables", whose address counts.
    """

    url: str = ""
    schema: Annotated[str, Meta(pattern="^([a-z_][a-z0-9_]{0,62})?$")] = ""


class Auth(Part, frozen=True, kw_only=True):
    """Who is asked who he is, and by which names and proxies the server may be reached.

    Attributes:
        enabled: whether every caller has to say who he is; without it only this machine is served.
        tracking: the environment that runs, models and traces count as, for the roles that are given per environment.
        hosts: names besides loopback that may stand in a request's `Host`; each may have a port.
        proxies: addresses of proxies that speak TLS before this server; their `X-Forwarded-*` is believed.
        tls_cert: PEM file of the certificate, relative to the project; `tls_key` of its key.
    """

    enabled: bool = False
    tracking: str = "dev"
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""


class Compute(Part, frozen=True, kw_only=True):
    """Where the steps of pipelines run.

    Attributes:
        pool: `local` for worker processes of this machine, `ray` for a Ray cluster's nodes.
        address: of the cluster: `auto` for the one that `ray start` made this machine a part of or that RAY_ADDRESS
            names, `HOST:PORT`, `ray://HOST:PORT`, or `local` for one that is started here and lives as long as the run.
        environ: names of variables that steps on a cluster get from here, beside those that their code is seen to read;
            a name may end in `*`.
    """

    pool: Literal["local", "ray"] = LOCAL
    address: str = "auto"
    environ: tuple[str, ...] = ()


class Blobs(Part, frozen=True, kw_only=True):
    """Where bytes are kept: `url` is `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://ACCOUNT/CONTAINER/PREFIX`.

    Empty for the project's own folder. ROPEWALK_BLOBS_URL goes before it.
    """

    url: str = ""


class Telemetry(Part, frozen=True, kw_only=True):
    """Spans go to the collector at `otlp`, as those of `service`; `share` of the traces that begin here are told."""

    otlp: str = ""
    service: str = "ropewalk"
    share: Share = 1.0


class Workspaces(Part, frozen=True, kw_only=True):
    """The projects behind this one's door; beyond `open_max` the one that rested longest is closed."""

    open_max: Annotated[int, Meta(ge=1, le=1000)] = 32


class Tracking(Part, frozen=True, kw_only=True):
    """What MLflow's clients may send.

    Attributes:
        artifact_bytes_max: length of the largest file.
        direct_uploads: whether clients send the parts of large files to the object store themselves, by addresses that
            it signs; they have to reach it, and the limits count when the file is complete.
    """

    artifact_bytes_max: Annotated[int, Meta(ge=1024)] = 100 << 30
    direct_uploads: bool = False


class Settings(Part, frozen=True, kw_only=True):
    """The whole of `ropewalk.toml`.

    Attributes:
        name: the project's and, unless said otherwise, the model's and the endpoint's name.
        goal: what the model is for, in a sentence.
        owner: who answers for it.
        pipeline: `FILE.py:FUNCTION` that `ropewalk run` runs.
        model: name of the model that `ropewalk ship` ships; empty for the project's.
        retrain: arguments of the pipeline when a monitor starts it.
        schedules: what starts pipelines by itself, besides what `@pipeline(schedule=...)` says.
        streams: the topics that are scored, message by message.
        starts_keep_days: how long starts and backfills that are over are kept; `false_alarms_per_year`: of all.
    """

    name: str
    goal: str = ""
    owner: str = ""
    pipeline: str = "pipeline.py:train"
    model: str = ""
    tests: Tests = Tests()
    gates: tuple[Gate, ...] = ()
    scan: Scan = Scan()
    environments: dict[str, Environment] = {}
    qa: Qa = Qa()
    canary: Canary = Canary()
    monitors: tuple[Monitor, ...] = ()
    retrain: dict[str, str | int | float | bool] = {}
    schedules: tuple[Schedule, ...] = ()
    false_alarms_per_year: Positive = 1.0
    serve: Serve = Serve()
    capture: Capture = Capture()
    streams: tuple[Stream, ...] = ()
    deploy: Deploy = Deploy()
    webhooks: Webhooks = Webhooks()
    starts_keep_days: Annotated[int, Meta(ge=1, le=36_500)] = 365
    blobs: Blobs = Blobs()
    compute: Compute = Compute()
    tracking: Tracking = Tracking()
    store: Store = Store()
    auth: Auth = Auth()
    workspaces: Workspaces = Workspaces()
    telemetry: Telemetry = Telemetry()

    @property
    def model_name(self) -> str:
        """The name of the model that is shipped."""
        return self.model or self.name

    def environment(self, name: str) -> Environment:
        """Return what is said of an environment; one that is not named has the defaults."""
        return self.environments.get(name, Environment())


def read_settings(root: Path) -> Settings:
    """Return the project's settings; a folder without a file gets the defaults and its own name.

    Raises:
        Invalid: the file is not TOML, or a key is unknown, missing or out of its range; the error names it.
    """
    path = root / FILE
    if not path.exists():
        name = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in root.resolve().name)
        return Settings(name=name if is_name(name) else "project")
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=Settings)
    except msgspec.ValidationError as error:
        raise Invalid(
            "settings-invalid", f"{FILE} is not valid.", where=FILE, why=str(error), fix=f"edit {FILE}"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(
            "settings-unreadable", f"{FILE} is not TOML.", where=FILE, why=str(error), fix=f"edit {FILE}"
        ) from error
    for name in (found.name, found.model_name, *found.environments):
        if not is_name(name):
            raise Invalid(
                "settings-invalid",
                f"{FILE} is not valid.",
                where=FILE,
                why=f"a name is letters, digits, '.', '_' and '-', 128 at most; found {name[:80]!r}",
                fix=f"edit {FILE}",
            )
    _refuse_password(found.store.url)
    return found


def _refuse_password(url: str) -> None:
    """Pass only for an address without a password, since git keeps the file and every release its settings."""
    if ":" in url.rpartition("@")[0].partition("://")[2] or "password=" in url:
        raise Invalid(
            "settings-secret",
            f"{FILE} holds a password.",
            where=f"{FILE} [store] url",
            why="the file is kept by git and goes into the evidence of releases",
            fix="take the password out; put it into PGPASSFILE, or the whole address into ROPEWALK_STORE_URL",
        )


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `ropewalk.toml`, for editors."""
    return msgspec.json.schema(Settings)
