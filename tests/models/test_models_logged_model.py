"""Searches for logged models find what a plain look finds, in the same order, in pages that stand while others come."""

from __future__ import annotations

import itertools
import math
import operator
from dataclasses import dataclass, field
from functools import cmp_to_key

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.models import logged
from ropewalk.models.logged import Point
from ropewalk.models.logged_search import By, Dataset, search
from ropewalk.runs import experiments
from ropewalk.runs.grammar import like
from runs.stores import STORES, site_on

NAMES = ("net", "Net", "n_t", "né", "b")
TYPES = ("", "Agent", "LLM")
VALUES = ("", "a", "A", "ab", "é")
METRICS = ("auc", "val/loss")
NUMBERS = (-1.5, 0.0, 0.5, math.inf, -math.inf, math.nan)
DATASETS = (("", ""), ("test", "d1"), ("test", "d2"))
COMPARED = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "LIKE": lambda value, wanted: like(wanted, value, fold=False),
    "ILIKE": lambda value, wanted: like(wanted, value, fold=True),
    "IN": lambda value, wanted: value in wanted,
    "NOT IN": lambda value, wanted: value not in wanted,
}
OF_NUMBERS = ("=", "!=", "<", "<=", ">", ">=")
COUNTER = itertools.count(1)


@dataclass(kw_only=True)
class Told:
    """A logged model as the model knows it."""

    id: str
    name: str
    model_type: str
    created: int
    deleted: bool
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: list[tuple[str, float, int, tuple[str, str]]] = field(default_factory=list)

    def newest(self, key, on):
        """Return the newest point's value of a metric; None when there is none."""
        mine = [one for one in self.points if one[0] == key and (on is None or measured_on(one[3], on))]
        return max(mine, key=lambda one: one[2])[1] if mine else None


def measured_on(dataset, wanted):
    return dataset[0] == wanted.name and (not wanted.digest or dataset[1] == wanted.digest)


drawn_models = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(NAMES),
            "model_type": st.sampled_from(TYPES),
            "later": st.sampled_from((0, 1, 3)),
            "deleted": st.sampled_from((False, False, True)),
            "params": st.dictionaries(st.sampled_from(("lr", "a b")), st.sampled_from(VALUES), max_size=2),
            "tags": st.dictionaries(st.just("team"), st.sampled_from(VALUES), max_size=1),
            "points": st.lists(
                st.tuples(st.sampled_from(METRICS), st.sampled_from(NUMBERS), st.sampled_from(DATASETS)), max_size=4
            ),
        }
    ),
    min_size=1,
    max_size=5,
)
texts = st.sampled_from(("=", "!=", "LIKE", "ILIKE"))
clauses = st.lists(
    st.one_of(
        st.tuples(st.just("name"), texts, st.sampled_from((*NAMES, "%", "n%", "_et"))),
        st.tuples(st.just("model_type"), texts, st.sampled_from((*TYPES, "%", "a%"))),
        st.tuples(st.just("params.`lr`"), texts, st.sampled_from((*VALUES, "%", "a%"))),
        st.tuples(st.just("params.`a b`"), st.sampled_from(("IN", "NOT IN")), st.tuples(st.sampled_from(VALUES))),
        st.tuples(st.just("tags.team"), texts, st.sampled_from((*VALUES, "_"))),
        st.tuples(
            st.sampled_from([f"metrics.`{key}`" for key in METRICS]),
            st.sampled_from(OF_NUMBERS),
            st.sampled_from((-1.5, 0, 0.5)),
        ),
        st.tuples(st.just("creation_timestamp"), st.sampled_from(OF_NUMBERS), st.integers(0, 4)),
    ),
    max_size=2,
)
on_one = st.none() | st.builds(Dataset, name=st.just("test"), digest=st.sampled_from(("", "d1", "d2")))
orders = st.lists(
    st.one_of(
        st.builds(By, name=st.sampled_from(("name", "creation_timestamp", "model_type")), descending=st.booleans()),
        st.builds(By, name=st.sampled_from([f"metrics.{key}" for key in METRICS]), descending=st.booleans(), on=on_one),
    ),
    max_size=3,
    unique_by=lambda one: one.name,
)


@pytest.fixture(scope="module", params=STORES)
def shared(request, tmp_path_factory):
    with site_on(request.param, tmp_path_factory.mktemp("shared")) as site:
        yield site


def made_of(site, home, drawn):
    """Make what was drawn in an experiment; return it as the model knows it."""
    return [_made(site, home, one) for one in drawn]


