"""What a workspace may hold and by which name it answers, where it changes while it is open."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.asked import HOST
from api.doorway import Door
from console.pressing import Pressed
from ropewalk.errors import Unavailable
from ropewalk.site import Site
from ropewalk.workspaces import workspace
from ropewalk.workspaces.quota import Quota
from ropewalk.workspaces.workspace import DELETED

API = "/api/2.0/mlflow"
PARTS = "/api/2.0/mlflow-artifacts/mpu"


@pytest.fixture
def door(site: Site) -> Iterator[Door]:
    made = Door(site)
    yield made
    made.close()


def ask(door: Door, path: str, body: Any, method: str = "POST") -> Any:
    return door.ask(method, path, body, inside="team-a")


def limit(door: Door, quota: Quota) -> None:
    door.changed(lambda tx: workspace.set_quota(tx, door.site, "team-a", quota))


def make_run(door: Door, experiment: str = "0") -> str:
    return ask(door, f"{API}/runs/create", {"experiment_id": experiment}).json()["run"]["info"]["run_id"]


def test_pages_of_a_renamed_workspace_lead_to_its_new_name(door: Door) -> None:
    door.ask("GET", "/runs", inside="team-a", accept="text/html")
    door.changed(lambda tx: workspace.rename(tx, door.site, "team-a", "team-x"))
    door.changed(lambda tx: workspace.add(tx, door.site, "team-a", host="churn"))

    page = door.ask("GET", "/workspaces/team-x/runs", accept="text/html").body.decode()

    # Those are where one goes to others; everything else on the page is the workspace's own.
    elsewhere = {"/workspaces/team-a/", "/workspaces/team-b/"}
    links = set(re.findall(r'(?:href|src|action|data-live)="(/workspaces/[^"]+)"', page)) - elsewhere
    assert links
    assert {link.split("/")[2] for link in links} == {"team-x"}


def test_who_uses_a_workspace_by_its_old_name_is_let_finish(door: Door) -> None:
    app = door.asked.app

    async def both() -> None:
        old = app.directory.find("team-a")
        assert old is not None
        async with app.openings.use(old) as opened:
            door.changed(lambda tx: workspace.rename(tx, door.site, "team-a", "team-x"))
            await asyncio.to_thread(app.directory.look)
            new = app.directory.find("team-x")
            assert new is not None
            with pytest.raises(Unavailable, match="renamed"):
                async with app.openings.use(new):
                    pass
            opened.site.db.version()
        async with app.openings.use(new) as opened:
            assert opened.found.name == "team-x"
            async with app.openings.use(old) as same:  # let in before the list was read anew
                assert same is opened

    door.site.clock.advance(1)
    door.ask("GET", "/runs")
    door.asked._runner.run(both())


def test_no_more_are_open_than_may_be_when_many_are_asked_for_at_once(door: Door) -> None:
    app, most = door.asked.app, []
    app.openings._open_max = 2
    for number in range(4):
        door.changed(lambda tx, number=number: workspace.add(tx, door.site, f"w-{number}", host="churn"))

    async def use(number: int) -> None:
        found = app.directory.find(f"w-{number}")
        assert found is not None
        async with app.openings.use(found):
            most.append(len(app.openings.ids()))

    async def all_at_once() -> list[Any]:
        await asyncio.to_thread(app.directory.look)
        return await asyncio.gather(*map(use, range(4)), return_exceptions=True)

    told = door.asked._runner.run(all_at_once())

    assert max(most) <= 2
    assert {type(one) for one in told} == {type(None), Unavailable}
    assert app.openings._opening == 0


def test_nothing_stays_open_of_a_workspace_whose_folder_is_gone(door: Door) -> None:
    make_run(door)
    shutil.rmtree(door.site.hidden / "workspaces" / "team-a")
    door.changed(lambda tx: workspace.move(tx, door.site, "team-a", DELETED))

    door.asked._runner.run(door.asked.app.tend())

    held = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    assert [path for path in held if "/workspaces/team-a/" in path and str(door.site.hidden) in path] == []


def test_a_file_in_parts_ends_at_the_quotas_edge_however_slowly_they_come(door: Door) -> None:
    limit(door, Quota(bytes_max=100))
    upload = ask(door, f"{PARTS}/create/0/x", {"path": "a.bin", "num_parts": 2}).json()["upload_id"]
    got = ask(door, f"{PARTS}/part/{upload}/1", b"1" * 60, "PUT")
    assert got.status == 200
    door.site.clock.advance(6)
    door.asked._runner.run(door.asked.app.tend())

    assert ask(door, f"{PARTS}/part/{upload}/2", b"2" * 60, "PUT").status == 507

    second = ask(door, f"{PARTS}/part/{upload}/2", b"2" * 30, "PUT")
    named = [{"part_number": 1, "etag": got.headers["etag"]}, {"part_number": 2, "etag": second.headers["etag"]}]
    whole = {"path": "a.bin", "upload_id": upload, "parts": named}
    assert ask(door, f"{PARTS}/complete/0/x", whole).status == 200
    door.site.clock.advance(6)
    assert ask(door, "/api/2.0/mlflow-artifacts/artifacts/0/x/b", b"3" * 10, "PUT").status == 200
    assert ask(door, "/api/2.0/mlflow-artifacts/artifacts/0/x/c", b"4", "PUT").status == 507


def test_runs_that_are_restored_fit_the_quota_whoever_restores_them(door: Door) -> None:
    made = ask(door, f"{API}/experiments/create", {"name": "e"}).json()["experiment_id"]
    first = make_run(door, made)
    limit(door, Quota(runs_max=1))
    page = Pressed(asked=door.asked)
    for away, back in (
        (lambda: ask(door, f"{API}/runs/delete", {"run_id": first}), f"/runs/{first}/do/restore"),
        (lambda: ask(door, f"{API}/experiments/delete", {"experiment_id": made}), f"/experiments/{made}/do/restore"),
    ):
        assert away().status == 200
        door.site.clock.advance(2)
        other = make_run(door)
        assert page.press(f"/workspaces/team-a{back}").status == 507
        assert page.press("/workspaces/team-a/runs/do/restore", run=first, sure="1").status == 507
        if "experiments" in back:
            assert ask(door, f"{API}/experiments/restore", {"experiment_id": made}).status == 507
        assert ask(door, f"{API}/runs/delete", {"run_id": other}).status == 200
        assert page.press(f"/workspaces/team-a{back}").status == 303
        assert ask(door, f"{API}/runs/create", {"experiment_id": "0"}).status == 507


def test_points_that_were_there_before_they_were_limited_count_at_once(door: Door) -> None:
    run = make_run(door)

    def log(first: int, count: int) -> int:
        points = [{"key": "a", "value": 1.0, "timestamp": 1, "step": first + step} for step in range(count)]
        return ask(door, f"{API}/runs/log-batch", {"run_id": run, "metrics": points}).status

    assert log(0, 50) == 200
    door.asked._runner.run(door.asked.app.tend())
    limit(door, Quota(points_max=60))

    assert log(100, 20) == 507
    assert log(100, 10) == 200


def test_parts_go_into_their_workspace_without_its_header(door: Door) -> None:
    for inside in ("team-a", ""):
        begun = door.ask("POST", f"{PARTS}/create/0/x", {"path": "a.bin", "num_parts": 1}, inside=inside).json()
        (credential,) = begun["credentials"]
        path = credential["url"].removeprefix(f"http://{HOST}")
        got = door.ask("PUT", path, inside.encode() or b"own")
        assert got.status == 200, (path, got.body)
        parts = [{"part_number": 1, "etag": got.headers["etag"]}]
        whole = {"path": "a.bin", "upload_id": begun["upload_id"], "parts": parts}
        assert door.ask("POST", f"{PARTS}/complete/0/x", whole, inside=inside).status == 200
        held = door.ask("GET", "/api/2.0/mlflow-artifacts/artifacts/0/x/a.bin", inside=inside)
        assert held.body == (inside.encode() or b"own")
