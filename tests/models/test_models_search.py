"""Searches in the registry find what a plain look at everything finds, in the same order, on both stores."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.errors import Invalid
from ropewalk.models import prompts, registered, search, versions
from ropewalk.runs import grammar
from ropewalk.runs.grammar import like
from runs.stores import STORES, site_on

NAMES = ("a", "A", "ab", "a_b", "a%", "a b", "b~", "\u00e4", "'")
KEYS = ("k", "k.k", "l")
VALUES = ("", "x", "X", "xy", "x_y", "x%", "true", "~", "\\")
RUNS = ("", "r1", "r2")
WRITTEN = tuple(value for value in (*NAMES, *VALUES, *RUNS) if value != "\\")
SOURCES = ("runs:/r1/m", "runs:/r2/M", "models:/a/1")


@dataclass(kw_only=True)
class Version:
    """A version as the plain look knows it."""

    version: int
    run_id: str
    source: str
    tags: dict[str, str]
    updated: int
    created: int
    gone: bool = False


@dataclass(kw_only=True)
class Model:
    """A model as the plain look knows it."""

    name: str
    tags: dict[str, str]
    created: int
    updated: int
    versions: list[Version] = field(default_factory=list)


tags = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=2)
drawn_versions = st.fixed_dictionaries(
    {
        "run_id": st.sampled_from(RUNS),
        "source": st.sampled_from(SOURCES),
        "tags": tags,
        "gone": st.booleans(),
        "later": st.integers(0, 2),
    }
)
drawn_models = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(NAMES),
            "tags": tags,
            "prompt": st.sampled_from((False, False, True)),
            "versions": st.lists(drawn_versions, max_size=4),
        }
    ),
    max_size=5,
    unique_by=lambda one: one["name"],
)


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def listed(texts):
    return f"({', '.join(map(quoted, texts))})"


texts = st.builds(
    "{} {}".format,
    st.sampled_from(("=", "!=", "LIKE", "ilike")),
    st.sampled_from((*WRITTEN, *SOURCES, "%", "A%", "%_B", "r_")).map(quoted),
)
lists = st.builds(
    "{} {}".format,
    st.sampled_from(("IN", "not in")),
    st.lists(st.sampled_from([*NAMES, *RUNS]), min_size=1, max_size=3).map(listed),
)
named = st.builds("name {}".format, st.one_of(texts, lists))
tagged = st.builds("{}.`{}` {}".format, st.sampled_from(("tag", "tags")), st.sampled_from(KEYS), texts)
marked = st.sampled_from(
    [f"tags.`{prompts.MARK}` {op} '{value}'" for op in ("=", "!=") for value in ("true", "false", "TRUE")]
)
of_version = st.one_of(
    st.builds("run_id {}".format, st.one_of(texts, lists)),
    st.builds("source_path {}".format, texts),
    st.builds("version_number {} {}".format, st.sampled_from(("=", "!=", "<", "<=", ">", ">=")), st.integers(-1, 4)),
    st.builds("version_number = '{}'".format, st.integers(1, 3)),
)


def orders(*names):
    one = st.builds("{}{}".format, st.sampled_from(names), st.sampled_from(("", " ASC", " DESC")))
    return st.lists(one, max_size=2, unique_by=lambda text: text.split()[0].removeprefix("last_updated_"))


@pytest.fixture(scope="module", params=STORES)
def site(request, tmp_path_factory):
    with site_on(request.param, tmp_path_factory.mktemp("search")) as open_:
        yield open_


def told(site, drawn):
    """Put what was drawn in the place of all that was; return it as the plain look knows it."""
    nobody = lambda *_: ""  # noqa: E731

    def work(tx):
        for name in versions.names(tx):
            registered.delete(tx, site, name, holder=nobody)
        return [_make(tx, site, one, nobody) for one in drawn]

    return site.db.write(work)


def _make(tx, site, one, nobody):
    mark = {prompts.MARK: "true"} if one["prompt"] else {}
    made = Model(name=one["name"], tags=one["tags"] | mark, created=now(site), updated=now(site))
    registered.create(tx, site, one["name"], tags=made.tags)
    for number, each in enumerate(one["versions"], 1):
        site.clock.advance(each["later"] / 1000)
        own = each["tags"] | mark
        source = each["source"]
        versions.add(tx, site, name=one["name"], source=source, storage=source, run_id=each["run_id"], tags=own)
        made.updated = now(site)
        made.versions.append(
            Version(
                version=number, run_id=each["run_id"], source=source, tags=own, updated=now(site), created=now(site)
            )
        )
        if each["gone"]:
            made.versions[-1].gone = True
            versions.delete(tx, site, one["name"], number, holder=nobody)
    return made


def now(site):
    return site.clock.now_us() // 1000


def holds(value, clause):
    """Say whether a value fits a clause."""
    match clause.op:
        case "LIKE" | "ILIKE":
            return like(clause.value, value, fold=clause.op == "ILIKE")
        case "IN" | "NOT IN":
            return (value in clause.value) is (clause.op == "IN")
        case "=" | "!=":
            return (value == clause.value) is (clause.op == "=")
        case _:
            return eval(f"value {clause.op} wanted", {"value": value, "wanted": clause.value})


def fits(values, own_tags, clauses, is_prompt):
    wants = next((one for one in clauses if one.key == prompts.MARK and one.entity == "tag"), None)
    asks = wants is not None and (wants.op, wants.value.lower()) in (("=", "true"), ("!=", "false"))
    if is_prompt and not asks:
        return False
    for clause in clauses:
        if clause.entity == "attribute":
            if not holds(values[clause.key], clause):
                return False
        elif clause.key == prompts.MARK and not asks:
            continue
        elif clause.key not in own_tags or not holds(own_tags[clause.key], clause):
            return False
    return True


def ordered(rows, keys):
    """Sort rows by (name, descending) pairs, the last key first."""
    for name, descending in reversed(keys):
        rows.sort(key=functools.partial(lambda row, by: row[by], by=name), reverse=descending)
    return rows


def parsed(texts, last):
    short = {"last_updated_timestamp": "updated", "timestamp": "updated", "creation_timestamp": "created"}
    keys = [(text.split()[0], text.endswith("DESC")) for text in texts]
    keys = [({"version_number": "version"} | short).get(name, name) for name, _ in keys], [way for _, way in keys]
    found = list(zip(*keys, strict=True))
    return found + [one for one in last if one[0] not in keys[0]]


def paged(ask, count):
    found, token = [], ""
    while True:
        page, token = ask(count, token)
        found += page
        assert len(page) <= count
        if not token:
            return found


@settings(max_examples=80)
@given(
    drawn=drawn_models,
    comparisons=st.lists(st.one_of(named, tagged, marked), max_size=3),
    order=orders("name", "timestamp", "last_updated_timestamp", "creation_timestamp"),
    count=st.integers(1, 4),
)
def test_models_are_found_as_by_a_plain_look(site, drawn, comparisons, order, count):
    made = told(site, drawn)
    text = " AND ".join(comparisons)
    clauses = grammar.parse(text, search._MODEL)
    rows = [
        {"name": one.name, "created": one.created, "updated": one.updated}
        for one in made
        if fits({"name": one.name}, one.tags, clauses, prompts.is_prompt(one.tags))
    ]

    with site.db.read() as reader:

        def ask(count, token):
            page = search.models(reader, text, order_by=order, count=count, token=token)
            return [one.name for one in page.models], page.token

        found = paged(ask, count)

    assert found == [row["name"] for row in ordered(rows, parsed(order, [("name", False)]))]


@settings(max_examples=80)
@given(
    drawn=drawn_models,
    comparisons=st.lists(st.one_of(named, tagged, marked, of_version), max_size=3),
    order=orders("name", "version_number", "last_updated_timestamp", "creation_timestamp"),
    count=st.integers(1, 4),
)
def test_versions_are_found_as_by_a_plain_look(site, drawn, comparisons, order, count):
    made = told(site, drawn)
    text = " AND ".join(comparisons)
    clauses = grammar.parse(text, search._VERSION)
    rows = []
    for model in made:
        for one in model.versions:
            values = {"name": model.name, "version": one.version, "run_id": one.run_id, "source": one.source}
            if not one.gone and fits(values, one.tags, clauses, prompts.is_prompt(model.tags)):
                rows.append(values | {"created": one.created, "updated": one.updated})

    with site.db.read() as reader:

        def ask(count, token):
            page = search.versions(reader, text, order_by=order, count=count, token=token)
            return [(one.name, one.version) for one in page.versions], page.token

        found = paged(ask, count)

    last = [("name", False), ("version", True)]
    keys = parsed(order, last) if order else [("updated", True), *last]
    assert found == [(row["name"], row["version"]) for row in ordered(rows, keys)]


@pytest.mark.parametrize(
    ("find", "asked"),
    [
        (search.models, {"text": "run_id = 'x'"}),
        (search.models, {"text": "name > 'x'"}),
        (search.models, {"text": "name = x"}),
        (search.models, {"text": "name = 'x' OR name = 'y'"}),
        (search.models, {"text": "params.x = 'y'"}),
        (search.models, {"text": "tags.x IN ('y')"}),
        (search.models, {"text": " AND ".join(["name = 'x'"] * 101)}),
        (search.models, {"order_by": ["tags.x"]}),
        (search.models, {"order_by": ["name SIDEWAYS"]}),
        (search.models, {"order_by": ["timestamp", "last_updated_timestamp"]}),
        (search.models, {"count": 0}),
        (search.models, {"count": 1001}),
        (search.models, {"token": "x"}),
        (search.versions, {"text": "version_number = 'x'"}),
        (search.versions, {"text": "version_number = 1.5"}),
        (search.versions, {"text": "version_number = '1.5'"}),
        (search.versions, {"text": "version_number LIKE '1'"}),
        (search.versions, {"text": "source_path IN ('1')"}),
        (search.versions, {"order_by": ["run_id"]}),
        (search.versions, {"count": 200_001}),
    ],
)
def test_a_search_that_is_not_understood_is_refused(site, find, asked):
    with site.db.read() as reader, pytest.raises(Invalid):
        find(reader, **asked)


def test_pages_stand_while_models_are_added(site):
    told(site, [{"name": name, "tags": {}, "prompt": False, "versions": []} for name in ("a", "ab", "b~")])
    with site.db.read() as reader:
        first = search.models(reader, count=2)
    site.db.write(lambda tx: registered.create(tx, site, "aa"))

    with site.db.read() as reader:
        second = search.models(reader, count=2, token=first.token)
        with pytest.raises(Invalid):
            search.models(reader, "name != 'x'", count=2, token=first.token)

    assert [one.name for one in (*first.models, *second.models)] == ["a", "ab", "b~"]
