"""Stage 6, migrate: the project's SQL is tried up, down and up again on a copy before it touches the real database."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ropewalk.errors import Invalid, RopewalkError
from ropewalk.refs import canonical, digest_of
from ropewalk.releases.bundle import Bundle, SqlStep, read_bundle
from ropewalk.releases.release import (
    FAILED,
    INTERRUPTED,
    SCHEMA_DOWN,
    SCHEMA_DOWN_DUE,
    SCHEMA_UP,
    Release,
    find,
    get,
    set_schema,
)
from ropewalk.releases.walk import Found, Walk, failed, skipped
from ropewalk.site import Site
from ropewalk.store.database import Transaction, Value
from ropewalk.store.sqlitefile import SqliteFile, split_sql

STAGE = "migrate"
NAME = re.compile(r"(\d{4})_[a-z0-9_]+")
NOTES = "ropewalk_migrations"
_NOTES_TABLE = (
    f"create table if not exists {NOTES} (number integer primary key, name text not null, up text not null, "
    "down text not null, release text not null, at_us integer not null)"
)
_OWN_TRANSACTION = re.compile(r"(?i)^\s*(begin|commit|rollback|end|savepoint|release|attach|detach|vacuum)\b")


Statement = tuple[str, Mapping[str, Value]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A step that stands in a database, as the database itself remembers it.

    Attributes:
        number: position.
        name: the step.
        up: digest of the SQL that went forward.
        down: the SQL that goes back, whole, so that going back needs nothing else.
        release: who applied it.
        at_us: when, microseconds since the epoch.
    """

    number: int
    name: str
    up: str
    down: str
    release: str
    at_us: int


def read_steps(files: Mapping[str, str], blobs: Callable[[str], bytes]) -> tuple[SqlStep, ...]:
    """Return a project's migrations, `migrations/NNNN_name.up.sql` and `.down.sql`, in order.

    Args:
        files: digests of the project's files by path.
        blobs: gives the bytes of a digest; scripts that manage transactions themselves are refused.

    Raises:
        Invalid: a name does not fit, a number is missing or twice, or a step has no way back.
    """
    found: dict[str, dict[str, str]] = {}
    for path, digest in sorted(files.items()):
        folder, _, name = path.partition("/")
        if folder != "migrations" or not name.endswith(".sql"):
            continue
        stem, _, way = name.removesuffix(".sql").rpartition(".")
        if way not in ("up", "down") or not NAME.fullmatch(stem):
            raise _invalid(path, "a migration is called NNNN_name.up.sql or NNNN_name.down.sql")
        for statement in split_sql(blobs(digest).decode("utf-8", "replace")):
            if _OWN_TRANSACTION.match(statement):
                raise _invalid(path, "a migration runs in one transaction of ours; it may not begin or end one")
        found.setdefault(stem, {})[way] = digest
    steps: list[SqlStep] = []
    for expected, (stem, ways) in enumerate(sorted(found.items()), 1):
        if int(stem[:4]) != expected:
            raise _invalid(f"migrations/{stem}", f"numbers go up by one; {expected:04d} was expected")
        if len(ways) != 2:  # noqa: PLR2004 - up and down
            raise _invalid(f"migrations/{stem}", "a migration needs both .up.sql and .down.sql")
        steps.append(SqlStep(number=expected, name=stem, up=ways["up"], down=ways["down"]))
    return tuple(steps)


def _invalid(where: str, why: str) -> Invalid:
    return Invalid("migration-invalid", "A migration cannot be used.", where=where, why=why, fix=f"edit {where}")


def applied(path: Path) -> tuple[Applied, ...]:
    """Return the steps that a database remembers, in order; a file that is not there has none."""
    if not path.exists():
        return ()
    file = SqliteFile(path)
    if not file.rows(f"select 1 from sqlite_master where type = 'table' and name = '{NOTES}'"):  # noqa: S608 - our word
        return ()
    return tuple(Applied(**row) for row in file.rows(f"select * from {NOTES} order by number"))  # type: ignore[arg-type] # noqa: S608


def schema_digest(path: Path) -> str:
    """Return a digest of a database's tables, indices, views and triggers, blind to white space and quotes."""
    rows = SqliteFile(path).rows("select type, name, tbl_name, sql from sqlite_master order by type, name")
    words = [
        [row["type"], row["name"], row["tbl_name"], re.sub(r"[\s\"'`\[\]]", "", str(row["sql"] or "")).lower()]
        for row in rows
        if row["name"] != NOTES and not str(row["name"]).startswith("sqlite_")
    ]
    return digest_of(canonical(words))


