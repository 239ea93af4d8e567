"""Runs leave the table as a file, and a browser remembers which columns of it were shown."""

from __future__ import annotations

import dataclasses

from console.pressing import Pressed
from console.seeded_runs import a_run
from ropewalk.runs import experiments
from ropewalk.runs.states import Run
from ropewalk.site import Site


def test_runs_leave_as_a_table_of_every_run_that_fits(site: Site, one: Pressed) -> None:
    def work(tx) -> None:
        home = experiments.get(tx, 0)
        for number in range(1203):
            run = dataclasses.replace(
                a_run(number + 1, home, "finished"), name=f"run {number}", experiment=0, deleted_us=None
            )
            row = {field: getattr(run, field) for field in Run.__slots__ if field != "number"}
            own = {"run": tx.value("runs.insert", **row), "node": "", "experiment": 0, "started_us": run.started_us}
            tx.run("runs.param", **own, key="depth", value="=1+1" if number == 5 else str(-number))
            tx.run("runs.latest", **own, key="auc", step=1, at_ms=1, value=number / 7, is_nan=0)

    site.db.write(work)
    whole = one.look("/runs.csv?experiment=0&show=metrics.auc&show=params.depth&sort=metrics.auc&up=1")
    lines = whole.body.decode().splitlines()
    some = one.look("/runs.csv?filter=metrics.auc%20%3E%20171&every=1").body.decode().splitlines()

    assert whole.headers["content-disposition"].startswith("attachment")
    assert lines[0].endswith("commit,metrics.auc,params.depth")
    assert len(lines) == 1204
    assert [float(line.split(",")[-2]) for line in lines[1:]] == [number / 7 for number in range(1203)]
    assert lines[6].endswith(",'=1+1")
    assert lines[7].endswith(",-6")
    assert len(some) == 1203 - 7 * 171
    assert one.look("/runs.csv?filter=nonsense").status == 400


def test_columns_that_the_browser_remembers_are_shown_and_stand_in_the_address(site: Site, one: Pressed) -> None:
    kept = "%7B%220%22%3A%5B%22params.depth%22%2C%22nonsense%22%5D%7D"
    page = one.look("/runs?experiment=0", cookie=f"ropewalk-columns={kept}").body.decode()
    other = one.look("/runs", cookie=f"ropewalk-columns={kept}").body.decode()

    assert 'data-address="/runs?experiment=0&amp;show=params.depth"' in page
    assert "show=params.depth" not in other
    for wrong in ("x", "%5B1%5D", "%7B%220%22%3A1%7D", "null"):
        assert one.look("/runs?experiment=0", cookie=f"ropewalk-columns={wrong}").status == 200
