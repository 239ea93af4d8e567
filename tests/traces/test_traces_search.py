"""Traces are found by everything that is known of them, page by page."""

from __future__ import annotations

import pytest

from ropewalk.errors import Invalid
from ropewalk.runs import experiments
from ropewalk.traces import assessment, delete, ingest, links, search, start, tags, trace
from ropewalk.traces import compile as composing
from ropewalk.traces.assessment import Assessment
from ropewalk.traces.vocabulary import read_filter
from traces.telling import export, span

STARTS = 1_000_000


def tell(tx, site, name, **more):
    plain = {"experiment": "0", "start_ms": STARTS, "duration_ms": 5, "state": "OK", "tags": {}, "metadata": {}}
    return start.start(tx, site, start.Told(id=name, **{**plain, **more})).trace


def found(site, where="", places=("0",), **more):
    with site.db.read() as reader:
        return [one.trace.id for one in search.search(reader, places, where=where, **more).traces]


@pytest.fixture(scope="module")
def four(shared_site):
    """The four traces on each store in turn, to be looked at alone."""
    return made_four(shared_site)


def made_four(site):
    """Keep four traces: `tr-a` failed, `tr-b` and `tr-c` are of one session, one was told by spans alone."""

    def work(tx):
        tell(
            tx,
            site,
            "tr-a",
            state="ERROR",
            start_ms=STARTS + 10,
            tags={"team": "ops", "mlflow.traceName": "ask"},
            metadata={"mlflow.sourceRun": "r1", "size": "big"},
            client_request="req-1",
        )
        b = tell(tx, site, "tr-b", start_ms=STARTS + 20, duration_ms=50, metadata={"mlflow.trace.session": "talk"})
        tell(
            tx,
            site,
            "tr-c",
            start_ms=STARTS + 30,
            duration_ms=None,
            tags={"team": "Sales", "note": '50% _off_! it\'s "new"'},
            metadata={"mlflow.trace.session": "talk", "mlflow.trace.tokenUsage": '{"input_tokens": 3}'},
        )
        told = [
            span(
                1, attributes={"mlflow.spanType": "CHAIN", "model": "gpt-4_x%", "n": 3, "mlflow.spanInputs": 'hé "q"'}
            ),
            span(2, parent=1, name="llm", attributes={"mlflow.spanType": "LLM", "model": "other", "ok": True}),
        ]
        ingest.keep(tx, "0", ingest.read(export(*told)))
        judge = {"name": "score", "source_type": "HUMAN"}
        assessment.add(tx, site, b.number, "tr-b", Assessment(kind="feedback", value=0.75, **judge))
        whole = {**judge, "name": "polite", "metadata": {"mlflow.trace.session": "talk"}}
        assessment.add(tx, site, b.number, "tr-b", Assessment(kind="feedback", value=True, **whole))
        assessment.add(tx, site, b.number, "tr-b", Assessment(kind="expectation", name="city", value="Paris"))
        assessment.add(tx, site, b.number, "tr-b", Assessment(kind="issue", name="issue-1", value="slow"))
        links.link_prompts(tx, "tr-b", [("qa", "4")])

    site.db.write(work)
    return site