def data_digest(path: Path) -> str:
    """Return a digest of all rows of all tables but our own."""
    file = SqliteFile(path)
    names = [
        str(row["name"])
        for row in file.rows("select name from sqlite_master where type = 'table' order by name")
        if row["name"] != NOTES and not str(row["name"]).startswith("sqlite_")
    ]
    found: list[list[str]] = []
    for name in names:
        quoted = name.replace('"', '""')
        lines = sorted(repr(sorted(row.items())) for row in file.rows(f'select * from "{quoted}"'))  # noqa: S608 - quoted
        found.append([name, str(len(lines)), digest_of("\n".join(lines).encode())])
    return digest_of(canonical(found))


def run(walk: Walk) -> Found:
    """Try the release's pending steps on a copy, compare schema and data, then apply them."""
    bundle, release = walk.bundle(), walk.release
    evidence: dict[str, object] = {"bundle": release.bundle, "config": digest_of(canonical(_config(bundle, release)))}
    path = database_of(walk.site, bundle, release.environment)
    if not bundle.migrations:
        settle(walk.site)
        return skipped("no migrations in this project; configuration goes with the bundle", evidence)
    if path is None:
        return failed(
            f"{len(bundle.migrations)} migrations, but {release.environment} names no database",
            evidence,
            f'add `database = "FILE"` to [environments.{release.environment}] in ropewalk.toml',
        )
    settle(walk.site, but=release.id)
    try:
        _drop_abandoned(walk.site, path, release)
        pending = _pending(path, bundle, release)
        with tempfile.TemporaryDirectory(prefix="ropewalk-") as folder:
            copy = Path(folder) / "copy.db"
            if path.exists():
                SqliteFile(path).copy(copy)
            trial = _try(walk.site, copy, pending, release)
        evidence |= {"database": bundle.environment(release.environment).database, "trial": trial}
        if trial["before"] != trial["back"] or trial["up"] != trial["again"]:
            return failed(
                "going down again does not restore schema and data",
                evidence,
                f"mend the .down.sql of {', '.join(step.name for step in pending)}",
            )
        _up(walk.site, path, [step for step in pending if not _stands(path, step)], release)
    except RopewalkError as error:
        said = error.why if error.code == "store-error" else f"{error.what} {error.why}".strip()
        return failed(said, evidence, error.fix or "mend the migration, then ship again")
    evidence["applied"] = [[step.name, step.up, step.down] for step in pending]
    evidence["schema"] = schema_digest(path)
    said = f"{len(pending)} steps tried up, down, up on a copy, then applied" if pending else "nothing pending"
    return Found(state="passed", summary=said, evidence=evidence, also=_note_up if pending else None)


def _note_up(tx: Transaction, release: Release) -> None:
    set_schema(tx, release, SCHEMA_UP)


def _config(bundle: Bundle, release: Release) -> dict[str, object]:
    return dict(bundle.environment(release.environment).config)


def database_of(site: Site, bundle: Bundle, environment: str) -> Path | None:
    """Return the file that a release's migrations change, or None when its environment names none.

    Raises:
        Invalid: the file lies outside of the project.
    """
    name = bundle.environment(environment).database
    if not name:
        return None
    path = (site.root / name).resolve()
    if not path.is_relative_to(site.root.resolve()):
        raise Invalid(
            "database-outside",
            "A project's database lies inside the project.",
            where=f"[environments.{environment}] database",
            why=f"found {name!r}",
            fix="edit ropewalk.toml",
        )
    return path


def _pending(path: Path, bundle: Bundle, release: Release) -> list[SqlStep]:
    """Return the steps that this release brings: not there yet, or brought by itself before it was killed."""
    there = {step.number: step for step in applied(path)}
    pending: list[SqlStep] = []
    for step in bundle.migrations:
        stands = there.get(step.number)
        if stands is None or stands.release == release.id:
            pending.append(step)
        elif stands.up != step.up:
            raise Invalid(
                "migration-edited",
                "A migration that was applied has been edited.",
                where=f"migrations/{step.name}.up.sql",
                why=f"the database got {stands.up} from {stands.release}",
                fix="restore the file and write the change as a new step",
            )
    return pending


def is_stale(walk: Walk) -> bool:
    """Say whether a release that has passed this stage must walk it again.

    Its own SQL went back, or a step that it found applied went back, or will, with another release that brought it.
    """
    release, bundle = walk.release, walk.bundle()
    path = database_of(walk.site, bundle, release.environment)
    if path is None or not bundle.migrations:
        return False
    there = {step.number: step for step in applied(path)}
    if any(step.number not in there or there[step.number].up != step.up for step in bundle.migrations):
        return True
    with walk.site.db.read() as reader:
        owners = [find(reader, there[step.number].release) for step in bundle.migrations]
    return any(owner is not None and owner.schema_state == SCHEMA_DOWN_DUE for owner in owners)


