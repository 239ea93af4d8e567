"""Who answers at an endpoint: append-only generations of champion, canary and shadow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ropewalk.errors import Conflict, Invalid
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

WHOLE_BP = 10_000
FIRST_ENVIRONMENT = "production"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One generation of an endpoint; releases are ids such as `flights/3`, empty for none.

    Attributes:
        endpoint: the endpoint's name.
        generation: grows by one with each change, from 1.
        at_us: when it began, microseconds since the epoch.
        actor: who changed it.
        champion: release that answers.
        canary: release that answers a share.
        canary_weight_bp: that share in basis points, 0 to 10,000.
        shadow: release that is asked too and never answers.
        previous: release kept warm, for a rollback.
        salt: what keys are hashed with; changes with each canary, so that not always the same callers try first.
        reason: why it changed, for people.
    """

    endpoint: str
    generation: int
    at_us: int
    actor: str
    champion: str
    canary: str
    canary_weight_bp: int
    shadow: str
    previous: str
    salt: str
    reason: str

    @classmethod
    def alone(cls, endpoint: str, release: str, reason: str = "") -> Self:
        """Return the split of an endpoint that has one release and no history, as outside of a project."""
        return cls(
            endpoint=endpoint,
            generation=0,
            at_us=0,
            actor="",
            champion=release,
            canary="",
            canary_weight_bp=0,
            shadow="",
            previous="",
            salt="",
            reason=reason,
        )

    def releases(self) -> tuple[str, ...]:
        """Return every release that has to be warm, champion first, each once."""
        named = (self.champion, self.canary, self.shadow, self.previous)
        return tuple(dict.fromkeys(release for release in named if release))


def endpoint_name(name: str, environment: str) -> str:
    """Return how the endpoint of a release's name is called: `flights` in production, `flights.staging` elsewhere."""
    return name if environment == FIRST_ENVIRONMENT else f"{name}.{environment}"


def current(reader: Reader, endpoint: str) -> Traffic | None:
    """Return who answers now, or None when nothing was ever live there."""
    return reader.get(Traffic, "releases.traffic_current", endpoint=endpoint)


def at(reader: Reader, endpoint: str, at_us: int) -> Traffic | None:
    """Return who answered at a time, microseconds since the epoch."""
    return reader.get(Traffic, "releases.traffic_at", endpoint=endpoint, at_us=at_us)


def history(reader: Reader, endpoint: str, count: int = 100) -> list[Traffic]:
    """Return the newest generations, newest first."""
    return reader.all(Traffic, "releases.traffic_history", endpoint=endpoint, count=count)


def since(reader: Reader, endpoint: str, generation: int) -> list[Traffic]:
    """Return this generation and all after it, oldest first."""
    return reader.all(Traffic, "releases.traffic_since", endpoint=endpoint, generation=generation)


def endpoints(reader: Reader) -> tuple[str, ...]:
    """Return the names of all endpoints that ever had traffic, in order."""
    return tuple(str(row["endpoint"]) for row in reader.rows("releases.traffic_endpoints"))


def require_seen(reader: Reader, endpoint: str, generation: int | None) -> None:
    """Pass when the traffic is what somebody looked at before he decided; None passes always.

    Raises:
        Conflict: it has changed since.
    """
    now = current(reader, endpoint)
    if generation is not None and generation != (0 if now is None else now.generation):
        raise Conflict(
            "traffic-moved",
            "The traffic has changed since it was looked at.",
            where=endpoint,
            why=f"generation {generation} was looked at, {0 if now is None else now.generation} is there now",
            fix="ropewalk status",
        )


def change(
    tx: Transaction,
    site: Site,
    endpoint: str,
    *,
    seen: int,
    champion: str,
    canary: str = "",
    canary_weight_bp: int = 0,
    shadow: str = "",
    previous: str = "",
    salt: str = "",
    reason: str = "",
) -> Traffic:
    """Write the next generation with its ledger entry and its event `traffic.changed`.

    Args:
        tx: the transaction of the change.
        site: the project.
        endpoint: the endpoint.
        seen: the generation that the decision was made on, 0 for none.
        champion: as in `Traffic`, like all below.
        canary: release that answers a share.
        canary_weight_bp: that share.
        shadow: release that is asked too.
        previous: release kept warm.
        salt: what keys are hashed with.
        reason: why, for people.

    Raises:
        Conflict: somebody changed the traffic after it was seen.
        Invalid: a share without a canary, or one outside of 0 to 10,000.
    """
    changed = Traffic(
        endpoint=endpoint,
        generation=seen + 1,
        at_us=site.clock.now_us(),
        actor=site.actor,
        champion=champion,
        canary=canary,
        canary_weight_bp=canary_weight_bp,
        shadow=shadow,
        previous=previous,
        salt=salt,
        reason=reason,
    )
    _check(tx, changed)
    _write(tx, site, changed)
    return changed


def _check(reader: Reader, changed: Traffic) -> None:
    """Pass a generation that makes sense and follows the current one."""
    share = changed.canary_weight_bp
    if not 0 <= share <= WHOLE_BP or (share and not changed.canary) or not changed.champion:
        raise Invalid(
            "traffic-invalid",
            "This is no split of traffic.",
            where=f"endpoint {changed.endpoint}",
            why=f"champion {changed.champion!r}, canary {changed.canary!r} at {share} basis points",
        )
    now = current(reader, changed.endpoint)
    newest = 0 if now is None else now.generation
    if changed.generation != newest + 1:
        raise Conflict(
            "traffic-moved",
            "The traffic of this endpoint has changed since it was looked at.",
            where=f"endpoint {changed.endpoint}",
            why=f"generation {changed.generation - 1} was seen, {newest} is current",
            fix="look again with `ropewalk status`, then decide again",
        )


def _write(tx: Transaction, site: Site, changed: Traffic) -> None:
    """Write row, ledger entry and event."""
    values = {name: getattr(changed, name) for name in Traffic.__slots__}
    tx.run("releases.traffic_insert", **values)
    body = {name: value for name, value in values.items() if name not in ("at_us", "actor")}
    site.record(tx, "traffic.changed", f"endpoint:{changed.endpoint}", body)
    site.announce(
        tx,
        "traffic.changed",
        f"endpoint:{changed.endpoint}",
        {"generation": changed.generation, "reason": changed.reason},
    )