D = "tr-0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", f"{D} c b a"),
        ("status = 'ERROR'", "a"),
        ("trace.status IN ('ERROR', 'IN_PROGRESS')", "a"),
        ("attributes.status NOT IN ('OK')", "a"),
        ("trace.status != 'OK'", "a"),
        ("timestamp_ms > 1000010 and timestamp < 1000030", "b"),
        ("trace.execution_time_ms >= 50", "b"),
        ("execution_time != 5", "b"),
        ("end_time_ms = 1000030", "c"),
        ("request_id = 'tr-c'", "c"),
        ("request_id IN ('tr-c', 'tr-a')", "c a"),
        ("request_id RLIKE '^tr-.$'", "c b a"),
        ("client_request_id = 'req-1'", "a"),
        ("name = 'ask'", "a"),
        ("name LIKE 'a%'", "a"),
        ("name ILIKE 'A_K'", "a"),
        ("name IS NULL", f"{D} c b"),
        ("tags.`mlflow.traceName` = 'ask'", "a"),
        ("tag.team = 'ops'", "a"),
        ("tags.team != 'ops'", "c"),
        ("tags.team ILIKE 's%'", "c"),
        ("tags.team LIKE 's%'", ""),
        ("tags.team RLIKE 'S.*s'", "c"),
        ("tags.team RLIKE 'le'", "c"),
        ("tags.team RLIKE '^(ops|Sales)$'", "c a"),
        ("tags.team RLIKE '[aeiou]{2}'", ""),
        ("tags.team RLIKE '^[^S]\\w+'", "a"),
        ("name RLIKE '^as?k$'", "a"),
        ("tags.team IS NULL", f"{D} b"),
        ("tags.team IS NOT NULL AND status = 'OK'", "c"),
        ("tags.note LIKE '50% \\_off%'", ""),
        ("tags.note LIKE '50!% _off_!%'", ""),
        ("tags.note LIKE '50% _off_! it%'", "c"),
        ("metadata.size = 'big'", "a"),
        ("request_metadata.size != 'small'", "a"),
        ("metadata.`mlflow.trace.session` = 'talk'", "c b"),
        ("metadata.`mlflow.trace.tokenUsage` IS NOT NULL", "c"),
        ("metadata.`mlflow.trace.tokenUsage` = '{\"input_tokens\": 3}'", "c"),
        ("run_id = 'r1'", "a"),
        ("attribute.run_id != 'r1'", f"{D} c b"),
        ("metadata.`mlflow.sourceRun` = 'r1'", "a"),
        ("prompt = 'qa/4'", "b"),
        ("prompt = 'qa/5'", ""),
        ("span.name = 'llm'", D),
        ("span.type = 'LLM' and span.name = 'step'", ""),
        ("span.type IN ('LLM', 'TOOL')", D),
        ("span.status = 'UNSET'", D),
        ("span.attributes.model = 'gpt-4_x%'", D),
        ("span.attributes.model = 'gpt-4-x'", ""),
        ("span.attributes.model LIKE 'gpt%'", D),
        ("span.attributes.model LIKE '%4\\_x%'", ""),
        ("span.attributes.model ILIKE '%GPT%'", D),
        ("span.attributes.model IN ('other', 'none')", D),
        ("span.attributes.n = '3'", D),
        ("span.attributes.ok = 'true'", D),
        ("span.attributes.model RLIKE '^gpt-.'", D),
        ("trace.text LIKE '%hé \"q%'", D),
        ("text ILIKE '%LLM%'", D),
        ("feedback.score > 0.5", "b"),
        ("feedback.score <= 0.5", ""),
        ("feedback.score = '0.75'", "b"),
        ("feedback.polite = 'true'", "c b"),
        ("feedback.polite != 'true'", ""),
        ("feedback.polite IS NULL", f"{D} a"),
        ("feedback.score IS NULL", f"{D} c a"),
        ("feedback.score IS NOT NULL", "b"),
        ("expectation.city = 'Paris'", "b"),
        ("expectation.city LIKE '%ari%'", "b"),
        ("expectation.score > 0", ""),
        ("issue.id = 'issue-1'", "b"),
    ],
)
def test_a_filter_finds_what_it_says(four, where, expected):
    names = [name if name.startswith("tr-") else f"tr-{name}" for name in expected.split()]
    assert found(four, where) == names