def _made(site, home, one):
    site.clock.advance(one["later"] / 1000)
    points = [(key, value, at, dataset) for at, (key, value, dataset) in enumerate(one["points"])]

    def work(tx):
        kept = logged.create(
            tx,
            site,
            experiment=home,
            root="mlflow-artifacts:/0",
            name=one["name"],
            model_type=one["model_type"],
            params=list(one["params"].items()),
            tags=list(one["tags"].items()),
        )
        said = [
            Point(
                key=key, value=value, at_ms=at, step=0, run_id="r", dataset_name=dataset[0], dataset_digest=dataset[1]
            )
            for key, value, at, dataset in points
        ]
        logged.note_metrics(tx, {kept.id: said})
        if one["deleted"]:
            logged.delete(tx, site, kept.id)
        return kept

    kept = site.db.write(work)
    more = {name: one[name] for name in ("name", "model_type", "deleted", "params", "tags")}
    return Told(id=kept.id, created=kept.created_us // 1000, points=points, **more)


def fits(one, clause, datasets):
    name, op, wanted = clause
    if name.startswith("metrics"):
        key = name.partition("`")[2].rstrip("`")
        return any(
            COMPARED[op](value, wanted)
            for found, value, _, dataset in one.points
            if found == key and (not datasets or any(measured_on(dataset, each) for each in datasets))
        )
    if name == "creation_timestamp":
        return COMPARED[op](one.created, wanted)
    if name in ("name", "model_type"):
        return COMPARED[op](getattr(one, name), wanted)
    value = one.tags.get("team") if name == "tags.team" else one.params.get(name.partition("`")[2].rstrip("`"))
    return value is not None and COMPARED[op](value, wanted)


def spoken(clause):
    name, op, wanted = clause
    if isinstance(wanted, str):
        return f"{name} {op} " + "'" + wanted.replace("'", "''") + "'"
    return f"{name} {op} " + (f"('{wanted[0]}')" if isinstance(wanted, tuple) else f"{wanted}")


def compared(first, second, by):
    """Say which of two comes first: numbers before NaN before nothing, both ways; empty texts last."""
    if by.name.startswith("metrics"):
        values = [one.newest(by.name.removeprefix("metrics."), by.on) for one in (first, second)]
        ranks = [2 if value is None else int(math.isnan(value)) for value in values]
        values = [0.0 if rank else value for rank, value in zip(ranks, values, strict=True)]
    elif by.name == "creation_timestamp":
        ranks, values = [0, 0], [first.created, second.created]
    else:
        values = [getattr(one, by.name) for one in (first, second)]
        ranks = [int(value == "") for value in values]
    if ranks[0] != ranks[1]:
        return ranks[0] - ranks[1]
    less = (values[0] > values[1]) - (values[0] < values[1])
    return -less if by.descending else less


def ordered(found, order):
    keys = list(order)
    if "creation_timestamp" not in [by.name for by in keys]:
        keys.append(By(name="creation_timestamp", descending=True))

    def first(one, other):
        for by in keys:
            said = compared(one, other, by)
            if said:
                return said
        return (one.id > other.id) - (one.id < other.id)

    return sorted(found, key=cmp_to_key(first))


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
@settings(max_examples=60)
@given(
    drawn=drawn_models,
    drawn_clauses=st.just([]) | clauses,
    order=orders,
    datasets=st.lists(on_one.filter(bool), max_size=1),
    count=st.integers(1, 3),
    busy=st.booleans(),
)
def test_logged_models_are_found_as_by_a_plain_look(shared, drawn, drawn_clauses, order, datasets, count, busy):
    home = shared.db.write(lambda tx: experiments.create(tx, shared, f"e{next(COUNTER)}")).id
    made = made_of(shared, home, drawn)
    wanted = [
        (name, op, made[value % len(made)].created if made else 0)
        if name == "creation_timestamp"
        else (name, op, value)
        for name, op, value in drawn_clauses
    ]
    alive = [one for one in made if not one.deleted and all(fits(one, clause, datasets) for clause in wanted)]
    if datasets and not any(name.startswith("metrics") for name, _, _ in wanted):
        alive = [one for one in alive if any(measured_on(point[3], each) for point in one.points for each in datasets)]
    text = " and ".join(map(spoken, wanted))

    found, token, late = [], "", 3 if busy else 0  # few come, else an order that puts them last never ends
    while True:
        with shared.db.read() as rows:
            page = search(rows, [home], text, datasets=datasets, order_by=order, count=count, token=token)
        found += [one.id for one in page.models]
        token = page.token
        assert len(page.models) <= count
        if not token:
            break
        if late:
            late -= 1
            new = {"name": "net", "model_type": "LLM", "later": 0, "deleted": False, "params": {}, "tags": {}}
            made_of(shared, home, [{**new, "points": []}])

    ours = {one.id for one in made}
    assert len(found) == len(set(found))
    assert [one for one in found if one in ours] == [one.id for one in ordered(alive, order)]
