"""A release: its states, who walks it, and the one door through which it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from ropewalk.errors import Conflict, Interrupted, NotFound
from ropewalk.leases import Lease, is_alive
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

WALKING, INTERRUPTED, FAILED, WAITING = "walking", "interrupted", "failed", "waiting"
CANARY, LIVE, RETIRED = "canary", "live", "retired"
FALLEN, ROLLED_BACK, REJECTED = "fallen", "rolled-back", "rejected"
# walking: a living process holds its lease. waiting: for people to approve. retired: a newer one took its place.
MOVES: dict[str, frozenset[str]] = {
    WALKING: frozenset({FAILED, INTERRUPTED, WAITING, CANARY, LIVE}),
    INTERRUPTED: frozenset({WALKING}),
    FAILED: frozenset({WALKING}),
    WAITING: frozenset({WALKING, REJECTED}),
    CANARY: frozenset({LIVE, FALLEN}),
    LIVE: frozenset({RETIRED, ROLLED_BACK}),
    RETIRED: frozenset({LIVE}),
    FALLEN: frozenset(),
    ROLLED_BACK: frozenset(),
    REJECTED: frozenset(),
}
SCHEMA_UP, SCHEMA_DOWN_DUE, SCHEMA_DOWN = "up", "down-due", "down"
ENDED = frozenset({RETIRED, FALLEN, ROLLED_BACK, REJECTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One bundle on its walk towards one environment.

    Attributes:
        id: `NAME/NUMBER`, such as `flights/3`.
        name: the model's name; endpoints are called after it.
        number: counts up per name.
        environment: where it is to serve.
        model: name of the model.
        version: version of the model.
        manifest: digest of the model's manifest.
        intent: digest of everything that was asked for, by which the same command finds its release again.
        bundle: digest of the bundle; empty until the build stage is done.
        author: who shipped it.
        state: a key of `MOVES`.
        error: why it failed, fell or was rejected.
        created_us: microseconds since the epoch.
        ended_us: when it reached a state that it does not leave by itself.
        schema_state: `` nothing applied, `up` its SQL is applied, `down-due` it has to go back, `down` it went back.
        lease: who walks it.
    """

    id: str
    name: str
    number: int
    environment: str
    model: str
    version: int
    manifest: str
    intent: str
    bundle: str
    author: str
    state: str
    error: str
    created_us: int
    ended_us: int | None
    schema_state: str
    lease: Lease

    @classmethod
    def from_row(cls, row: dict[str, object]) -> Release:
        """Return the record of a row of `releases`."""
        held = ("host", "boot", "pid", "born", "expires_us", "fence")
        lease = Lease(**cast("dict[str, int]", {name: row[name] for name in held}))  # type: ignore[arg-type]
        rest = {name: value for name, value in row.items() if name not in held}
        return cls(lease=lease, **rest)  # type: ignore[arg-type]

    @property
    def subject(self) -> str:
        """How ledger and events call it."""
        return f"release:{self.id}"


def find(reader: Reader, release: str) -> Release | None:
    """Return a release by its id, or None."""
    return reader.get(Release, "releases.get", id=release)


def get(reader: Reader, release: str) -> Release:
    """Return a release by its id.

    Raises:
        NotFound: there is none.
    """
    found = find(reader, release)
    if found is None:
        raise NotFound(
            "release-not-found", "There is no such release.", where=f"release {release}", fix="ropewalk status"
        )
    return found


def listed(reader: Reader, *, name: str = "", environment: str = "", count: int = 100) -> list[Release]:
    """Return releases, newest first; empty words mean all."""
    return reader.all(Release, "releases.page", name=name, environment=environment, count=count)


def of_bundle(reader: Reader, bundle: str) -> list[Release]:
    """Return the releases that brought a bundle, newest first."""
    return reader.all(Release, "releases.of_bundle", bundle=bundle)


def of_model(reader: Reader, model: str, version: int = 0) -> str:
    """Return the id of the newest release of a model version, of any version with 0; empty when there is none."""
    return str(reader.value("releases.of_model", model=model, version=version) or "")


def of_intent(reader: Reader, name: str, environment: str, intent: str) -> Release | None:
    """Return the newest release that was asked for with the same words, or None."""
    return reader.get(Release, "releases.of_intent", name=name, environment=environment, intent=intent)


