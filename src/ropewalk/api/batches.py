"""The native routes of batches: ask for one, look how far it is, end it, and fetch what came out."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.responses import FileResponse

from ropewalk.api.routes import Ask, Door, key_of, whole_number
from ropewalk.batches import batch as batches
from ropewalk.batches import folder as folders
from ropewalk.batches.batch import Batch
from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.house import House
from ropewalk.refs import canonical, digest_of
from ropewalk.releases import release, traffic
from ropewalk.releases.release import Release
from ropewalk.site import Site
from ropewalk.store.database import Transaction

PAGE_MOST = 200
PARQUET, NDJSON = "application/vnd.apache.parquet", "application/x-ndjson"


class Rows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the rows are: exactly one of the two.

    Attributes:
        artifact: path of a Parquet, Arrow, CSV or NDJSON file that lies among the artifacts; MLflow's client puts it
            there, as does `PUT /api/2.0/mlflow-artifacts/artifacts/PATH`.
        snapshot: digest of a frame that a run has recorded.
    """

    artifact: str = ""
    snapshot: str = ""


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch that is asked for.

    Attributes:
        source: where the rows are.
        endpoint: whose champion scores them; the project's own in production when left out.
        release: score with this release instead.
        errors: stop at the first row that cannot be answered, or set such rows aside.
    """

    source: Rows
    endpoint: str = ""
    release: str = ""
    errors: Literal["stop", "aside"] = "stop"


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as it stands.

    Attributes:
        id: its name.
        state: `waiting`, `running`, `done`, `failed` or `cancelled`.
        release: who scores.
        bundle: digest of its bundle.
        errors: what is done about rows that cannot be answered.
        rows: how many there are; 0 until that is known.
        scored: how many are done, those set aside included.
        aside: how many were set aside.
        output: digest of the Parquet file that came out; empty until it did.
        note: why it failed.
    """

    id: str
    state: str
    release: str
    bundle: str
    errors: str
    rows: int
    scored: int
    aside: int
    output: str
    note: str


def shown(found: Batch) -> Shown:
    """Return a batch for callers."""
    return Shown(
        id=found.id,
        state=found.state,
        release=found.release,
        bundle=found.bundle,
        errors=found.policy,
        rows=found.rows,
        scored=found.scored,
        aside=found.aside,
        output=found.output,
        note=found.note,
    )


def ask_for(ask: Ask) -> Shown:
    """Write a batch down; `ropewalk up` does the work, after a restart too."""
    given = key_of(ask)
    name = write(ask.house, ask.body, f"batch {ask.caller.name} {given}" if given else None)
    return _shown(ask.house, name)


def write(house: House, wanted: Wanted, key: str | None) -> str:
    """Write a batch down and return its id; with a key, that of the batch that was written down with it before.

    Raises:
        Invalid: it names no source, or two.
        NotFound: there is no such release, or nothing is live at the endpoint.
        Conflict: the release was never built.
    """
    site = house.site
    source = {name: value for name in ("artifact", "snapshot") if (value := getattr(wanted.source, name))}
    if len(source) != 1:
        raise Invalid(
            "batch-source-missing",
            "A batch takes an artifact or a snapshot.",
            where="source",
            why=f"found {len(source)} of the two",
            fix='{"source": {"artifact": "in/rows.parquet"}}',
        )
    found = _release(house, wanted.endpoint, wanted.release)

    def work(tx: Transaction) -> str:
        return batches.begin(
            tx,
            site,
            key=digest_of(canonical([source, found.id, site.clock.now_us()])),
            release=found.id,
            bundle=found.bundle,
            environment=found.environment,
            source=source,
            target="",
            policy=wanted.errors,
        ).id

    return site.db.write(work, key=key)


def _release(house: House, endpoint: str, name: str) -> Release:
    with house.site.db.read() as rows:
        if not name:
            where = endpoint or traffic.endpoint_name(house.settings.model_name, traffic.FIRST_ENVIRONMENT)
            now = traffic.current(rows, where)
            if now is None or not now.champion:
                raise NotFound(
                    "nothing-live", "Nothing is live yet.", where=f"endpoint {where[:80]}", fix="ropewalk ship"
                )
            name = now.champion
        found = release.get(rows, name)
    if not found.bundle:
        raise Conflict("release-not-built", "This release was never built.", where=found.id, fix="ropewalk ship")
    return found


