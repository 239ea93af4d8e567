"""Users, roles and tokens do what a few dictionaries do, on both stores at once, and both stores answer the same."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ropewalk.access import tokens, users
from ropewalk.access.keeper import Keeper
from ropewalk.access.roles import Grant
from ropewalk.errors import RopewalkError
from runs.stores import site_on
from store.postgres_places import SILENT

WHOLE = "ROPEWALK_KILLS" in os.environ
NAMES = st.sampled_from(("ann", "bob", "Ann"))
ENVIRONMENTS = ("dev", "prod")
GRANTS = st.builds(
    Grant,
    role=st.sampled_from(("viewer", "developer", "approver", "operator", "admin")),
    project=st.sampled_from(("*", "churn", "other")),
    environment=st.sampled_from(("*", *ENVIRONMENTS)),
)
# Said again here, so that a changed table is noticed.
MAY = {
    "viewer": "read",
    "developer": "read write",
    "approver": "read approve",
    "operator": "read write operate",
    "admin": "read write approve operate admin",
}
ACTIONS = ("read", "write", "approve", "operate", "admin")
DAY = 86_400


@dataclass(kw_only=True)
class Person:
    """What the dictionaries know of a user."""

    active: bool = True
    grants: set[tuple[str, str, str]] = field(default_factory=set)


@dataclass(kw_only=True)
class Card:
    """What the dictionaries know of a token, and its id and secret on each store."""

    user: str
    scope: Grant
    ends: float
    ids: list[str]
    secrets: list[bytes]
    revoked: bool = False


def parts(grant: Grant) -> tuple[str, str, str]:
    return grant.role, grant.project, grant.environment


def fits(wanted: str, there: str) -> bool:
    return wanted in ("*", there)


class Access(RuleBasedStateMachine):
    """Does each step on every store and on dictionaries."""

    sites: tuple = ()

    def __init__(self):
        super().__init__()
        self.people: dict[str, Person] = {}
        self.cards: list[Card] = []
        self.seconds = 0.0
        self.keepers = [Keeper(site, "churn", fresh_seconds=0.5) for site in self.sites]

    @initialize()
    def begin_anew(self):
        """Take out all that earlier walks left, past the room, which takes nobody out."""
        for site in self.sites:
            link = site.db.link()
            link.begin()
            for table in ("sessions", "tokens", "user_roles", "users"):
                link.raw(f"delete from {table}")
            link.commit()
            link.close()
        self.add("ann")
        self.grant("ann", Grant(role="operator"))
        self.grant("ann", Grant(role="approver", project="churn", environment="prod"))
        self.give_a_token("ann", Grant(role="admin", environment="dev"), 90)
        self.give_a_token("ann", Grant(role="viewer"), 1)

    def every(self, work):
        """Do a step on every store; return its answer, a value or an error's code, which must be the same."""
        answers = []
        for place, site in enumerate(self.sites):
            site.clock.advance(1)
            try:
                answers.append(site.db.write(lambda tx, site=site, place=place: work(tx, site, place)))
            except RopewalkError as error:
                answers.append(error.code)
        self.seconds += 1
        assert len({repr(one) for one in answers}) == 1, answers
        return answers[0]

    @rule(name=NAMES)
    def add(self, name):
        folded = {one.casefold() for one in self.people}
        said = self.every(lambda tx, site, _: users.add(tx, site, name, service=True).name)
        assert said == ("user-exists" if name.casefold() in folded else name)
        if said == name:
            self.people[name] = Person()

    def own(self, name):
        """Return the name as it was given first, which any spelling finds; None for nobody."""
        return next((one for one in self.people if one.casefold() == name.casefold()), None)

    @rule(name=NAMES, on=st.booleans())
    def switch(self, name, on):
        own = self.own(name)
        said = self.every(lambda tx, site, _: (users.enable if on else users.disable)(tx, site, name).state)
        assert said == ("user-not-found" if own is None else "active" if on else "disabled")
        if own:
            self.people[own].active = on
            for card in self.cards:
                card.revoked |= card.user == own and not on

    @rule(name=NAMES, given=GRANTS)
    def grant(self, name, given):
        own = self.own(name)
        said = self.every(lambda tx, site, _: users.grant(tx, site, name, given))
        assert said == ("user-not-found" if own is None else parts(given) not in self.people[own].grants)
        if own:
            self.people[own].grants.add(parts(given))

    @rule(name=NAMES, taken=GRANTS, known=st.booleans(), place=st.integers(0, 9))
    def revoke(self, name, taken, known, place):
        own = self.own(name)
        grants = sorted(self.people[own].grants) if own else []
        if known and grants:
            role, project, environment = grants[place % len(grants)]
            taken = Grant(role=role, project=project, environment=environment)
        said = self.every(lambda tx, site, _: users.revoke(tx, site, name, taken))
        had = parts(taken) in grants
        assert said == ("user-not-found" if own is None else None if had else "role-not-granted")
        if had:
            self.people[own].grants.remove(parts(taken))

    @rule(name=NAMES, scope=GRANTS, days=st.sampled_from((1, 90, 91)))
    def give_a_token(self, name, scope, days):
        own, ids, secrets = self.own(name), [""] * len(self.sites), [b""] * len(self.sites)

        def work(tx, site, place):
            made, secret = tokens.create(tx, site, name, scope=scope, days=days)
            ids[place], secrets[place] = made.id, secret.encode()
            return made.user_name

        said = self.every(work)
        if own is None:
            assert said == "user-not-found"
        elif not self.people[own].active:
            assert said == "user-disabled"
        elif days > 90:
            assert said == "token-days-invalid"
        else:
            assert said == own
            ends = self.seconds + days * DAY
            self.cards.append(Card(user=own, scope=scope, ends=ends, ids=ids, secrets=secrets))

    @rule(place=st.integers(0, 9))
    def revoke_a_token(self, place):
        if not self.cards:
            assert self.every(lambda tx, site, _: tokens.revoke(tx, site, "nobody's")) == "token-not-found"
            return
        card = self.cards[place % len(self.cards)]
        said = self.every(lambda tx, site, at: tokens.revoke(tx, site, card.ids[at]).user_name)
        assert said == ("token-not-found" if card.revoked else card.user)
        card.revoked = True

    @rule(days=st.sampled_from((0.3, 40)))
    def wait(self, days):
        for site in self.sites:
            site.clock.advance(days * DAY)
        self.seconds += days * DAY

    def may(self, card, action, environment):
        """Say what a token may do, by looking at every pair of the owner's roles and its own scope."""
        if card.revoked or self.seconds >= card.ends or not self.people[card.user].active:
            return False
        scoped = action in MAY[card.scope.role].split() and fits(card.scope.environment, environment)
        return (
            scoped
            and fits(card.scope.project, "churn")
            and any(
                action in MAY[role].split() and fits(project, "churn") and fits(there, environment)
                for role, project, there in self.people[card.user].grants
            )
        )

    @invariant()
    def every_token_may_what_it_should(self):
        for card in self.cards:
            worth = not card.revoked and self.seconds < card.ends and self.people[card.user].active
            for place, keeper in enumerate(self.keepers):
                if not keeper.fresh():
                    keeper.look()
                caller = keeper.remembered(card.secrets[place]) or keeper.token(card.secrets[place])
                assert (caller is not None) is worth
                for action in ACTIONS if caller else ():
                    for environment in ENVIRONMENTS:
                        assert caller.may(action, environment) is self.may(card, action, environment)

    @invariant()
    def every_store_lists_the_same(self):
        for site in self.sites:
            with site.db.read() as rows:
                listed = {one.name: one.state for one in users.listed(rows)}
                assert listed == {name: "active" if one.active else "disabled" for name, one in self.people.items()}
                for name, one in self.people.items():
                    assert {parts(grant) for grant in users.grants(rows, name)} == one.grants
                assert users.active(rows) == sum(1 for one in self.people.values() if one.active)


@pytest.mark.fault
def test_access_walks_as_dictionaries_do_and_the_same_on_both_stores(tmp_path: Path) -> None:
    many = settings(
        max_examples=200 if WHOLE else 12, stateful_step_count=30 if WHOLE else 20, deadline=None, derandomize=not WHOLE
    )
    with site_on("sqlite", tmp_path / "sqlite") as first:
        if SILENT:
            run_state_machine_as_test(type("One", (Access,), {"sites": (first,)}), settings=many)
            pytest.skip(f"walked on SQLite alone, for no PostgreSQL answers: {SILENT}")
        with site_on("postgres", tmp_path / "postgres") as second:
            run_state_machine_as_test(type("Both", (Access,), {"sites": (first, second)}), settings=many)
