"""What pages gather: stays of aliases, spans in order, signatures, columns, curves, and pages at full size."""

from __future__ import annotations

from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from console.seeded_runs import METRICS, a_run, seed
from ropewalk.clock import SystemClock
from ropewalk.console import cells, curves, registry, told
from ropewalk.console.look import Wanted
from ropewalk.console.mlmodel import signature_of
from ropewalk.console.query import Asked
from ropewalk.console.thinned import marks
from ropewalk.console.traces import ordered
from ropewalk.demo.server import Server
from ropewalk.house import House, open_house
from ropewalk.models.aliases import Alias
from ropewalk.runs import experiments
from ropewalk.runs import run as runs
from ropewalk.runs.states import Run
from ropewalk.settings import Settings

MLMODEL = """artifact_path: model
signature:
  inputs: '[{"type": "double", "name": "a col", "required": true}, {"type": "string",
    "name": "it''s", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1,
    2]}}]'
  params: null
type_hint_from_example: false
"""


def move(alias: str, version: int, at_us: int, seq: int = 1) -> Alias:
    return Alias(alias=alias, seq=seq, version=version, actor="ann", at_us=at_us)


def test_an_alias_stays_until_it_moves_on_or_is_taken_away():
    moves = [move("a", 0, 30, 3), move("a", 2, 20, 2), move("b", 1, 15), move("a", 1, 10)]
    found = [(stay.alias, stay.version, stay.from_us, stay.to_us) for stay in registry.stays(moves, 100)]

    assert found == [("a", 1, 10, 20), ("a", 2, 20, 30), ("b", 1, 15, 100)]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.integers(0, 1000)), max_size=20))
def test_stays_of_one_alias_never_overlap(told_moves):
    moves = [
        move(alias, version, at_us, seq)
        for seq, (alias, version, at_us) in enumerate(sorted(told_moves, key=lambda one: one[2]))
    ]

    for alias in "ab":
        own = [stay for stay in registry.stays(list(reversed(moves)), 1000) if stay.alias == alias]
        assert all(one.to_us <= other.from_us for one, other in pairwise(own))
        assert all(stay.from_us <= stay.to_us for stay in own)


def span(name: str, parent: str | None) -> dict[str, str | None]:
    return {"span_id": name, "parent_span_id": parent}


def test_each_span_is_followed_by_those_that_it_called():
    found = ordered([span("root", None), span("a", "root"), span("b", "root"), span("a1", "a"), span("lost", "gone")])

    assert [(one["span_id"], depth) for one, depth in found] == [
        ("root", 0), ("a", 1), ("a1", 2), ("b", 1), ("lost", 0),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 8), st.none() | st.integers(0, 8)), unique_by=lambda pair: pair[0]))
def test_every_span_is_shown_once_even_when_they_call_each_other_in_circles(pairs):
    spans = [span(str(name), None if parent is None else str(parent)) for name, parent in pairs]

    assert sorted(str(one["span_id"]) for one, _ in ordered(spans)) == sorted(str(name) for name, _ in pairs)


def test_a_signature_is_read_through_folds_and_quotes():
    assert signature_of(MLMODEL) == [
        ("inputs", [{"name": "a col", "type": "double"}, {"name": "it's", "type": "string, optional"}]),
        ("outputs", [{"name": "", "type": "tensor float64 [-1, 2]"}]),
    ]


@pytest.mark.parametrize(
    "text", ["", "signature: null\n", "signature:\n  inputs: '[{'\n", "signature:\n  inputs: '{}'\n"]
)
def test_what_is_no_signature_has_no_columns(text):
    assert signature_of(text) == []


@given(st.text(alphabet="signature:\n '\"\\[]{}inputs,0"))
def test_no_text_breaks_the_reader_of_signatures(text):
    signature_of("signature:\n" + text)


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_signature_of_many_spaces_is_read_in_one_pass(quote):
    """No pattern looks for its end again from each of its letters: that would take minutes, and the whole server."""
    assert signature_of(f"signature:\n  inputs: {quote}{' ' * 1_000_000}x{quote}\n") == []


def test_a_click_on_a_head_sorts_and_the_next_one_turns():
    (head,) = cells.columns(Asked(), ["metrics.auc"])
    (again,) = cells.columns(Asked(sort="metrics.auc"), ["metrics.auc"])
    (param,) = cells.columns(Asked(), ["params.lr"])
    (took,) = cells.columns(Asked(), ["attributes.duration"])

    assert Asked.read(QueryParams(head["address"].partition("?")[2])).order_by() == ("metrics.`auc` DESC",)
    assert again["sorted"] == "descending"
    assert Asked.read(QueryParams(again["address"].partition("?")[2])).order_by() == ("metrics.`auc` ASC",)
    assert Asked.read(QueryParams(param["address"].partition("?")[2])).order_by() == ("params.`lr` ASC",)
    assert took["address"] == ""


@pytest.fixture
def run(site) -> Run:
    def work(tx):
        home = experiments.create(tx, site, "here")
        row = {field: getattr(a_run(1, home, "running"), field) for field in Run.__slots__ if field != "number"}
        tx.run("runs.insert", **row)
        return runs.get(tx, row["id"])

    return site.db.write(work)


