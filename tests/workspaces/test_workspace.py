"""A workspace's rows: its name, states, quota and rights that go along, each change in the ledger."""

from __future__ import annotations

import pytest

from ropewalk.access import users
from ropewalk.access.roles import Grant
from ropewalk.errors import Conflict, Invalid, NotFound, RopewalkError
from ropewalk.site import Site
from ropewalk.workspaces import workspace
from ropewalk.workspaces.names import is_workspace_name
from ropewalk.workspaces.quota import Quota, bytes_of
from ropewalk.workspaces.workspace import ARCHIVED, DELETED, OPEN


def made(site: Site, name: str = "team-a", **more):
    return site.db.write(lambda tx: workspace.add(tx, site, name, host="churn", **more))


def moved(site: Site, name: str, state: str):
    return site.db.write(lambda tx: workspace.move(tx, site, name, state))


def listed(site: Site, **more) -> list[str]:
    with site.db.read() as rows:
        return [one.name for one in workspace.listed(rows, **more)]


def kinds(site: Site) -> list[str]:
    with site.db.read() as rows:
        return [str(row["kind"]) for row in rows.rows("ledger.from", seq=1, count=100)]


@pytest.mark.parametrize("name", ["ab", "team-a", "a1", "0x", "a" * 63])
def test_takes_the_names_that_mlflows_client_takes(name):
    assert is_workspace_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "a", "-a", "a-", "A1", "a_b", "a.b", "..", "a/b", "a b", "a\0b", "ä1", "a" * 64, "api", "workspaces", "ab\n"],
)
def test_refuses_the_names_that_mlflows_client_refuses(name, site):
    with pytest.raises(Invalid):
        made(site, name)

    assert listed(site) == ["default"]


@pytest.mark.parametrize("name", ["default", "churn"])
def test_the_hosts_own_names_are_taken(name, site):
    with pytest.raises(Invalid):
        made(site, name)


def test_a_name_is_free_again_after_a_deletion_and_the_folder_is_another(site):
    first = made(site)
    moved(site, "team-a", DELETED)

    second = made(site)

    assert first.folder == "workspaces/team-a"
    assert second.folder != first.folder
    assert second.id != first.id
    with pytest.raises(Conflict):
        made(site)


def test_what_was_deleted_comes_back_unless_its_name_was_given_away(site):
    first = made(site)
    moved(site, "team-a", DELETED)
    assert moved(site, "team-a", OPEN).id == first.id
    moved(site, "team-a", DELETED)
    made(site)

    with pytest.raises(RopewalkError):
        moved(site, "team-a", OPEN)

    assert listed(site, deleted=True) == ["default", "team-a", "team-a"]


def test_default_is_not_archived_deleted_or_renamed(site):
    for state in (ARCHIVED, DELETED):
        with pytest.raises(Invalid):
            moved(site, "default", state)
    with pytest.raises(Invalid):
        site.db.write(lambda tx: workspace.rename(tx, site, "default", "other"))


def test_roles_go_along_with_a_new_name(site):
    made(site)
    site.db.write(lambda tx: users.add(tx, site, "ann", password="correct horse"))
    site.db.write(lambda tx: users.grant(tx, site, "ann", Grant(role="developer", project="team-a")))

    site.db.write(lambda tx: workspace.rename(tx, site, "team-a", "team-b"))

    with site.db.read() as rows:
        assert [one.project for one in users.grants(rows, "ann")] == ["team-b"]
        assert workspace.find(rows, "team-a") is None


def test_nobodys_old_role_opens_a_new_workspace(site):
    site.db.write(lambda tx: users.add(tx, site, "ann", password="correct horse"))
    site.db.write(lambda tx: users.grant(tx, site, "ann", Grant(role="viewer", project="team-a")))

    with pytest.raises(Conflict) as caught:
        made(site)

    assert caught.value.code == "workspace-claimed"


def test_every_change_is_in_the_ledger(site):
    made(site, description="x", quota=Quota(runs_max=3))
    site.db.write(lambda tx: workspace.describe(tx, site, "team-a", "y"))
    site.db.write(lambda tx: workspace.set_quota(tx, site, "team-a", Quota(bytes_max=5)))
    moved(site, "team-a", ARCHIVED)
    moved(site, "team-a", DELETED)
    with site.db.read() as rows:
        gone = workspace.to_purge(rows, "team-a")
    site.db.write(lambda tx: workspace.purged(tx, site, gone))

    assert kinds(site) == [
        f"workspace.{word}" for word in ("created", "described", "quota-set", "archived", "deleted", "purged")
    ]
    with site.db.read() as rows, pytest.raises(NotFound):
        workspace.to_purge(rows, "team-a")


@pytest.mark.parametrize(
    ("text", "count"), [("0", 0), ("500", 500), ("10GB", 10**10), ("2 GiB", 2 << 30), ("1KB", 1000), ("3 B", 3)]
)
def test_bytes_are_said_as_people_say_them(text, count):
    assert bytes_of(text) == count


@pytest.mark.parametrize("text", ["", "-1", "GB", "1.5GB", "10PB", "ten"])
def test_what_is_no_number_of_bytes_is_refused(text):
    with pytest.raises(Invalid):
        bytes_of(text)
