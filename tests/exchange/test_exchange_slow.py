"""A source that answers slowly keeps nobody from writing."""

from __future__ import annotations

import math
from pathlib import Path

from ropewalk.exchange.arrive import Arrival
from ropewalk.exchange.folder import FolderSource
from ropewalk.house import open_house
from ropewalk.runs import series

RUN = "0123456789abcdef0123456789abcdef"


def test_others_write_while_a_run_is_being_read(tmp_path):
    home = tmp_path / "mlruns" / "5" / RUN
    (home / "metrics").mkdir(parents=True)
    (home / "artifacts").mkdir()
    (home.parent / "meta.yaml").write_text("experiment_id: '5'\nname: a\nlifecycle_stage: active\n")
    (home / "meta.yaml").write_text(f"run_id: {RUN}\nrun_name: r\nstatus: 3\nstart_time: 1\nend_time: 2\n")
    (home / "metrics" / "m").write_text("1 0.5 0\n2 nan -3\n3 -inf 9\n")
    (tmp_path / "ropewalk.toml").write_text('name = "lab"\n')

    with open_house(tmp_path) as house:
        site = house.site

        class Slow(FolderSource):
            def points(self, run):
                for point in super().points(run):
                    site.db.submit(lambda _tx: None).result(5)  # somebody else's write
                    yield point

        told = Arrival(site, Slow(Path(tmp_path / "mlruns")), dry=False, on_step=lambda _what: None).run()

        assert (told.refused, told.differing, told.moved["points"]) == ({}, [], 3)
        with site.db.read() as rows:
            found, _ = series.history(rows, RUN, "m")
    assert [(at_ms, step) for _, at_ms, step in found] == [(1, 0), (2, -3), (3, 9)]
    assert found[0][0] == 0.5
    assert math.isnan(found[1][0])
    assert found[2][0] == -math.inf