def _shown(house: House, name: str) -> Shown:
    with house.site.db.read() as rows:
        return shown(batches.get(rows, name))


def list_batches(ask: Ask) -> tuple[Shown, ...]:
    """Return batches, newest first."""
    count = max(1, whole_number(ask.query, "count", 50, PAGE_MOST))
    with ask.house.site.db.read() as rows:
        return tuple(map(shown, batches.page(rows, count, ask.query.get("after", "") or batches.LAST)))


def show(ask: Ask) -> Shown:
    """Return one batch."""
    return _shown(ask.house, ask.path["batch"])


def cancel(ask: Ask) -> Shown:
    """End a batch."""
    site = ask.house.site
    with site.db.read() as rows:
        found = batches.get(rows, ask.path["batch"])
    return shown(folders.cancel(site, found))


def output(ask: Ask) -> FileResponse:
    """Return the rows with their answers, as Parquet."""
    return _file(ask, folders.OUTPUT, PARQUET)


def set_aside(ask: Ask) -> FileResponse:
    """Return the rows without an answer, each with the reason, a line of JSON each."""
    return _file(ask, folders.SET_ASIDE, NDJSON)


def _file(ask: Ask, name: str, media: str) -> FileResponse:
    with ask.house.site.db.read() as rows:
        found = batches.get(rows, ask.path["batch"])
    return file_of(ask.house.site, found, name, media)


def file_of(site: Site, found: Batch, name: str, media: str) -> FileResponse:
    """Return a file of a batch that is done.

    Args:
        site: the project.
        found: the batch.
        name: `OUTPUT` or `SET_ASIDE` of `ropewalk.batches.folder`.
        media: its media type.

    Raises:
        Conflict: the batch is not done.
        NotFound: there is no such file here.
    """
    if found.state != batches.DONE:
        raise Conflict("batch-not-done", "The batch is not done.", where=found.subject, why=f"it is {found.state}")
    targets = folders.targets_of(site, found)
    path = targets.output if name == folders.OUTPUT else targets.aside
    if found.target or not path.is_file():
        raise NotFound(
            "batch-output-elsewhere",
            "The server does not have this file.",
            where=found.subject,
            why="a command wrote it to a place of its own" if found.target else "no rows were set aside",
        )
    return FileResponse(path, media_type=media, filename=f"{found.id}-{name}")


_ONE = "/api/v1/batches/{batch}"
DOORS = (
    Door(
        method="POST",
        path="/api/v1/batches",
        summary="Score an artifact's or a snapshot's rows; the same Idempotency-Key gives the batch that there is",
        answer=ask_for,
        result=Shown,
        action="write",
        query={},
        body=Wanted,
    ),
    Door(
        method="GET",
        path="/api/v1/batches",
        summary="Batches, newest first",
        answer=list_batches,
        result=tuple[Shown, ...],
        action="read",
        query={"count": f"how many, {PAGE_MOST} at most", "after": "id of the last one before"},
    ),
    Door(
        method="GET",
        path=_ONE,
        summary="One batch, with how far it is",
        answer=show,
        result=Shown,
        action="read",
        query={},
    ),
    Door(
        method="POST",
        path=f"{_ONE}/cancel",
        summary="End a batch; what was scored of it goes away",
        answer=cancel,
        result=Shown,
        action="write",
        query={},
    ),
    Door(
        method="GET",
        path=f"{_ONE}/output",
        summary="The rows with their answers, as Parquet",
        answer=output,
        result=None,
        action="read",
        query={},
    ),
    Door(
        method="GET",
        path=f"{_ONE}/aside",
        summary="The rows that were set aside, each with the reason, as newline-delimited JSON",
        answer=set_aside,
        result=None,
        action="read",
        query={},
    ),
)
