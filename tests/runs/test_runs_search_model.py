"""Searches find what a plain look at every run finds, in the same order, page by page, on every store."""

import math
from dataclasses import dataclass, field
from functools import cmp_to_key

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ropewalk.runs import compile as compiled
from ropewalk.runs import experiments
from ropewalk.runs.grammar import like, parse, parse_order
from ropewalk.runs.search import search
from ropewalk.runs.vocabulary import RUNS
from runs.stores import STORES, begin, log, site_on

KEYS = ("a", "b", "val/loss")
TEXTS = ("", "A", "a", "ab", "a%b", "b_", "\\", "é", "x" * 170 + "1", "x" * 170 + "2")
NUMBERS = (-1.5, 0.0, 0.5, 1.0, 1e300, math.inf, -math.inf, math.nan)
WORDS = {"=": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass
class Told:
    """A run as the model knows it."""

    id: str = ""
    experiment: int = 0
    start_ms: int = 0
    end_ms: int | None = None
    status: str = "RUNNING"
    deleted: bool = False
    metric: dict[str, float] = field(default_factory=dict)
    param: dict[str, str] = field(default_factory=dict)
    tag: dict[str, str] = field(default_factory=dict)

    def attribute(self, name):
        return {
            "run_id": self.id,
            "start_time": self.start_ms,
            "end_time": self.end_ms,
            "status": self.status,
            "run_name": self.tag["mlflow.runName"],
        }[name]


def fits(run, clause):
    said = run.attribute(clause.key) if clause.entity == "attribute" else getattr(run, clause.entity).get(clause.key)
    if clause.op in ("IS NULL", "IS NOT NULL"):
        return (said is None) is (clause.op == "IS NULL")
    if said is None:
        return False
    return {
        "=": lambda: said == clause.value,
        "!=": lambda: said != clause.value,
        "<": lambda: said < clause.value,
        "<=": lambda: said <= clause.value,
        ">": lambda: said > clause.value,
        ">=": lambda: said >= clause.value,
        "LIKE": lambda: like(clause.value, said),
        "ILIKE": lambda: like(clause.value, said, fold=True),
        "IN": lambda: said in clause.value,
        "NOT IN": lambda: said not in clause.value,
    }[clause.op]()


def ordered(runs, orders):
    """Sort as MLflow does: values, then what is not a number, then nothing; then later starts, then ids."""

    def rank(run, order):
        said = run.attribute(order.key) if order.entity == "attribute" else getattr(run, order.entity).get(order.key)
        if said is None:
            return 2, 0
        if isinstance(said, float) and math.isnan(said):
            return 1, 0
        # The indexes hold the beginning of a text alone: what follows does not decide.
        return 0, said[:160] if isinstance(said, str) else said

    def compare(one, other):
        for order in orders:
            (class_a, a), (class_b, b) = rank(one, order), rank(other, order)
            if class_a != class_b:
                return class_a - class_b
            if a != b:
                return (-1 if a < b else 1) * (-1 if order.descending else 1)
        a, b = (-one.start_ms, one.id), (-other.start_ms, other.id)
        return -1 if a < b else int(a > b)

    return sorted(runs, key=cmp_to_key(compare))


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


texts = st.sampled_from(TEXTS)
drawn_runs = st.lists(
    st.fixed_dictionaries(
        {
            "metric": st.dictionaries(st.sampled_from(KEYS), st.sampled_from(NUMBERS)),
            "param": st.dictionaries(st.sampled_from(KEYS), texts),
            "tag": st.dictionaries(st.sampled_from(KEYS), texts),
            "start_ms": st.integers(1, 3),
            "end_ms": st.none() | st.integers(1, 3),
            "status": st.sampled_from(("RUNNING", "FINISHED", "FAILED", "KILLED", "SCHEDULED")),
            "deleted": st.booleans(),
            "second": st.booleans(),
            "name": st.sampled_from(("one", "two", "Two")),
        }
    ),
    max_size=8,
)
comparisons = st.one_of(
    st.builds(
        "metrics.`{}` {} {}".format,
        st.sampled_from(KEYS),
        st.sampled_from(list(WORDS)),
        st.sampled_from([repr(value) for value in NUMBERS if math.isfinite(value)]),
    ),
    st.builds(
        "{}.`{}` {} {}".format,
        st.sampled_from(("params", "tags")),
        st.sampled_from(KEYS),
        st.sampled_from(("=", "!=", "LIKE", "ILIKE")),
        st.one_of(texts, st.text("aA%_b\\", max_size=4)).map(quoted),
    ),
    st.builds(
        "{}.`{}` {}".format,
        st.sampled_from(("params", "tags")),
        st.sampled_from(KEYS),
        st.sampled_from(("IS NULL", "IS NOT NULL")),
    ),
    st.builds(
        "{} {} {}".format,
        st.sampled_from(("start_time", "attributes.end_time", "created")),
        st.sampled_from(list(WORDS)),
        st.sampled_from(("0", "1", "2", "1.5", "99999999999999999999")),
    ),
    st.builds(
        "{} {} {}".format,
        st.sampled_from(("status", "run_name")),
        st.sampled_from(("=", "!=", "LIKE", "ILIKE")),
        st.sampled_from(("'RUNNING'", "'FAILED'", "'f%'", "'two'", "'T%'", "'none'")),
    ),
)
orderings = st.lists(
    st.builds(
        "{} {}".format,
        st.one_of(
            st.builds("{}.`{}`".format, st.sampled_from(("metrics", "params", "tags")), st.sampled_from(KEYS)),
            st.sampled_from(("start_time", "end_time", "status", "run_name", "run_id")),
        ),
        st.sampled_from(("ASC", "DESC")),
    ),
    max_size=3,
    unique_by=lambda text: text.split()[0],
)


@pytest.fixture(scope="module", params=STORES)
def shared(request, tmp_path_factory):
    with site_on(request.param, tmp_path_factory.mktemp("shared")) as site:
        yield site


def told(site, drawn):
    """Make two experiments with the runs that were drawn; return them as the model knows them."""
    made = []
    homes = [
        site.db.write(lambda tx, n=n: experiments.create(tx, site, f"e{site.clock.now_us()}-{n}")).id for n in (0, 1)
    ]
    site.clock.advance(1)
    for one in drawn:
        home = homes[one["second"]]
        run = begin(site, experiment=home, name=one["name"], start_ms=one["start_ms"])
        metrics = [(key, value, 5, 0) for key, value in one["metric"].items()]
        log(site, run, metrics=metrics, params=list(one["param"].items()), tags=list(one["tag"].items()))
        site.db.write(lambda tx, run=run, one=one: move(tx, site, run, one))
        kept = {key: one[key] for key in ("start_ms", "end_ms", "status", "deleted", "metric", "param")}
        made.append(Told(id=run.id, experiment=home, tag=one["tag"] | {"mlflow.runName": one["name"]}, **kept))
    return homes, made


def move(tx, site, run, one):
    from ropewalk.runs import remote

    remote.update(tx, site, run.id, status=one["status"], end_ms=one["end_ms"])
    if one["deleted"]:
        remote.delete(tx, site, run.id)


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
@settings(max_examples=60)
@given(
    drawn=drawn_runs,
    comparisons=st.lists(comparisons, max_size=3),
    orders=orderings,
    view=st.sampled_from(("active", "deleted", "all")),
    count=st.integers(1, 4),
    few=st.sampled_from((0, 2, 5000)),
    both=st.booleans(),
)
def test_a_search_finds_what_a_plain_look_finds(shared, drawn, comparisons, orders, view, count, few, both):
    # As in MLflow's own grammar, a backslash before a quote keeps a text open: it can end the last one alone.
    assume(not any(one.endswith("\\'") for one in comparisons[:-1]))
    homes, made = told(shared, drawn)
    text = " and ".join(comparisons)
    homes = homes if both else homes[:1]
    wanted = [
        run
        for run in made
        if run.experiment in homes
        and (view == "all" or run.deleted is (view == "deleted"))
        and all(fits(run, clause) for clause in parse(text, RUNS))
    ]

    found, token = [], ""
    with pytest.MonkeyPatch.context() as patch, shared.db.read() as rows:
        patch.setattr(compiled, "FEW", few)  # so that small stores walk indexes too
        while True:
            page = search(rows, text, experiments=homes, orders=orders, view=view, count=count, token=token)
            found += [run.id for run in page.runs]
            token = page.token
            assert len(page.runs) <= count
            if not token:
                break

    assert found == [run.id for run in ordered(wanted, parse_order(orders, RUNS))]


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
@settings(max_examples=25)
@given(drawn=drawn_runs, orders=orderings, few=st.sampled_from([0, 5000]), named=st.sampled_from([0, 5000]))
def test_all_experiments_are_searched_as_one(shared, drawn, orders, few, named):
    homes, made = told(shared, drawn)
    text = f"tags.`only` = '{homes[0]}'"
    for run in made:
        shared.db.write(lambda tx, run=run: tx.run("runs.hide", number=number(tx, run), deleted_us=None))
        log(shared, run, tags=[("only", str(homes[0]))])

    with pytest.MonkeyPatch.context() as patch, shared.db.read() as rows:
        patch.setattr(compiled, "FEW", few)
        patch.setattr(compiled, "NAMED_MAX", named)
        found = [run.id for run in search(rows, text, orders=orders).runs]

    assert found == [run.id for run in ordered(made, parse_order(orders, RUNS))]


@pytest.mark.parametrize("at_once", [500, 1])
def test_what_is_few_together_is_gathered_though_each_comparison_leaves_many(shared, at_once, monkeypatch):
    home = str(shared.db.write(lambda tx: experiments.create(tx, shared, f"together {at_once}")).id)
    runs = [begin(shared, experiment=home, start_ms=place) for place in range(12)]
    for place, run in enumerate(runs):
        log(shared, run, params=[("half", str(place % 2)), ("third", str(place % 3))])
    monkeypatch.setattr(compiled, "FEW", 2)
    monkeypatch.setattr(compiled, "AT_ONCE", at_once)
    monkeypatch.setattr(compiled, "_walked", None)

    with shared.db.read() as rows:
        found = search(rows, "params.half = '1' and params.third = '2'", experiments=[home])
        none = search(rows, "params.half = '1' and params.third = '2' and params.half = '0'", experiments=[home])

    assert [run.id for run in found.runs] == [runs[11].id, runs[5].id]
    assert none.runs == ()


def number(tx, run):
    return tx.row("runs.get", id=run.id)["number"]
