"""`ropewalk promote RELEASE` gives a canary all traffic at once; with `--plan` it says before what that takes."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ropewalk.cli.output import Output
from ropewalk.errors import Conflict, Invalid

if TYPE_CHECKING:
    from ropewalk.house import House
    from ropewalk.releases.design import Design
    from ropewalk.releases.rollout import Rollout
    from ropewalk.settings import Canary

EXAMPLE = """
ropewalk promote churn/3 --reason "incident 114: the champion is broken"
ropewalk promote --plan                    # what a canary of the next release would take, would find and could harm
ropewalk promote churn/3 --plan --json     # the same of one that is on its way
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the release and the reason."""
    parser.add_argument("release", nargs="?", default="", metavar="RELEASE", help="a release that is a canary now")
    parser.add_argument("--reason", default="promoted by hand", help="why, for those who read it later")
    parser.add_argument(
        "--plan", action="store_true", help="only say what to expect: weights, rows, what is found when"
    )
    parser.add_argument("--environment", default="production", help="with --plan and no release: where")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Give it all traffic, in one transaction, or change nothing and say what to expect.

    Raises:
        Invalid: neither a release nor `--plan`.
        Conflict: the release is no canary, or nothing is live that one could be judged against.
    """
    from ropewalk.house import open_house
    from ropewalk.releases.promote import promote

    if not options.release and not options.plan:
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where="ropewalk promote",
            why="it needs a release, or --plan",
            fix="ropewalk promote --plan",
        )
    with open_house(options.project, create=False) as house:
        if options.plan:
            _say(_expected(house, options.release, options.environment), out)
            return
        site = house.site
        now = site.db.write(lambda tx: promote(tx, site, options.release, reason=options.reason))
    out.line(f"{now.endpoint}: {now.champion} answers everybody, {now.previous or 'nothing'} stays warm")
    out.result({"endpoint": now.endpoint, "champion": now.champion, "previous": now.previous})
    out.next("ropewalk status", "ropewalk rollback")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Expected:
    """A plan with what is to be expected of it, and where its release stands; empty and None for one to come."""

    release: str
    champion: str
    endpoint: str
    plan: Canary
    design: Design
    rollout: Rollout | None


def _expected(house: House, name: str, environment: str) -> _Expected:
    """Return what was said when a release's rollout began, or what would be said if one began now."""
    from ropewalk.observations import baseline
    from ropewalk.releases import release, rollout, traffic
    from ropewalk.releases.design import check, design, recorded

    site = house.site
    with site.db.read() as rows:
        found = release.get(rows, name) if name else None
        here = (found.name, found.environment) if found else (house.settings.model_name, environment)
        endpoint = traffic.endpoint_name(*here)
        now = traffic.current(rows, endpoint)
        climbing = rollout.find(rows, name) if name else None
    if found is not None and (found.state not in _AHEAD or (climbing is not None and climbing.ended_us is not None)):
        raise Conflict(
            "not-a-canary",
            "This release's way up is over.",
            where=f"release {name}",
            why=f"it is {found.state}",
            fix="ropewalk promote --plan",
        )
    if now is None:
        raise Conflict(
            "no-champion",
            "Nothing is live there to judge a canary against.",
            where=f"endpoint {endpoint}",
            why="the first release of an endpoint goes live without a canary",
            fix="ropewalk ship",
        )
    plan = climbing.canary if climbing else house.settings.canary
    champion = climbing.champion if climbing else now.champion
    check(plan)
    if climbing is not None and climbing.design:
        made = recorded(site.blobs.get(climbing.design))
    else:
        made = design(plan, baseline.read(site, endpoint, champion, plan))
    return _Expected(release=name, champion=champion, endpoint=endpoint, plan=plan, design=made, rollout=climbing)


_AHEAD = ("walking", "waiting", "interrupted", "failed", "canary")


def _say(told: _Expected, out: Output) -> None:
    from ropewalk.releases.design import lines

    out.line(f"{told.release or 'the next release'} beside {told.champion} at {told.endpoint}", style="bold")
    if told.rollout is not None:
        at = f"{told.rollout.weight_bp / 100:g} %" if told.rollout.weight_bp else "the shadow"
        left = len(told.rollout.weights) - told.rollout.step
        out.line(f"it is at {at}; `ropewalk promote {told.release}` skips what it has not shown yet, {left} rises")
    elif told.plan.shadow:
        out.line(f"first in the shadow, which harms nobody: {told.plan.rows_min} pairs at least")
    for line in lines(told.design, told.plan):
        out.line(line)
    if told.plan.bake_seconds:
        out.line("bakes: " + ", ".join(f"{one['weight']:g} % for {one['bake_seconds']:g} s" for one in _steps(told)))
    if told.plan.patience_seconds:
        out.line(f"falls back without a verdict after {told.plan.patience_seconds:g} s at one weight")
    out.line("nothing was changed")
    made = told.design
    out.result(
        {
            "release": told.release,
            "champion": told.champion,
            "endpoint": told.endpoint,
            "weight_bp": None if told.rollout is None else told.rollout.weight_bp,
            "shadow": told.plan.shadow,
            "alpha": made.alpha,
            "signals": dict(made.weights),
            "steps": _steps(told),
            "patience_seconds": told.plan.patience_seconds,
            "smallest": made.smallest,
            "finds": [asdict(one) for one in made.finds],
            "harmed_max": made.harmed_max,
            "baseline": asdict(made.baseline),
        }
    )
    out.next(*(("ropewalk status",) if told.rollout else ("ropewalk ship",)))


def _steps(told: _Expected) -> list[dict[str, Any]]:
    from ropewalk.releases.verdict import bake_seconds

    return [
        {**asdict(one), "bake_seconds": bake_seconds(told.plan, step)} for step, one in enumerate(told.design.steps)
    ]
