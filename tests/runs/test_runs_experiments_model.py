"""Searches for experiments find what a plain look finds, in the same order, in pages that stand while others come."""

from __future__ import annotations

import itertools
import operator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.runs import experiments
from ropewalk.runs.experiment_search import search
from ropewalk.runs.grammar import like
from runs.stores import STORES, site_on

WORDS = ("", "a", "A", "ab", "a%", "b_", "é", "O'Neil", "\\")
KEYS = ("team", "a b", "mlflow.note.content")
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
NUMBERS = ("=", "!=", "<", "<=", ">", ">=")
COUNTER = itertools.count(1)


@dataclass(kw_only=True)
class Told:
    """An experiment as the model knows it."""

    id: int
    name: str
    created: int
    updated: int
    deleted: bool
    tags: dict[str, str] = field(default_factory=dict)

    def attribute(self, name):
        """Return what a filter or an order calls by that name."""
        return {
            "name": self.name,
            "experiment_id": self.id,
            "creation_time": self.created,
            "last_update_time": self.updated,
        }[name]


drawn_experiments = st.lists(
    st.fixed_dictionaries(
        {
            "word": st.sampled_from(WORDS),
            "tags": st.dictionaries(st.sampled_from(KEYS), st.sampled_from(WORDS), max_size=2),
            "later": st.sampled_from((0, 1, 5)),
            "deleted": st.sampled_from((False, False, True)),
            "renamed": st.booleans(),
        }
    ),
    min_size=1,
    max_size=6,
)
# Numbers are places among what was made: ids and times are known only then.
clauses = st.lists(
    st.one_of(
        st.tuples(st.just("name"), st.sampled_from(("LIKE", "ILIKE")), st.sampled_from(("%", "a%", "A%", "%1_", "é%"))),
        st.tuples(st.just("name"), st.sampled_from(("=", "!=")), st.integers(0, 5)),
        st.tuples(st.sampled_from(KEYS), st.sampled_from(("=", "!=", "LIKE", "ILIKE")), st.sampled_from((*WORDS, "%"))),
        st.tuples(st.sampled_from(KEYS), st.sampled_from(("IS NULL", "IS NOT NULL")), st.none()),
        st.tuples(st.sampled_from(("creation_time", "last_update_time")), st.sampled_from(NUMBERS), st.integers(0, 5)),
        st.tuples(st.just("experiment_id"), st.sampled_from(("=", "!=")), st.integers(0, 5)),
        st.tuples(st.just("experiment_id"), st.sampled_from(("IN", "NOT IN")), st.tuples(st.integers(0, 5))),
    ),
    max_size=2,
)
orders = st.lists(
    st.builds(
        "{} {}".format,
        st.sampled_from(("name", "experiment_id", "creation_time", "last_update_time")),
        st.sampled_from(("ASC", "DESC")),
    ),
    max_size=3,
    unique_by=lambda text: text.split()[0],
)


@pytest.fixture(scope="module", params=STORES)
def shared(request, tmp_path_factory):
    with site_on(request.param, tmp_path_factory.mktemp("shared")) as site:
        yield site


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def made_of(site, walk, drawn):
    """Make what was drawn, marked as of one walk; return it as the model knows it."""
    made = []
    for one in drawn:
        site.clock.advance(one["later"] / 1000)
        name, tags = f"{one['word']}{next(COUNTER)}", one["tags"] | {"walk": walk}

        def work(tx, name=name, tags=tags, one=one):
            kept = experiments.create(tx, site, name, tags=tags)
            if one["renamed"]:
                site.clock.advance(0.002)
                kept = experiments.rename(tx, site, kept.id, name + "!")
            if one["deleted"]:
                kept = experiments.delete(tx, site, kept.id)
            return kept

        kept = site.db.write(work)
        made.append(
            Told(
                id=kept.id,
                name=kept.name,
                created=kept.created_us // 1000,
                updated=kept.updated_us // 1000,
                deleted=one["deleted"],
                tags=tags,
            )
        )
    return made


def settled(clause, made):
    """Return a clause whose numbers are those of experiments that were made."""
    name, op, value = clause
    if op.startswith("IS") or isinstance(value, str):
        return clause
    known = [one.attribute(name) for one in made]
    return (
        name,
        op,
        tuple(known[at % len(made)] for at in value) if isinstance(value, tuple) else known[value % len(made)],
    )


def fits(one, clause):
    name, op, wanted = clause
    if name in KEYS:
        value = one.tags.get(name)
        if op.startswith("IS"):
            return (value is None) is (op == "IS NULL")
        return value is not None and COMPARED[op](value, wanted)
    return COMPARED[op](one.attribute(name), wanted)


def spoken(walk, clause):
    name, op, wanted = clause
    said = f"tags.`{name}`" if name in KEYS else name
    if op.startswith("IS"):
        return f"{said} {op}"
    if isinstance(wanted, tuple):
        return f"{said} {op} ({', '.join(quoted(str(one)) for one in wanted)})"
    if isinstance(wanted, int):
        return f"{said} {op} {quoted(str(wanted)) if name == 'experiment_id' else wanted}"
    return f"{said} {op} {quoted(wanted)}"


def ordered(found, texts):
    keys = [(text.split()[0], text.endswith("DESC")) for text in texts]
    if not keys:
        keys = [("creation_time", True), ("experiment_id", False)]
    elif "experiment_id" not in [name for name, _ in keys]:
        keys.append(("experiment_id", True))
    for name, descending in reversed(keys):
        found.sort(key=lambda one, name=name: one.attribute(name), reverse=descending)
    return found


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
@settings(max_examples=60)
@given(
    drawn=drawn_experiments,
    drawn_clauses=st.just([]) | clauses,
    order=orders,
    view=st.sampled_from(("active", "deleted", "all")),
    count=st.integers(1, 3),
    busy=st.booleans(),
)
def test_experiments_are_found_as_by_a_plain_look(shared, drawn, drawn_clauses, order, view, count, busy):
    walk = f"w{next(COUNTER)}"
    made = made_of(shared, walk, drawn)
    wanted = [settled(clause, made) for clause in drawn_clauses if made]
    # As in MLflow's own grammar, a backslash before a quote keeps a text open: only the last one may end so.
    wanted.sort(key=lambda clause: isinstance(clause[2], str) and clause[2].endswith("\\"))
    text = " and ".join([f"tags.walk = '{walk}'", *(spoken(walk, clause) for clause in wanted)])
    expected = [
        one.id
        for one in ordered(
            [
                one
                for one in made
                if (view == "all" or one.deleted is (view == "deleted")) and all(fits(one, clause) for clause in wanted)
            ],
            order,
        )
    ]

    found, token, late = [], "", 3 if busy else 0  # few come, else an order that puts them last never ends
    while True:
        with shared.db.read() as rows:
            page = search(rows, text, orders=order, view=view, count=count, token=token)
        found += [one.id for one, _ in page.experiments]
        token = page.token
        assert len(page.experiments) <= count
        if not token:
            break
        if late:
            late -= 1
            made_of(shared, walk, [{"word": "a", "tags": {}, "later": 0, "deleted": False, "renamed": False}])

    ours = {one.id for one in made}
    assert len(found) == len(set(found))
    assert [one for one in found if one in ours] == expected
