"""Two workspaces and the host behind one door: who may what where, whom a request means, and what is kept apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from api.asked import Asked
from api.doorway import Door
from ropewalk.access import tokens
from ropewalk.access.roles import ROLES, Grant
from ropewalk.api.mlflow.table import ROUTES
from ropewalk.api.native import DOORS
from ropewalk.ledger.sign import Signer
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock
from ropewalk.workspaces import workspace
from ropewalk.workspaces.quota import Quota
from ropewalk.workspaces.workspace import ARCHIVED, DELETED, OPEN

API = "/api/2.0/mlflow"
AT = "/api/3.0/mlflow/workspaces"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
# Routes of the server and not of a project, whatever they are asked below.
OF_SERVER = re.compile(r"/(ajax-)?api/3\.0/mlflow/(workspaces(/.*)?|server-info)")


@pytest.fixture
def door(site: Site) -> Iterator[Door]:
    made = Door(site, enabled=True)
    made.let_in("root", Grant(role="admin"))
    made.let_in("ann", Grant(role="developer", project="team-a"))
    made.let_in("bob", Grant(role="developer", project="team-b"))
    made.let_in("eve")
    yield made
    made.close()


@pytest.fixture
def local(site: Site) -> Iterator[Door]:
    made = Door(site)
    yield made
    made.close()


def filled(path: str) -> str:
    return re.sub(r"{[^}]+}", "x", path)


def test_every_route_asks_for_a_role_in_the_very_workspace(door: Door) -> None:
    routes = [
        (route.method, filled(path), str(route.action))
        for route in ROUTES
        for path in route.paths()
        if path.startswith("/api/") and not OF_SERVER.fullmatch(filled(path)) and "{rest:rest}" not in path
    ]
    routes += [(one.method, filled(one.path), one.action) for one in DOORS if "triggers" not in one.path]
    wrong = []
    for role in ROLES:
        door.let_in(f"{role}-a", Grant(role=role, project="team-a"))
        for method, path, action in routes:
            for name in ("team-a", "team-b", ""):
                answer = door.ask(method, path, by=f"{role}-a", inside=name)
                may = name == "team-a" and action in ROLES[role]
                expected = {"team-b": (404,), "": (403,)}.get(name, () if may else (403,))
                fine = answer.status in expected if expected else answer.status not in (401, 403)
                if not fine or (answer.status >= 500 and answer.status not in (501, 503)):
                    wrong.append((role, name, method, path, action, answer.status, answer.body[:100]))

    assert len(routes) > 100
    assert wrong == []


def test_each_workspace_keeps_its_own(door: Door) -> None:
    made = {}
    for by, name in (("ann", "team-a"), ("bob", "team-b"), ("root", "default")):
        one = door.ask("POST", f"{API}/experiments/create", {"name": "same"}, by=by, inside=name).json()
        run = door.ask("POST", f"{API}/runs/create", {"experiment_id": one["experiment_id"]}, by=by, inside=name).json()
        door.ask("POST", f"{API}/registered-models/create", {"name": "model"}, by=by, inside=name)
        path = re.sub(r"^mlflow-artifacts:/*", "", run["run"]["info"]["artifact_uri"])
        assert door.ask("PUT", f"{FILES}/{path}/a.txt", name.encode(), by=by, inside=name).status == 200
        made[name] = (run["run"]["info"]["run_id"], path)

    for name in made:
        for other, (run, path) in made.items():
            status = 200 if name == other else 404
            assert door.ask("GET", f"{API}/runs/get?run_id={run}", by="root", inside=name).status == status
            assert door.ask("GET", f"{FILES}/{path}/a.txt", by="root", inside=name).status == status
            if name == other:
                assert door.ask("GET", f"{FILES}/{path}/a.txt", by="root", inside=name).body == name.encode()
    assert door.ask("GET", f"/workspaces/team-a/runs/{made['team-a'][0]}", by="ann", accept="text/html").status == 200
    assert door.ask("GET", f"/workspaces/team-a/runs/{made['default'][0]}", by="ann", accept="text/html").status == 404


def test_a_workspace_that_is_not_yours_says_no_more_than_one_that_is_not_there(door: Door) -> None:
    for path in (
        f"{API}/experiments/search?max_results=1",
        "/runs",
        "/metrics",
        "/health",
        "/nothing",
        "/openapi.json",
    ):
        for by in ("ann", "eve"):
            hidden = door.ask("GET", path, by=by, inside="team-b")
            absent = door.ask("GET", path, by=by, inside="team-c")
            assert hidden.status == absent.status == 404, path
            assert hidden.body.replace(b"team-b", b"") == absent.body.replace(b"team-c", b"")
        assert door.ask("GET", path, inside="team-b").status == 401
        assert door.ask("GET", f"/workspaces/team-b{path}").status == 401


def test_the_list_holds_what_one_may_read(door: Door) -> None:
    def seen(by: str) -> list[str]:
        return [one["name"] for one in door.ask("GET", AT, by=by).json().get("workspaces", [])]

    assert seen("root") == ["default", "team-a", "team-b"]
    assert seen("ann") == ["team-a"]
    assert seen("eve") == []
    assert door.ask("GET", f"{AT}/team-a", by="ann").status == 200
    assert door.ask("GET", f"{AT}/team-b", by="ann").status == 404
    assert [one["name"] for one in door.ask("GET", "/api/v1/workspaces", by="ann").json()] == ["team-a"]
    assert (
        door.ask("GET", "/api/3.0/mlflow/server-info", by="eve", inside="nothing").json()["workspaces_enabled"] is True
    )


def test_administrators_alone_make_and_change_workspaces(door: Door) -> None:
    door.let_in("head", Grant(role="admin", project="team-a"))
    for by in ("ann", "head", "eve"):
        assert door.ask("POST", AT, {"name": "team-c"}, by=by).status == 403
        assert door.ask("PATCH", f"{AT}/team-a", {"description": "x"}, by=by).status == 403
        assert door.ask("DELETE", f"{AT}/team-a?mode=CASCADE", by=by).status == 403
        assert door.ask("PUT", "/api/v1/workspaces/team-a/quota", {"runs_max": 1}, by=by).status == 403

    made = door.ask("POST", AT, {"name": "team-c", "description": "new"}, by="root")
    assert (made.status, made.json()) == (201, {"workspace": {"name": "team-c", "description": "new"}})
    assert door.ask("POST", f"{API}/experiments/create", {"name": "e"}, by="root", inside="team-c").status == 200
    assert (
        door.ask("PATCH", f"{AT}/team-c", {"description": "old"}, by="root").json()["workspace"]["description"] == "old"
    )
    assert door.ask("DELETE", f"{AT}/team-c", by="root").json()["error_code"] == "INVALID_STATE"
    gone = door.ask("DELETE", f"{AT}/team-c?mode=CASCADE", by="root")
    assert (gone.status, gone.body) == (204, b"")
    assert door.ask("GET", f"{AT}/team-c", by="root").status == 404
    assert door.ask("DELETE", f"{AT}/team-a?mode=SET_DEFAULT", by="root").status == 501
    assert door.ask("DELETE", f"{AT}/default", by="root").status == 400
    assert door.ask("POST", AT, {"name": "x" * 70}, by="root").status == 400
    assert door.ask("POST", AT, {"name": "team-d", "default_artifact_root": "s3://x"}, by="root").status == 501


def test_a_token_for_one_workspace_is_worth_nothing_elsewhere(door: Door) -> None:
    scope = Grant(role="admin", project="team-a")
    door.keys["narrow"] = door.site.db.write(lambda tx: tokens.create(tx, door.site, "root", scope=scope)[1])
    search = f"{API}/experiments/search?max_results=1"

    assert door.ask("GET", search, by="narrow", inside="team-a").status == 200
    assert door.ask("GET", search, by="narrow", inside="team-b").status == 404
    assert door.ask("GET", search, by="narrow").status == 403
    assert door.ask("POST", AT, {"name": "team-c"}, by="narrow").status == 403


@pytest.mark.parametrize(
    ("header", "path", "status"),
    [
        ("team-a", "/workspaces/team-b/runs", 400),
        ("team-a", "/workspaces/team-a/runs", 200),
        ("default", "/workspaces/team-a/runs", 400),
        ("", "/workspaces/default/runs", 200),
        ("", "/workspaces/churn/runs", 200),
        ("", "/workspaces/team%2Da/runs", 400),
        ("", "/workspaces/team-a%2Fruns", 400),
        ("", "/workspaces/TEAM-A/runs", 400),
        ("", "/workspaces/../team-a/runs", 400),
        ("", "/workspaces/team-a%00/runs", 400),
        ("", f"/workspaces/{'a' * 300}/runs", 400),
        ("", "/workspaces/team-a/workspaces/team-b/runs", 404),
        ("", "/workspaces/team-a/login", 404),
        ("", "/workspaces/team-a//runs", 404),
        ("..", "/runs", 400),
        ("team-a/../team-b", "/runs", 400),
        ("team-a\x00", "/runs", 400),
        ("TEAM-A", "/runs", 400),
        ("a" * 300, "/runs", 400),
        ("t\xe9am", "/runs", 400),
        (" team-a ", "/runs", 200),
    ],
)
def test_nobody_is_in_doubt_which_workspace_is_meant(door: Door, header: str, path: str, status: int) -> None:
    answer = door.ask("GET", path, by="root", inside=header, accept="text/html")

    assert answer.status == status, answer.body[:300]


def test_a_header_that_came_twice_means_nothing(door: Door) -> None:
    twice = [("x-mlflow-workspace", "team-a"), ("x-mlflow-workspace", "team-b")]

    assert door.ask("GET", "/runs", by="root", headers=twice).status == 400


def test_every_link_of_a_workspaces_pages_stays_inside(door: Door) -> None:
    run = door.ask("POST", f"{API}/runs/create", {"experiment_id": "0"}, by="ann", inside="team-a").json()
    name = run["run"]["info"]["run_id"]
    shared = ("/static/", "/logout", "/workspaces")
    for path in ("/", "/runs", f"/runs/{name}", "/models", "/traces", "/endpoints", "/releases", "/alerts", "/ledger"):
        page = door.ask("GET", f"/workspaces/team-a{path}", by="ann", accept="text/html")
        assert page.status == 200, path
        links = re.findall(r'(?:href|src|action|data-live)="(/[^"]*)"', page.body.decode())
        assert links
        assert [link for link in links if not link.startswith(("/workspaces/team-a/", *shared))] == []
    assert b"http://127.0.0.1:8470/workspaces/team-a" in door.ask("GET", "/workspaces/team-a/traces", by="ann").body


def test_the_page_of_workspaces_shows_each_what_is_his(door: Door) -> None:
    door.ask("POST", f"{API}/runs/create", {"experiment_id": "0"}, by="ann", inside="team-a")
    door.changed(lambda tx: workspace.set_quota(tx, door.site, "team-a", Quota(runs_max=1)))
    door.asked._runner.run(door.asked.app.write_usage())

    seen = {by: door.ask("GET", "/workspaces", by=by, accept="text/html") for by in ("root", "ann", "eve")}

    assert {one.status for one in seen.values()} == {200}
    assert b"1 of 1" in seen["root"].body
    assert b"team-b" in seen["root"].body
    assert b"Who used what" in seen["root"].body
    assert b"team-b" not in seen["ann"].body
    assert b"Who used what" not in seen["ann"].body
    assert b"team-a" not in seen["eve"].body
    assert b"no role in any workspace" in seen["eve"].body
    assert door.ask("GET", "/workspaces/team-a/workspaces", by="ann").status == 404
    assert b"details class" not in door.ask("GET", "/static/nothing.css", accept="text/html").body
    assert b'href="/workspaces/team-a/"' in door.ask("GET", "/", by="root", accept="text/html").body


def test_archived_is_closed_and_restored_is_as_it_was(door: Door) -> None:
    door.ask("POST", f"{API}/experiments/create", {"name": "kept"}, by="ann", inside="team-a")
    door.changed(lambda tx: workspace.move(tx, door.site, "team-a", ARCHIVED))

    told = door.ask("GET", f"{API}/experiments/get-by-name?experiment_name=kept", by="ann", inside="team-a")
    assert told.status == 403
    assert "archived" in told.json()["message"]
    assert door.ask("GET", "/runs", by="bob", inside="team-a").status == 404
    door.asked._runner.run(door.asked.app.tend())
    assert door.asked.app.openings.ids() == []
    door.changed(lambda tx: workspace.move(tx, door.site, "team-a", OPEN))
    again = door.ask("GET", f"{API}/experiments/get-by-name?experiment_name=kept", by="ann", inside="team-a")
    assert again.status == 200


def test_a_broken_folder_is_that_workspaces_trouble_alone(door: Door) -> None:
    folder = door.site.hidden / "workspaces" / "team-a" / ".ropewalk"
    folder.mkdir(parents=True)
    (folder / "ropewalk.db").write_bytes(b"this is no database" * 100)

    broken = door.ask("GET", f"{API}/experiments/search?max_results=1", by="ann", inside="team-a")

    assert (broken.status, broken.headers["retry-after"]) == (503, "1")
    assert broken.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
    assert door.ask("GET", f"{API}/experiments/search?max_results=1", by="bob", inside="team-b").status == 200
    assert door.ask("GET", "/runs", by="root").status == 200
    (folder / "ropewalk.db").unlink()
    door.site.clock.advance(3)
    assert door.ask("GET", f"{API}/experiments/search?max_results=1", by="ann", inside="team-a").status == 200


def test_a_bounded_number_is_open_and_what_rests_is_closed(site: Site, clock: SetClock) -> None:
    door = Door(site)
    door.asked.app.openings._open_max = 1
    try:
        for name in ("team-a", "team-b", "team-a"):
            assert door.ask("POST", f"{API}/runs/create", {"experiment_id": "0"}, inside=name).status == 200
            assert len(door.asked.app.openings.ids()) == 1
        clock.advance(1000)
        door.asked._runner.run(door.asked.app.tend())
        assert door.asked.app.openings.ids() == []
        assert (
            len(door.ask("POST", f"{API}/runs/search", {"experiment_ids": ["0"]}, inside="team-a").json()["runs"]) == 2
        )
    finally:
        door.close()


def test_a_quota_is_reached_exactly_and_reading_and_deleting_go_on(local: Door) -> None:
    quota = Quota(runs_max=2, points_max=3, bytes_max=100)
    local.changed(lambda tx: workspace.set_quota(tx, local.site, "team-a", quota))

    def ask(path: str, body: Any, method: str = "POST") -> Any:
        return local.ask(method, path, body, inside="team-a")

    runs = [ask(f"{API}/runs/create", {"experiment_id": "0"}) for _ in range(3)]
    assert [one.status for one in runs] == [200, 200, 507]
    assert runs[2].json()["error_code"] == "RESOURCE_EXHAUSTED"
    info = runs[0].json()["run"]["info"]
    points = [{"key": "a", "value": 1.0, "timestamp": 1, "step": step} for step in range(3)]
    batch = {"run_id": info["run_id"], "metrics": points}
    assert ask(f"{API}/runs/log-batch", {**batch, "metrics": points * 2}).status == 507
    assert ask(f"{API}/runs/log-batch", batch).status == 200
    assert ask(f"{API}/runs/log-metric", {"run_id": info["run_id"], **points[0], "step": 9}).status == 507
    place = re.sub(r"^mlflow-artifacts:/*", "", info["artifact_uri"])
    assert ask(f"{FILES}/{place}/a", b"x" * 60, "PUT").status == 200
    assert ask(f"{FILES}/{place}/b", b"x" * 60, "PUT").status == 507
    assert ask(f"{FILES}/{place}/b", b"", "GET").status == 404
    assert ask(f"{FILES}/{place}/a", b"", "GET").status == 200
    assert ask(f"{FILES}/{place}/a", b"", "DELETE").status == 200
    assert ask(f"{API}/runs/delete", {"run_id": info["run_id"]}).status == 200
    local.site.clock.advance(2)
    assert ask(f"{FILES}/{place}/b", b"x" * 60, "PUT").status == 200
    assert ask(f"{API}/runs/create", {"experiment_id": "0"}).status == 200
    assert ask(f"{API}/runs/restore", {"run_id": info["run_id"]}).status == 507
    assert local.ask("POST", f"{API}/runs/create", {"experiment_id": "0"}).status == 200


def test_a_file_whose_length_is_not_said_ends_at_the_quotas_edge(local: Door) -> None:
    local.changed(lambda tx: workspace.set_quota(tx, local.site, "team-a", Quota(bytes_max=100)))

    answer = local.ask("PUT", f"{FILES}/0/x/a", b"x" * 300, inside="team-a", content_length="")

    assert answer.status == 507, answer.body
    assert local.ask("GET", f"{FILES}/0/x/a", inside="team-a").status == 404


def test_a_minute_is_full_for_one_workspace_alone(local: Door) -> None:
    local.changed(lambda tx: workspace.set_quota(tx, local.site, "team-a", Quota(requests_max=3)))
    path = f"{API}/experiments/search?max_results=1"

    answers = [local.ask("GET", path, inside="team-a") for _ in range(4)]

    assert [one.status for one in answers] == [200, 200, 200, 429]
    assert int(answers[3].headers["retry-after"]) == 20
    assert answers[3].json()["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert local.ask("GET", path, inside="team-b").status == 200
    assert local.ask("GET", path).status == 200
    local.site.clock.advance(20)
    assert local.ask("GET", path, inside="team-a").status == 200


def test_usage_is_counted_by_workspace_and_user(door: Door) -> None:
    door.ask("POST", f"{API}/runs/create", {"experiment_id": "0"}, by="ann", inside="team-a")
    door.ask("GET", "/runs", by="ann", inside="team-a")
    door.ask("GET", "/runs", by="bob", inside="team-a")
    door.ask("GET", "/runs")
    door.asked._runner.run(door.asked.app.write_usage())

    told = {(one["workspace"], one["user"]): one for one in door.ask("GET", "/api/v1/usage", by="root").json()}
    mine = told["team-a", "ann"]
    assert (mine["requests"], mine["refused"], mine["runs"]) == (2, 0, 1)
    assert mine["bytes_in"] == len(b'{"experiment_id": "0"}')
    assert mine["bytes_out"] > 1000
    assert ("team-a", "bob") not in told
    assert told["default", "(nobody)"]["refused"] == 1
    assert told["default", "bob"]["refused"] == 1
    assert {one["user"] for one in door.ask("GET", "/api/v1/usage", by="ann").json()} <= {"ann"}
    assert door.ask("GET", "/api/v1/usage?workspace=team-b", by="ann").status == 404
    held = {one["name"]: one["held"] for one in door.ask("GET", "/api/v1/workspaces", by="root").json()}
    assert held["team-a"]["runs"] == 1
    assert held["team-b"] is None


def test_who_lost_his_role_is_gone_within_the_second(door: Door) -> None:
    from ropewalk.access import users

    path = f"{API}/experiments/search?max_results=1"
    assert door.ask("GET", path, by="ann", inside="team-a").status == 200
    door.changed(lambda tx: users.revoke(tx, door.site, "ann", Grant(role="developer", project="team-a")))
    assert door.ask("GET", path, by="ann", inside="team-a").status == 404


def test_a_host_that_takes_a_workspaces_name_does_not_open_it(site: Site) -> None:
    door = Door(site)
    door.close()
    site.db.write(lambda tx: tx.run("workspaces.roles_rename", project="x", old="y"))
    asked = Asked(site)
    found = workspace.Workspace(
        id="1", name="churn", description="", state=OPEN, folder="workspaces/churn", own=1, created_us=0, changed_us=0
    )
    try:
        with pytest.raises(Exception, match="own project has the name"):
            asked.app._open(found)
    finally:
        asked._runner.run(asked.app.close())
        asked.close()


def test_each_workspace_signs_with_a_key_of_its_own(door: Door) -> None:
    door.ask("POST", f"{API}/runs/create", {"experiment_id": "0"}, by="ann", inside="team-a")
    root = door.site.hidden / "workspaces" / "team-a"

    assert Signer.create(root / ".ropewalk" / "keys").public != door.site.signer.public


def test_what_was_deleted_is_served_no_more(local: Door) -> None:
    local.ask("GET", "/runs", inside="team-a")
    local.changed(lambda tx: workspace.move(tx, local.site, "team-a", DELETED))

    assert local.ask("GET", "/runs", inside="team-a").status == 404
    local.asked._runner.run(local.asked.app.tend())
    assert local.asked.app.openings.ids() == []
