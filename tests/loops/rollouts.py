"""A champion that is live and a candidate whose rollout has begun, as the line leaves them."""

from __future__ import annotations

import msgspec

from observations.captured import ENDPOINT, make_release, set_traffic
from ropewalk.refs import canonical
from ropewalk.releases import outcome, tree
from ropewalk.releases import release as releases
from ropewalk.releases import rollout as rollouts
from ropewalk.releases.bundle import Bundle, write_bundle
from ropewalk.releases.release import LIVE, Release
from ropewalk.releases.rollout import Rollout
from ropewalk.settings import Canary, Settings
from ropewalk.site import Site
from ropewalk.store.database import Transaction
from ropewalk.testing.fakes import SetClock

PLAN = Canary(weights=(10.0, 50.0), rows_min=100, wait_labels=False, error_increase=0.02)


def begin(site: Site, clock: SetClock, plan: Canary = PLAN, *, champion: str = "", design: str = "") -> Rollout:
    """Make a champion live, unless one answers already, and begin the rollout of another release beside it."""
    answers = bool(champion)
    champion = champion or make_release(site)
    clock.advance(1)
    candidate = make_release(site)
    if not answers:
        set_traffic(site, champion)

    def work(tx: Transaction) -> Rollout:
        releases.move(tx, site, releases.get(tx, champion), LIVE)
        return rollouts.begin(
            tx, site, Settings(name=ENDPOINT, canary=plan), _built(tx, site, candidate), design=design
        )

    return site.db.write(work)


def _built(tx: Transaction, site: Site, name: str) -> Release:
    release = releases.get(tx, name)
    blob = site.blobs.put(b"")
    bundle = write_bundle(
        site.blobs,
        Bundle(
            project=ENDPOINT,
            model=ENDPOINT,
            version=1,
            manifest=release.manifest,
            flavor="sklearn",
            task="binary",
            code=blob,
            commit="",
            wheel="flights.whl",
            wheel_digest=blob,
            lock=blob,
            contract=blob,
            sbom=blob,
            provenance=blob,
            created_us=release.created_us,
        ),
    )
    tx.run("releases.set_bundle", id=name, bundle=bundle, fence=release.lease.fence)
    release = releases.get(tx, name)
    tree.plant(tx, site, release)
    for stage in outcome.STAGES[: outcome.STAGES.index("canary")]:
        evidence = site.blobs.put(canonical({"stage": stage}))
        outcome.store_outcome(
            tx, site, release, stage=stage, state="passed", summary=stage, evidence=evidence, started_us=0
        )
    return release


def now(site: Site, rollout: Rollout) -> Rollout:
    """Return the rollout as it stands."""
    with site.db.read() as reader:
        found = rollouts.find(reader, rollout.release)
    assert found is not None
    return found


def with_plan(**changes: object) -> Canary:
    """Return the tests' plan with changes."""
    return msgspec.structs.replace(PLAN, **changes)
