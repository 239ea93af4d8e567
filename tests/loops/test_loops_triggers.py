"""Triggers: events, files that arrive and values that change start a schedule, each once."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from ropewalk.schedules.fire import DONE, Fire
from ropewalk.site import Site
from ropewalk.store.sqlitefile import SqliteFile
from ropewalk.testing.fakes import SetClock
from schedules.clockwork import Works, spec


def test_an_event_that_it_waits_for_starts_it_once_and_its_own_never(site: Site, clock: SetClock) -> None:
    alias = spec(event="model_version_alias.created", match={"alias": "champion"})
    works = Works(site, [alias])
    site.db.write(
        lambda tx: site.announce(tx, "model_version_alias.created", "model:m@champion", {"alias": "champion"})
    )
    works.turn()
    assert works.all() == []  # it was written before anybody waited for it

    for word in ("champion", "other"):
        body = {"alias": word, "name": "m"}
        site.db.write(lambda tx, body=body: site.announce(tx, "model_version_alias.created", "model:m", body))
    works.turn()
    works.turn()

    (one,) = works.all()
    assert (one.cause, one.state) == ("event", DONE)
    assert json.loads(one.told)["event"]["name"] == "m"


def test_an_event_of_a_run_that_it_started_itself_does_not_start_it_again(site: Site, clock: SetClock) -> None:
    from ropewalk.schedules import fire as fires

    def start(fire: Fire, halt: threading.Event) -> str:
        site.db.write(lambda tx: fires.attach(tx, site, fire.id, fire.fence, f"r{fire.due_us}"))
        site.db.write(lambda tx: site.announce(tx, "run.finished", f"run:r{fire.due_us}", {"pipeline": "p"}))
        return "run"

    works = Works(site, [spec(event="run.finished")], start)
    works.turn()
    site.db.write(lambda tx: site.announce(tx, "run.finished", "run:of-somebody", {"pipeline": "p"}))
    for _ in range(4):
        works.turn()

    assert works.states() == [("event", DONE)]


def test_files_that_arrive_whole_start_it_with_their_names(site: Site, clock: SetClock) -> None:
    works = Works(site, [spec(files=("incoming/*.csv",))])
    (site.root / "incoming").mkdir()
    (site.root / "incoming" / "old.csv").write_text("1")

    def look() -> None:
        clock.advance(3)
        works.turn()

    look()
    look()
    assert works.all() == []  # what was there before anybody looked is no arrival
    (site.root / "incoming" / "new.csv").write_text("1")
    look()
    (site.root / "incoming" / "new.csv").write_text("1,2")
    look()
    assert works.all() == []  # it is still being written
    look()
    look()

    (one,) = works.all()
    assert (one.cause, one.state, one.arguments()) == ("files", DONE, {"files": ["incoming/new.csv"]})


def test_a_value_that_changes_starts_it_with_the_value(site: Site, clock: SetClock, tmp_path: Path) -> None:
    orders = SqliteFile(site.root / "orders.db")
    orders.change([("create table orders (id integer)", {})])
    works = Works(site, [spec(query="select max(id) from orders", database="orders.db")])
    for number in (1, 2, 2):
        works.turn()
        orders.change([("insert into orders values (:id)", {"id": number})])
        clock.advance(11)
    works.turn()

    assert [(one.cause, one.arguments()) for one in works.all()] == [
        ("query", {"watermark": 1}),
        ("query", {"watermark": 2}),
    ]
