"""Whatever clients do to experiments and runs, in any order, the rows are what a plain dictionary would be."""

import math
import os
from copy import deepcopy

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ropewalk.errors import RopewalkError
from ropewalk.evidence.claims import Claims
from ropewalk.evidence.logs import Logs
from ropewalk.ledger.chain import entries
from ropewalk.runs import batch, experiments, remote, series
from ropewalk.runs.view import status_of, views
from runs.stores import STORES, site_on

WHOLE = "ROPEWALK_KILLS" in os.environ  # as `make fault` says
KEYS = st.sampled_from(("a", "b/c", "mlflow.note.content"))
TEXTS = st.sampled_from(("", "x", "ü", "y" * 300))
POINTS = st.tuples(
    st.sampled_from(("loss", "acc")),
    st.sampled_from((0.5, -1.0, 0.0, math.inf, math.nan)),
    st.integers(0, 1),
    st.integers(0, 1),
)


def plain(value):
    return "nan" if math.isnan(value) else value


class Tracking(RuleBasedStateMachine):
    site = None
    homes = Bundle("homes")
    runs = Bundle("runs")

    def __init__(self):
        super().__init__()
        self.experiments, self.told = {}, {}

    def write(self, work):
        """Return what a work gives, or the code of its error; the clock moves on."""
        self.site.clock.advance(0.001)
        try:
            return self.site.db.write(lambda tx: work(tx, self.site))
        except RopewalkError as error:
            return error.code

    def active(self, run):
        return self.told[run]["stage"] == "active"

    @rule(target=homes)
    def make_an_experiment(self):
        name = f"e{self.site.clock.now_us()}"
        made = self.write(lambda tx, site: experiments.create(tx, site, name))
        self.experiments[made.id] = {"name": name, "state": "active", "tags": {}}
        return made.id

    @rule(home=homes, again=st.booleans())
    def rename_an_experiment(self, home, again):
        known = self.experiments[home]
        name = known["name"] if again else known["name"] + "'"
        said = self.write(lambda tx, site: experiments.rename(tx, site, home, name))
        if known["state"] == "active":
            known["name"] = name
        else:
            assert said == "experiment-state"

    @rule(home=homes)
    def delete_an_experiment(self, home):
        said = self.write(lambda tx, site: experiments.delete(tx, site, home))
        assert (said == "experiment-not-found") is (self.experiments[home]["state"] == "deleted")
        self.experiments[home]["state"] = "deleted"
        for run in self.of(home) if said != "experiment-not-found" else ():
            run["stage"] = "deleted"

    @rule(home=homes)
    def restore_an_experiment(self, home):
        said = self.write(lambda tx, site: experiments.restore(tx, site, home))
        assert (said == "experiment-not-found") is (self.experiments[home]["state"] == "active")
        self.experiments[home]["state"] = "active"
        for run in self.of(home) if said != "experiment-not-found" else ():
            run["stage"] = "active"

    @rule(home=homes, key=KEYS, value=TEXTS)
    def tag_an_experiment(self, home, key, value):
        said = self.write(lambda tx, site: experiments.set_tag(tx, site, home, key, value))
        if self.experiments[home]["state"] == "active":
            self.experiments[home]["tags"][key] = value
        else:
            assert said == "experiment-deleted"

    def of(self, home):
        return [run for run in self.told.values() if run["home"] == home]

    @precondition(lambda self: any(one["state"] == "active" for one in self.experiments.values()))
    @rule(target=runs, home=homes, tags=st.dictionaries(KEYS, TEXTS), start=st.integers(0, 9))
    def begin_a_run(self, home, tags, start):
        said = self.write(
            lambda tx, site: remote.create(tx, site, experiment=home, name="r", start_ms=start, tags=tags)
        )
        if self.experiments[home]["state"] == "deleted":
            assert said == "experiment-deleted"
            return ""
        self.told[said.id] = {
            "home": home, "stage": "active", "status": "RUNNING", "start": start, "end": None, "name": "r",
            "tags": {**tags, "mlflow.runName": "r"}, "params": {}, "points": {},
        }  # fmt: skip
        return said.id

    @rule(run=runs, points=st.lists(POINTS, min_size=1, max_size=12), several=st.booleans())
    def log_metrics(self, run, points, several):
        if not run:
            return
        work = batch.log_batch if several else None
        if work is not None:
            said = self.write(lambda tx, site: work(tx, site, run, metrics=points))
        else:
            points = points[:1]
            said = self.write(lambda tx, site: batch.log_metrics(tx, site, run, points))
        if not self.active(run):
            assert said == "run-deleted"
            return
        for key, value, at_ms, step in points:
            self.told[run]["points"].setdefault(key, {})[at_ms, step, plain(value)] = value

    @rule(run=runs, params=st.dictionaries(KEYS, TEXTS, min_size=1), metric=POINTS)
    def log_params_and_a_metric(self, run, params, metric):
        if not run:
            return
        known = self.told[run]
        said = self.write(
            lambda tx, site: batch.log_batch(tx, site, run, metrics=[metric], params=list(params.items()))
        )
        if not self.active(run):
            assert said == "run-deleted"
        elif any(known["params"].get(key, value) != value for key, value in params.items()):
            assert said == "log-value-changed"
        else:
            known["params"] |= params
            key, value, at_ms, step = metric
            known["points"].setdefault(key, {})[at_ms, step, plain(value)] = value

    @rule(run=runs, key=KEYS, value=TEXTS)
    def set_a_tag(self, run, key, value):
        if run and self.write(lambda tx, site: batch.set_tags(tx, site, run, [(key, value)])) != "run-deleted":
            assert self.active(run)
            self.told[run]["tags"][key] = value

    @rule(run=runs, key=KEYS)
    def take_a_tag_away(self, run, key):
        if not run:
            return
        said = self.write(lambda tx, site: batch.delete_tag(tx, site, run, key))
        if self.active(run):
            assert (said == "tag-not-found") is (key not in self.told[run]["tags"])
            self.told[run]["tags"].pop(key, None)

    @rule(run=runs, status=st.sampled_from(("FINISHED", "FAILED", "KILLED", "RUNNING")), end=st.integers(0, 9))
    def move_a_run(self, run, status, end):
        if (
            run
            and self.write(lambda tx, site: remote.update(tx, site, run, status=status, end_ms=end)) != "run-deleted"
        ):
            self.told[run] |= {"status": status, "end": end}

    @rule(run=runs, name=st.sampled_from(("one", "two")))
    def rename_a_run(self, run, name):
        if run and self.write(lambda tx, site: remote.update(tx, site, run, name=name)) != "run-deleted":
            self.told[run]["name"] = name
            self.told[run]["tags"]["mlflow.runName"] = name

    @rule(run=runs, back=st.booleans())
    def delete_or_restore_a_run(self, run, back):
        if run:
            self.write(lambda tx, site: (remote.restore if back else remote.delete)(tx, site, run))
            self.told[run]["stage"] = "active" if back else "deleted"

    @invariant()
    def rows_are_what_was_told(self):
        with self.site.db.read() as rows:
            for number, known in self.experiments.items():
                found = experiments.get(rows, number)
                assert (found.name, found.state) == (known["name"], known["state"])
                assert experiments.tags_of(rows, number) == known["tags"]
            for run_id, known in self.told.items():
                self.same_run(rows, run_id, deepcopy(known))

    def same_run(self, rows, run_id, known):
        from ropewalk.runs import run as room

        (seen,) = views(rows, [room.get(rows, run_id)])
        run = seen.run
        assert (run.experiment, run.name, run.started_us, run.ended_us) == (
            known["home"],
            known["name"],
            known["start"] * 1000,
            None if known["end"] is None else known["end"] * 1000,
        )
        assert (status_of(run.state), run.deleted_us is None) == (known["status"], known["stage"] == "active")
        assert dict(seen.tags) == known["tags"]
        assert dict(seen.params) == known["params"]
        assert {key for key, *_ in seen.metrics} == known["points"].keys()
        for key, value, at_ms, step in seen.metrics:
            points = known["points"][key]
            newest = max(points, key=lambda one: (one[1], one[0], 0 if one[2] == "nan" else one[2]))
            assert (step, at_ms) == (newest[1], newest[0])
            assert (0 if math.isnan(value) else value) == (0 if newest[2] == "nan" else newest[2])
            found, _ = series.history(rows, run_id, key)
            assert sorted(map(str, ((at, at_step, plain(said)) for said, at, at_step in found))) == sorted(
                map(str, points)
            )

    def teardown(self):
        """Compare with what the ledger heard; what was logged after an end counts as noted later."""
        claims, logs = Claims(), Logs()
        with self.site.db.read() as rows:
            for entry in entries(rows):
                claims.hear(entry)
                logs.hear(entry)
            assert [*claims.differences(rows), *logs.differences(rows)] == []


@pytest.mark.fault
@pytest.mark.parametrize("kind", STORES)
def test_rows_are_what_a_dictionary_would_be(kind, tmp_path):
    with site_on(kind, tmp_path) as site:
        machine = type("Here", (Tracking,), {"site": site})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=200 if WHOLE else 25 if kind == "sqlite" else 10,
                stateful_step_count=30 if WHOLE else 25,
                deadline=None,
            ),
        )
