"""Users, roles, tokens, webhooks and logged models hold as long as nobody edits their rows, and then are named."""

from __future__ import annotations

import sqlite3  # noqa: TID251 - somebody who edits the file does not use our adapter
from dataclasses import replace

import pytest

from ropewalk.access import tokens, users
from ropewalk.access.roles import Grant
from ropewalk.evidence.verify import verify
from ropewalk.models import logged
from ropewalk.runs import experiments
from ropewalk.site import HIDDEN
from ropewalk.webhooks import webhook
from ropewalk.webhooks.events import event_of
from ropewalk.webhooks.webhook import Wish
from ropewalk.workspaces import workspace

SECRET = "correct horse battery staple"


def grant(role, project="lab"):
    return Grant(role=role, project=project, environment="*")


@pytest.fixture
def stood(site):
    """A site on which all of these were made, changed and taken away."""

    def work(tx):
        for name in ("ann", "bob", "eve"):
            users.add(tx, site, name, service=True)
            users.grant(tx, site, name, grant("viewer"))
        workspace.add(tx, site, "team")
        users.grant(tx, site, "ann", grant("developer", "team"))
        users.revoke(tx, site, "bob", grant("viewer"))
        for name in ("ann", "bob", "eve"):
            tokens.create(tx, site, name, scope=grant("viewer"), note=f"of {name}")
        tokens.create(tx, site, "ann", scope=grant("developer", "team"))
        workspace.rename(tx, site, "team", "crew")
        users.disable(tx, site, "eve")
        users.enable(tx, site, "eve")
        tokens.revoke(tx, site, tokens.listed(tx, "bob")[0].id)
        hook = Wish(name="hook", url="https://1.1.1.1/hook", events=[event_of("model_version.created")])
        webhook.create(tx, site, hook, "h" * 8)
        webhook.update(tx, site, "h" * 8, Wish(events=[event_of("model_version_tag.set")], secret="s" * 16))
        webhook.create(tx, site, replace(hook, name="gone"), "g" * 8)
        webhook.delete(tx, site, "g" * 8)
        home = experiments.create(tx, site, "first")
        for name in ("net", "old"):
            made = logged.create(
                tx, site, experiment=home.id, root=home.location, name=name, tags=[("a", "1"), ("b", "2")]
            )
            logged.delete_tag(tx, site, made.id, "b")
            logged.finalize(tx, site, made.id, "READY")
        logged.delete(tx, site, made.id)

    site.db.write(work)
    return site


def test_what_was_done_by_the_door_holds(stood):
    assert verify(stood).findings == ()


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("update users set state = 'active', kind = 'person' where name = 'ann'", "user ann"),
        ("insert into users select 'mal', 'mal', '', 'service', 'active', 1, 1", "user mal"),
        ("update user_roles set role = 'admin' where user_name = 'ann' and project = 'lab'", "role of user ann"),
        ("delete from user_roles where project = 'crew'", "role of user ann"),
        ("insert into user_roles values ('bob', 'admin', '*', '*', 1)", "role of user bob"),
        ("update tokens set revoked_us = null where user_name = 'eve'", "token"),
        ("update tokens set expires_us = expires_us * 2 where user_name = 'ann'", "token"),
        ("delete from tokens where user_name = 'bob'", "token"),
        ("update webhooks set url = 'https://evil.example/x' where name = 'hook'", "webhook"),
        ("update webhooks set deleted_us = null where name = 'gone'", "webhook"),
        ("delete from webhook_events", "webhook"),
        ("update webhooks set secret = null", "webhook"),
        ("update logged_models set status = 'FAILED' where name = 'net'", "logged model"),
        ("update logged_models set deleted_us = null", "logged model"),
        ("update logged_model_tags set value = '9'", "tag of logged model"),
        ("insert into logged_model_tags select number, 'x', 'y' from logged_models", "tag of logged model"),
    ],
)
def test_what_somebody_edits_afterwards_is_named(stood, statement, word):
    raw = sqlite3.connect(stood.root / HIDDEN / "ropewalk.db")
    with raw:
        raw.execute(statement)
    raw.close()

    found = [finding.what for finding in verify(stood).findings]

    assert any(what.startswith(word) for what in found), found