@pytest.mark.parametrize(
    "where",
    [
        "nothing = 'x'",
        "trace.nothing = 'x'",
        "status > 'x'",
        "status = 3",
        "timestamp_ms = 'x'",
        "timestamp_ms LIKE '1'",
        "tags.team > 'x'",
        "tags.team IN ('a')",
        "metadata.`mlflow.trace.tokenUsage` LIKE '%3%'",
        "span.nothing = 'x'",
        "span.attributes. = 'x'",
        "span.content = 'x'",
        "text = 'x'",
        "feedback.score > 'x'",
        "feedback.score = 3",
        "feedback.score IN ('x')",
        "issue.id LIKE 'x'",
        "issue.name = 'x'",
        "prompt = 'qa'",
        "prompt LIKE 'qa/%'",
        "run_id LIKE 'r%'",
        "name RLIKE '(?=a)'",
        "name RLIKE '(a)\\1'",
        "name RLIKE '*a'",
        "name RLIKE 'a**'",
        "name RLIKE '[b-a]'",
        "name RLIKE '(a'",
        "name RLIKE 'a{1000}'",
        "name RLIKE '((a{200}){200}){200}'",
        "name RLIKE '((.{50}){50}){4}x'",
        "name RLIKE '((ab|c){5}.*){67}'",
        "name RLIKE '(\\w?){51}'",
        "name RLIKE '[^\\w\\W]{26}'",
        "name RLIKE '(\\D?\\d?){101}'",
        "name RLIKE '\\w{30}x' AND tags.team RLIKE '\\w{30}x'",
        "span.attributes.model RLIKE 'gpt|llama'",
        "tags.team = 'a' OR tags.team = 'b'",
        "'; drop table traces; --",
        "status = 'OK' and",
    ],
)
def test_a_filter_that_is_not_understood_is_refused(four, where):
    with pytest.raises(Invalid) as error:
        found(four, where)

    assert error.value.code == "filter-invalid"


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        (["timestamp_ms ASC"], f"a b c {D}"),
        (["execution_time_ms DESC"], f"b {D} a c"),
        (["execution_time_ms"], f"{D} a b c"),
        (["tags.team ASC"], f"c a {D} b"),
        (["tags.team DESC"], f"a c {D} b"),
        (["name"], f"a {D} c b"),
        (["metadata.`mlflow.trace.session`", "timestamp"], f"b c a {D}"),
        (["status", "request_id DESC"], f"a c b {D}"),
        (["experiment_id", "end_time_ms"], f"a c b {D}"),
        (["run_id DESC"], f"a {D} c b"),
    ],
)
def test_an_order_puts_what_is_missing_last(four, orders, expected):
    names = [name if name.startswith("tr-") else f"tr-{name}" for name in expected.split()]

    assert found(four, orders=orders) == names
    assert by_pages(four, orders) == names


def by_pages(site, orders, where=""):
    names, token = [], ""
    while True:
        with site.db.read() as reader:
            page = search.search(reader, ["0"], where=where, orders=orders, count=1, token=token)
        names += [one.trace.id for one in page.traces]
        token = page.token
        if not token:
            return names


@pytest.mark.parametrize(
    "order", ["feedback.score", "span.name", "prompt", "metadata.`mlflow.trace.cost`", "x", "name UP"]
)
def test_what_nothing_can_be_ordered_by_is_refused(four, order):
    with pytest.raises(Invalid) as error:
        found(four, orders=[order])

    assert error.value.code == "order-invalid"