def begin(
    tx: Transaction,
    site: Site,
    *,
    name: str,
    environment: str,
    version: int,
    manifest: str,
    intent: str,
    lease: Lease,
) -> Release:
    """Write a new release in state `walking`, with the next number of its name."""
    number = int(str(tx.value("releases.next_number", name=name)))
    release = f"{name}/{number}"
    tx.run(
        "releases.insert",
        id=release,
        name=name,
        number=number,
        environment=environment,
        model=name,
        version=version,
        manifest=manifest,
        intent=intent,
        author=site.actor,
        state=WALKING,
        created_us=site.clock.now_us(),
        host=lease.host,
        boot=lease.boot,
        pid=lease.pid,
        born=lease.born,
        expires_us=lease.expires_us,
        fence=lease.fence,
    )
    body = {"model": f"{name}/{version}", "manifest": manifest, "environment": environment, "intent": intent}
    site.record(tx, "release.begun", f"release:{release}", body)
    return get(tx, release)


def move(tx: Transaction, site: Site, release: Release, state: str, *, error: str = "") -> Release:
    """Change a release's state; the one door.

    Raises:
        Conflict: the table of moves has no such move, or somebody moved it since it was read.
    """
    if state not in MOVES[release.state]:
        raise Conflict(
            "release-move",
            f"A release that is {release.state} cannot become {state}.",
            where=f"release {release.id}",
            why=f"from there it may become {', '.join(sorted(MOVES[release.state])) or 'nothing else'}",
            fix="ropewalk status",
        )
    ended = site.clock.now_us() if state in ENDED else None
    changed = tx.run(
        "releases.set_state", id=release.id, from_state=release.state, state=state, error=error, ended_us=ended
    )
    if changed != 1:
        now = get(tx, release.id).state
        raise Conflict(
            "release-moved",
            "Somebody changed this release at the same moment.",
            where=f"release {release.id}",
            why=f"it was {release.state} and is now {now}",
            fix="ropewalk status",
        )
    site.record(
        tx, f"release.{state}", release.subject, {"from": release.state, "bundle": release.bundle, "error": error}
    )
    site.announce(tx, f"release.{state}", release.subject, {"from": release.state, "error": error})
    return get(tx, release.id)


def hold(tx: Transaction, release: Release, lease: Lease) -> Release:
    """Give the release to a holder; the fence grows, so that the holder before can store nothing more.

    Raises:
        Conflict: somebody else took it since it was read.
    """
    if (
        tx.run(
            "releases.set_lease",
            id=release.id,
            held=release.lease.fence,
            host=lease.host,
            boot=lease.boot,
            pid=lease.pid,
            born=lease.born,
            expires_us=lease.expires_us,
            fence=lease.fence,
        )
        != 1
    ):
        raise Conflict(
            "release-held", "Somebody else walks this release.", where=f"release {release.id}", fix="ropewalk status"
        )
    return get(tx, release.id)


def check_fence(tx: Transaction, release: str, fence: int) -> Release:
    """Return the release if this holder still holds it.

    Raises:
        Interrupted: somebody else took it, or it is not walking any more.
    """
    now = get(tx, release)
    if now.lease.fence != fence or now.state != WALKING:
        raise Interrupted(
            "release-lost",
            "Somebody else took over this release.",
            where=f"release {release}",
            why=f"it is {now.state}, held with fence {now.lease.fence}; ours was {fence}",
            fix="ropewalk status",
        )
    return now


def interrupt_dead(tx: Transaction, site: Site) -> list[Release]:
    """Declare every walking release whose holder is gone interrupted; whoever looks may call this."""
    now_us = site.clock.now_us()
    dead = [one for one in tx.all(Release, "releases.in_state", state=WALKING) if not is_alive(one.lease, now_us)]
    return [move(tx, site, one, INTERRUPTED, error="the process that walked it is gone") for one in dead]


def set_bundle(tx: Transaction, release: Release, bundle: str) -> Release:
    """Note the bundle that the build stage made; only the holder may.

    Raises:
        Conflict: somebody else holds the release now.
    """
    if tx.run("releases.set_bundle", id=release.id, fence=release.lease.fence, bundle=bundle) != 1:
        raise Conflict("release-held", "Somebody else walks this release.", where=f"release {release.id}")
    return get(tx, release.id)


def set_schema(tx: Transaction, release: Release, schema_state: str) -> None:
    """Note where the release's SQL stands: `up`, `down-due` or `down`."""
    tx.run("releases.set_schema_state", id=release.id, schema_state=schema_state)


def owe_schema(tx: Transaction, release: Release) -> None:
    """Note that the SQL of a release that will not serve any more has to go back."""
    if release.schema_state == SCHEMA_UP:
        set_schema(tx, release, SCHEMA_DOWN_DUE)