def log(site, run: Run, key: str, values: list[float], node: str = "") -> None:
    def work(tx):
        own = {"run": run.number, "key": key, "node": node}
        series = tx.value("runs.series_insert", **own)
        points = [{"at_ms": step, "step": step, "value": value, "is_nan": 0} for step, value in enumerate(values)]
        tx.many("runs.point", [{"series": series, **point} for point in points])
        tx.run("runs.latest", **own, experiment=run.experiment, started_us=run.started_us, **points[-1])

    site.db.write(work)


def test_what_the_machine_measured_is_folded_away_and_single_points_stay_in_the_table(site, run):
    log(site, run, "loss", [3, 2, 1])
    log(site, run, "auc", [0.9])
    log(site, run, "system/cpu", [10, 20])
    with site.db.read() as rows:
        page = curves.of_run(House(site=site, settings=Settings(name="lab")), rows, run, Wanted.read(QueryParams("")))

    assert [(group["name"], group["folded"], [one["title"] for one in group["plots"]]) for group in page["groups"]] == [
        ("", False, ["loss"]),
        ("The machine meanwhile", True, ["cpu"]),
    ]


def test_many_curves_stand_in_groups_by_folder_and_the_rest_is_counted(site, run):
    for number in range(30):
        log(site, run, f"{'train' if number % 2 else 'val'}/m{number:02}", [1, 2])
    with site.db.read() as rows:
        page = curves.of_run(House(site=site, settings=Settings(name="lab")), rows, run, Wanted.read(QueryParams("")))
        narrowed = curves.of_run(
            House(site=site, settings=Settings(name="lab")), rows, run, Wanted.read(QueryParams("only=M03"))
        )

    assert [group["name"] for group in page["groups"]] == ["train", "val"]
    assert sum(len(group["plots"]) for group in page["groups"]) == curves.PLOTS_SHOWN
    assert page["more_curves"] == 30 - curves.PLOTS_SHOWN
    assert [one["title"] for one in narrowed["groups"][0]["plots"]] == ["train/m03"]
    assert narrowed["more_curves"] == 0


def test_a_thinned_history_is_kept_until_a_point_is_added(site, run):
    log(site, run, "loss", [3, 2, 1])
    with site.db.read() as rows:
        first = marks(site.db, rows, run, "loss", 10)
        again = marks(site.db, rows, run, "loss", 10)
    with site.db.read() as rows:
        series = rows.value("runs.series", run=run.number, key="loss", node="")
    site.db.write(lambda tx: tx.run("runs.point", series=series, at_ms=0, step=-5, value=9.0, is_nan=0))
    with site.db.read() as rows:
        grown = marks(site.db, rows, run, "loss", 10)

    assert again is first
    assert [mark.step for mark in grown] == [-5, 0, 1, 2]


def test_letters_that_patterns_know_mean_themselves_in_a_search_for_names(site, run):
    log(site, run, "a_b", [1, 2])
    log(site, run, "axb", [1, 2])
    log(site, run, "50%", [1, 2])
    with site.db.read() as rows:
        found = [
            [
                one["title"]
                for group in curves.of_run(
                    House(site=site, settings=Settings(name="lab")), rows, run, Wanted.read(QueryParams({"only": only}))
                )["groups"]
                for one in group["plots"]
            ]
            for only in ("A_b", "%", "\\")
        ]

    assert found == [["a_b"], ["50%"], []]


def test_a_parameter_of_several_steps_is_told_for_each(site, run):
    def work(tx):
        for node, value in (("", "1"), ("fit", "1"), ("score", "2")):
            tx.run("runs.param", run=run.number, key="depth", node=node, value=value, experiment=1, started_us=1)

    site.db.write(work)
    with site.db.read() as rows:
        assert told.named(rows, "runs.params", run) == {"depth [fit]": "1", "depth [score]": "2"}


def test_keys_are_found_by_leaps_and_none_is_left_out(site):
    seed(site, 200)
    with site.db.read() as rows:
        home = experiments.by_name(rows, "flights late")
        assert home is not None
        found = [row["key"] for row in rows.rows("console.metric_keys", experiment=home.id, count=100)]
        none = rows.rows("console.param_keys", experiment=0, count=100)

    assert found == sorted(METRICS)
    assert none == []


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
@pytest.mark.slow
def test_a_hundred_thousand_runs_are_shown_sorted_and_filtered_in_half_a_second(tmp_path):
    root = tmp_path / "lab"
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "lab"\n')
    with open_house(root) as house:
        seed(house.site, 100_000)
    addresses = (
        "/runs",
        "/runs?sort=metrics.loss",
        "/runs?sort=params.lr&up=1",
        "/runs?sort=attributes.run_name",
        "/runs?view=deleted",
        "/runs?experiment=2",
        "/runs?filter=metrics.accuracy+%3E+0.9+and+params.model+%3D+'forest'",
    )
    clock = SystemClock()
    with (
        Server(root, 0) as server,
        httpx.Client(base_url=server.url, headers={"Accept": "text/html"}, timeout=60) as web,
    ):
        slowest: dict[str, float] = {}
        for address in addresses:
            took: list[float] = []
            for _ in range(3):
                begun = clock.monotonic()
                page = web.get(address)
                took.append(clock.monotonic() - begun)
                assert page.text.count('name="run"') == 50, address
            slowest[address] = min(took)
        total = web.get("/runs").text

    assert "99,800 runs" in total
    assert {address: took for address, took in slowest.items() if took > 0.5} == {}
