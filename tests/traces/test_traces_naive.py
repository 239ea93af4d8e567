"""A search for traces gives the same answers as a naive search in memory does."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as some

from ropewalk.runs.grammar import like
from ropewalk.traces import delete, search, start


def tell(tx, site, name, **more):
    plain = {"experiment": "0", "metadata": {}}
    return start.start(tx, site, start.Told(id=name, **{**plain, **more})).trace


def found(site, where="", places=("0",), **more):
    with site.db.read() as reader:
        return [one.trace.id for one in search.search(reader, places, where=where, **more).traces]


def by_pages(site, orders, where=""):
    names, token = [], ""
    while True:
        with site.db.read() as reader:
            page = search.search(reader, ["0"], where=where, orders=orders, count=1, token=token)
        names += [one.trace.id for one in page.traces]
        token = page.token
        if not token:
            return names


WORDS = some.sampled_from(["ops", "sales", "Ops", "o_s", "50%", "it''s"])
RECORDS = some.lists(
    some.fixed_dictionaries(
        {
            "state": some.sampled_from(["OK", "ERROR", "IN_PROGRESS"]),
            "start": some.integers(0, 5),
            "duration": some.none() | some.integers(0, 3),
            "team": some.none() | WORDS,
        }
    ),
    max_size=12,
)
CLAUSES = some.lists(
    some.tuples(
        some.just("tags.team"), some.sampled_from(["=", "!=", "LIKE", "ILIKE", "IS NULL", "IS NOT NULL"]), WORDS
    )
    | some.tuples(some.just("status"), some.sampled_from(["=", "!="]), some.sampled_from(["OK", "ERROR"]))
    | some.tuples(some.just("timestamp_ms"), some.sampled_from(["<", "<=", "=", "!=", ">", ">="]), some.integers(0, 5))
    | some.tuples(
        some.just("execution_time"), some.sampled_from(["<", "<=", "=", "!=", ">", ">="]), some.integers(0, 3)
    ),
    max_size=3,
)


def naive(record, name, op, wanted):
    value = record[
        {"tags.team": "team", "status": "state", "timestamp_ms": "start", "execution_time": "duration"}[name]
    ]
    if op.startswith("IS"):
        return (value is None) == (op == "IS NULL")
    if value is None:
        return False
    if op in ("LIKE", "ILIKE"):
        return like(wanted, value, fold=op == "ILIKE")
    return {
        "=": value == wanted,
        "!=": value != wanted,
        "<": value < wanted if not isinstance(value, str) else False,
        "<=": value <= wanted if not isinstance(value, str) else False,
        ">": value > wanted if not isinstance(value, str) else False,
        ">=": value >= wanted if not isinstance(value, str) else False,
    }[op]


@given(RECORDS, CLAUSES, some.sampled_from(["", "execution_time DESC", "tags.team", "timestamp ASC"]))
def test_it_finds_what_a_naive_search_finds(shared_site, records, clauses, order):
    site = shared_site
    for one in records:
        one["team"] = None if one["team"] is None else one["team"].replace("''", "'")

    def work(tx):
        delete.delete(tx, site, "0", max_ms=1 << 40)
        for number, one in enumerate(records):
            told = {} if one["team"] is None else {"team": one["team"]}
            more = {"state": one["state"], "start_ms": one["start"], "duration_ms": one["duration"], "tags": told}
            tell(tx, site, f"tr-{number:03d}", **more)

    site.db.write(work)
    where = " and ".join(_said(*clause) for clause in clauses)
    wanted = [(name, op, v.replace("''", "'") if isinstance(v, str) else v) for name, op, v in clauses]
    fits = {f"tr-{n:03d}" for n, one in enumerate(records) if all(naive(one, *clause) for clause in wanted)}

    orders = [order] if order else []
    assert set(found(site, where, orders=orders)) == fits
    assert by_pages(site, orders, where) == found(site, where, orders=orders)


def _said(name, op, value):
    if op.startswith("IS"):
        return f"{name} {op}"
    return f"{name} {op} {value}" if isinstance(value, int) else f"{name} {op} '{value}'"


ATOMS = some.sampled_from(["o", "p", "s", "S", "%", "_", "'", ".", "[os]", "[^p]", "[a-z]", r"\d", r"\w", r"\%", "0"])
REPEATS = some.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "*?"])
PIECES = some.tuples(ATOMS, REPEATS).map("".join)
BRANCHES = some.lists(PIECES, min_size=1, max_size=4).map("".join)
EXPRESSIONS = some.tuples(
    some.sampled_from(["", "^"]),
    some.lists(BRANCHES, min_size=1, max_size=3).map(lambda all_of_them: "(" + "|".join(all_of_them) + ")"),
    some.sampled_from(["", "+", "$"]),
).map("".join)


@given(EXPRESSIONS | BRANCHES, some.lists(WORDS, min_size=1, max_size=6))
def test_a_regular_expression_finds_what_pythons_own_finds(shared_site, expression, teams):
    site = shared_site
    teams = [one.replace("''", "'") for one in teams]

    def work(tx):
        delete.delete(tx, site, "0", max_ms=1 << 40)
        for number, team in enumerate(teams):
            tell(tx, site, f"tr-{number:03d}", start_ms=number, tags={"team": team})

    site.db.write(work)

    assert set(found(site, "tags.team RLIKE '" + expression.replace("'", "''") + "'")) == {
        f"tr-{number:03d}" for number, team in enumerate(teams) if re.search(expression, team, re.ASCII)
    }