def test_pages_stay_right_while_traces_are_added_and_deleted(site):
    site.db.write(lambda tx: [tell(tx, site, f"tr-{n}", start_ms=STARTS + n // 2) for n in range(10)])
    with site.db.read() as reader:
        first = search.search(reader, ["0"], count=4)

    site.db.write(lambda tx: [tell(tx, site, f"tr-new{n}", start_ms=STARTS + 100) for n in range(3)])
    site.db.write(lambda tx: delete.delete(tx, site, "0", ids=["tr-9", "tr-4"]))
    with site.db.read() as reader:
        second = search.search(reader, ["0"], count=4, token=first.token)

    assert [one.trace.id for one in first.traces] == ["tr-8", "tr-9", "tr-6", "tr-7"]
    assert [one.trace.id for one in second.traces] == ["tr-5", "tr-2", "tr-3", "tr-0"]


def test_a_token_of_another_search_is_refused(site):
    site.db.write(lambda tx: [tell(tx, site, f"tr-{n}") for n in range(3)])
    with site.db.read() as reader:
        token = search.search(reader, ["0"], count=1).token

    for more in ({"where": "status = 'OK'"}, {"orders": ["name"]}, {"places": ["0", "1"]}):
        with pytest.raises(Invalid) as error:
            found(site, token=token, **more)
        assert error.value.code == "token-invalid"
    for token in ("x", "e30=", "A" * 100_000):
        with pytest.raises(Invalid):
            found(site, token=token)


@pytest.mark.parametrize("count", [0, -1, 501])
def test_a_page_has_its_limits(site, count):
    with pytest.raises(Invalid, match="cannot have this many"):
        found(site, count=count)


def test_experiments_that_are_not_there_hold_no_traces_and_others_are_not_shown(site):
    other = site.db.write(lambda tx: experiments.create(tx, site, "other")).id
    site.db.write(lambda tx: (tell(tx, site, "tr-0"), tell(tx, site, "tr-1", experiment=str(other))))

    assert found(site, places=["777"]) == []
    assert found(site, places=[]) == []
    assert found(site, places=[str(other)]) == ["tr-1"]
    assert found(site, places=["0", str(other)]) == ["tr-0", "tr-1"]
    for wrong in ("x", "-1", "1.5", "9" * 30):
        with pytest.raises(Invalid):
            found(site, places=[wrong])


def test_a_trace_of_a_run_is_found_by_it_however_it_came_there(site, begin_run):
    run = begin_run()
    site.db.write(lambda tx: (tell(tx, site, "tr-0"), tell(tx, site, "tr-1", metadata={"mlflow.sourceRun": run})))
    site.db.write(lambda tx: links.link_run(tx, ["tr-0", "tr-gone"], run))

    assert found(site, f"run_id = '{run}'") == ["tr-0", "tr-1"]
    assert found(site, f"attribute.run_id IN ('{run}', 'x')") == ["tr-0", "tr-1"]


@pytest.fixture
def begin_run(site):
    def begin():
        from ropewalk.runs import remote

        return site.db.write(lambda tx: remote.create(tx, site)).id

    return begin


def test_the_newest_traces_are_read_from_an_index(site):
    plans = []
    with made_four(site).db.read() as reader:
        explained = _Explained(reader, plans)
        numbers = (0,)
        for where in ("", "status = 'OK'", "tags.team = 'ops'", "metadata.`mlflow.trace.session` = 'talk'"):
            clauses = read_filter(where)
            composing.page(
                explained,
                composing.Question(experiments=numbers, clauses=clauses, orders=(), after=(5, "tr-x"), count=10),
            )

    assert len(plans) == 4
    assert all("USING INDEX traces_by" in plan or "USING INTEGER PRIMARY KEY" in plan for plan in plans), plans
    assert not any("SCAN t" in plan for plan in plans), plans


class _Explained:
    def __init__(self, reader, plans):
        self._reader, self._plans = reader, plans

    def composed(self, sql, values):
        rows = self._reader.composed(f"explain query plan {sql}", values)
        self._plans.append("\n".join(str(row["detail"]) for row in rows))
        return []


def test_filters_are_compared_by_how_often_they_hold_together(four):
    with four.db.read() as reader:
        together = search.correlate(reader, ["0"], "tags.team IS NOT NULL", "request_id IN ('tr-a', 'tr-c')")
        apart = search.correlate(reader, ["0"], "status = 'ERROR'", "status = 'OK'")
        never = search.correlate(reader, ["0"], "status = 'ERROR'", "name = 'nobody'")
        based = search.correlate(reader, ["0"], "status = 'OK'", "status = 'OK'", "status = 'OK'")

    assert (together.npmi, together.joint, together.total) == (pytest.approx(1.0), 2, 4)
    assert (apart.npmi, apart.joint, -1 < apart.smoothed < 0) == (-1.0, 0, True)
    assert str(never.npmi) == "nan"
    assert (based.npmi, based.total) == (1.0, 3)


def test_tags_are_set_renamed_and_taken_off(site):
    four = made_four(site)
    four.db.write(
        lambda tx: (tags.set_tag(tx, "tr-a", "team", "x" * 9000), tags.set_tag(tx, "tr-a", "mlflow.traceName", "n"))
    )
    with four.db.read() as reader:
        long = trace.info(reader, "tr-a")
    four.db.write(lambda tx: (tags.delete_tag(tx, "tr-a", "team"), tags.delete_tag(tx, "tr-a", "mlflow.traceName")))

    assert (len(long.tags["team"]), long.tags["mlflow.traceName"]) == (8000, "n")
    assert found(four, "tags.team IS NOT NULL") == ["tr-c"]
    assert found(four, "name IS NOT NULL") == []