def _stands(path: Path, step: SqlStep) -> bool:
    return any(one.number == step.number for one in applied(path))


def _try(site: Site, copy: Path, pending: list[SqlStep], release: Release) -> dict[str, str]:
    """Go up, down and up on a copy; return the digests of schema and data before and after."""
    SqliteFile(copy).change(())
    _down(copy, [step for step in applied(copy) if step.release == release.id])
    before, data = schema_digest(copy), data_digest(copy)
    _up(site, copy, pending, release)
    up = schema_digest(copy)
    _down(copy, [step for step in applied(copy) if step.release == release.id])
    back, data_back = schema_digest(copy), data_digest(copy)
    found = {"before": f"{before} {data}", "up": up, "back": f"{back} {data_back}"}
    if found["before"] == found["back"]:
        _up(site, copy, pending, release)
    return {**found, "again": schema_digest(copy)}


def _up(site: Site, path: Path, steps: Iterable[SqlStep], release: Release) -> None:
    """Apply steps, each with its note in one transaction of the user's database."""
    for step in steps:
        down = site.blobs.get(step.down).decode()
        note = f"insert into {NOTES} values (:number, :name, :up, :down, :release, :at_us)"  # noqa: S608 - our word
        values: dict[str, Value] = {
            "number": step.number,
            "name": step.name,
            "up": step.up,
            "down": down,
            "release": release.id,
            "at_us": site.clock.now_us(),
        }
        script = _statements(site.blobs.get(step.up).decode())
        path.parent.mkdir(parents=True, exist_ok=True)
        SqliteFile(path).change([(_NOTES_TABLE, {}), *script, (note, values)])


def _statements(script: str) -> list[Statement]:
    return [(statement, {}) for statement in split_sql(script)]


def _down(path: Path, steps: Iterable[Applied]) -> None:
    """Take steps back, newest first, each with its note in one transaction.

    The note goes first: two processes may settle at once, and the one that finds it gone leaves the step alone.
    """
    for step in sorted(steps, key=lambda one: -one.number):
        script = _statements(step.down)
        claim = f"delete from {NOTES} where number = :number and release = :release"  # noqa: S608 - our word
        SqliteFile(path).change([(claim, {"number": step.number, "release": step.release}), *script], claims=True)


def _drop_abandoned(site: Site, path: Path, release: Release) -> None:
    """Take back what releases left behind that stopped before they served."""
    left: list[Applied] = []
    with site.db.read() as reader:
        for step in applied(path):
            owner = find(reader, step.release)
            if owner is not None and owner.id != release.id and owner.state in (FAILED, INTERRUPTED):
                left.append(step)
    _down(path, left)
    for gone in {step.release for step in left}:
        evidence = site.blobs.put(canonical({"release": gone, "back": [[one.name, one.up] for one in left]}))
        site.db.write(lambda tx, one=gone, digest=evidence: _note_down(tx, site, get(tx, one), digest), urgent=True)


def settle(site: Site, *, but: str = "") -> list[str]:
    """Run the down-migrations of every release that fell or was rolled back; safe to call at any time, and again.

    Args:
        site: the project.
        but: a release to leave alone.

    Returns:
        The releases whose SQL went back.
    """
    with site.db.read() as reader:
        due = reader.all(Release, "releases.with_schema_state", schema_state=SCHEMA_DOWN_DUE)
    done: list[str] = []
    for release in due:
        if release.id == but:
            continue
        path = database_of(site, read_bundle(site.blobs, release.bundle), release.environment)
        steps = [step for step in applied(path) if step.release == release.id] if path is not None else []
        if path is not None:
            _down(path, steps)
        evidence = site.blobs.put(canonical({"release": release.id, "back": [[step.name, step.up] for step in steps]}))
        site.db.write(lambda tx, one=release, digest=evidence: _note_down(tx, site, one, digest), urgent=True)
        done.append(release.id)
    return done


def _note_down(tx: Transaction, site: Site, release: Release, evidence: str) -> None:
    if get(tx, release.id).schema_state == SCHEMA_DOWN:
        return  # another process settled it at the same moment
    set_schema(tx, release, SCHEMA_DOWN)
    site.record(tx, "release.schema-down", release.subject, {"evidence": evidence})
