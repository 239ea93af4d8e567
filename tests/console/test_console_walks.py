"""A pipeline's run in the console: graph, time line, steps with what they were given and gave, why, logs, savings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest

from api.asked import Asked
from conftest import rows_at
from console.pressing import Pressed, address
from pipelines_project import Project
from ropewalk.blobs.folder import FolderBucket
from ropewalk.console import gantt, steplog
from ropewalk.console.steplog import WINDOW_BYTES, Printed, lines_of, search, sent
from ropewalk.console.steps import Step, Walked
from ropewalk.console.values import previews
from ropewalk.errors import Invalid
from ropewalk.evidence.references import referenced
from ropewalk.ledger.sign import Signer
from ropewalk.pipelines.outcomes import StepRecord
from ropewalk.pipelines.ownership import Ownership
from ropewalk.pipelines.values import Shelf
from ropewalk.runs import run as runs
from ropewalk.runs.run import Run
from ropewalk.site import HIDDEN, Site
from ropewalk.testing.fakes import SetClock

SECOND = 1_000_000
PIPELINE = """
from pathlib import Path
import polars as pl
from features import clean
from ropewalk import log_metric, pipeline, step

@step
def load(rows: int):
    print("\\x1b[31mred\\x1b[0m <i>loading</i>")
    for number in range(3):
        print("line", number)
    return pl.DataFrame({"a": list(range(rows)), "<b>": ["<u>x</u>"] * rows})

@step
def tidy(table):
    return {"train": clean(table), "share": 0.5}

@step(retries=1, backoff=0.05, memory="1MB", secrets=["TOKEN"])
def shaky(parts):
    marker = Path("tried")
    if not marker.exists():
        marker.write_text("x")
        raise ConnectionError("<s>away</s>")
    return "gone on"

@step
def square(item: int) -> int:
    return item * item

@step
def best(train, word, squares, bad: bool):
    if bad:
        raise ValueError("<script>window.hit = 1</script>")
    log_metric("sum", sum(squares))
    return sum(squares)

@pipeline
def train(rows: int = 30, bad: bool = False):
    parts = tidy(load(rows))
    best(parts["train"], shaky(parts), square.map(list(range(7))), bad)
"""
FEATURES = "def clean(table):\n    return table.head(20)\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Walks:
    """A project whose pipeline has run, run again with an edited helper, and failed."""

    project: Project
    one: Pressed
    first: str
    second: str
    failed: str

    def read(self, *parts: str, query: str = "") -> str:
        answer = self.one.look(address(*parts) + query)
        assert answer.status == 200, answer.body[:3000]
        return answer.body.decode()


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walks]:
    root = tmp_path_factory.mktemp("walks") / "project"
    hidden, clock = root / HIDDEN, SetClock()
    hidden.mkdir(parents=True)
    with rows_at(hidden / "ropewalk.db", clock) as db, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOKEN", "hunter2-hunter2")
        bucket, signer = FolderBucket(hidden / "blobs"), Signer.create(hidden / "keys")
        made = Project(site=Site(root=root, db=db, blobs=bucket, clock=clock, signer=signer, actor="ann@example.org"))
        made.write("pipeline.py", PIPELINE)
        made.write("features.py", FEATURES)
        first = made.run().run.id
        made.edit("features.py", "20", "10")
        second = made.run().run.id
        with pytest.raises(Invalid, match="step best failed"):
            made.run(bad=True)
        with db.read() as rows:
            failed = runs.find(rows, "train-3").id
        asked = Asked(made.site)
        yield Walks(project=made, one=Pressed(asked=asked), first=first, second=second, failed=failed)
        asked.close()


def test_a_run_shows_what_became_of_each_step_and_what_the_cache_saved(walks: Walks):
    page = walks.read("runs", walks.first)
    graph = page.partition('class="graph"')[2].partition("</svg>")[0]
    assert "Graph of 5 steps: 5 ran" in graph
    assert graph.count('class="thread') == 5
    assert "7 of 7" in graph
    assert "shaky: attempt 1 failed" in page
    assert "data-over" in page
    later = walks.read("live", "runs", walks.second, "pipeline")
    assert "2 of 5 steps from the cache" in later
    assert 'data-figures="load: hit' in later
    over = walks.read("pipelines", "pipeline.py:train")
    assert "from the cache" in over
    assert f'href="/runs/{walks.second}"' in over
    assert "pipeline.py:train" in walks.read("pipelines")


def test_a_step_says_why_it_ran_or_did_not_with_the_lines_that_changed(walks: Walks):
    step = walks.read("runs", walks.second, "steps", "tidy")
    assert "code features.clean has changed: 20 -&gt; 10" in step
    assert '<span class="minus">-    return table.head(20)' in step
    assert re.findall(r"What changed in ([\w.]+)<", step) == ["features.py"]
    hit = walks.read("runs", walks.second, "steps", "load")
    assert "nothing that it depends on has changed" in hit
    assert f'href="/runs/{walks.first}/steps/load"' in hit


def test_a_step_shows_what_it_was_given_and_gave_its_attempts_and_its_code(walks: Walks):
    load, tidy, shaky, square = (
        walks.read("runs", walks.first, "steps", name) for name in ("load", "tidy", "shaky", "square")
    )
    assert "30 rows by 2 columns" in load
    assert "&lt;u&gt;x&lt;/u&gt;" in load
    assert "<u>x</u>" not in load
    assert "def load(rows: int):" in load
    assert "[&#39;train&#39;]" in tidy
    assert "20 rows by 2 columns" in tidy
    assert "0.5" in tidy
    assert "ConnectionError: &lt;s&gt;away&lt;/s&gt;" in shaky
    assert "TOKEN" in shaky
    assert "hunter2" not in shaky
    assert "7 of 7 have a result" in square
    digest = re.findall(rf"/runs/{walks.first}/output/(sha256:\w+)/load", load)[0]
    file = walks.one.look(address("runs", walks.first, "output", digest, "load"))
    assert file.body.startswith(b"PAR1")
    assert "attachment" in file.headers["content-disposition"]
    assert walks.one.look(address("runs", walks.first, "output", "sha256:" + "0" * 64, "load")).status == 404


def test_a_log_is_read_in_pieces_searched_and_taken_away(walks: Walks):
    run = walks.first
    log = walks.project.site.hidden / "logs" / run / "load.log"

    page = walks.read("runs", run, "logs", "load")
    assert '<span class="ansi-red">red</span> &lt;i&gt;loading' in page
    assert "\x1b" not in page
    assert "1 line holds" in walks.read("runs", run, "logs", "load", query="?find=LINE+1")
    assert walks.one.look(address("runs", run, "log-file", "load")).body == log.read_bytes()
    after = walks.read("live", "runs", run, "logs", "load", query="?from=30")
    assert "line 2" in after
    assert "loading" not in after
    assert 'data-over="1"' in after
    assert "It printed nothing" in walks.read("runs", run, "logs", "best")
    for bad in ("nobody", "../../../ropewalk.toml"):
        assert walks.one.look(address("runs", run, "logs", bad)).status == 404


def test_a_run_that_failed_says_where_and_lists_its_steps_by_state(walks: Walks):
    assert "1 failed" in walks.read("runs", walks.failed)
    step = walks.read("runs", walks.failed, "steps", "best")
    assert "ValueError: &lt;script&gt;" in step
    assert "Traceback" in step
    assert "Nothing." in step
    assert "1 step<" in walks.read("runs", walks.failed, "steps", query="?state=failed")
    assert "No step is so" in walks.read("runs", walks.failed, "steps", query="?find=nobody")
    assert walks.one.look(address("runs", walks.failed, "steps") + "?box=x").status == 400


def test_a_run_that_kept_no_graph_lists_its_steps(walks: Walks):
    site, gone = walks.project.site, "sha256:" + "0" * 64
    with site.db.read() as rows:
        before = str(rows.value("pipelines.nodes_of_run", run_id=walks.failed))
    site.db.write(lambda tx: tx.run("pipelines.keep_nodes", run_id=walks.failed, nodes=gone))

    page, step = walks.read("runs", walks.failed), walks.read("runs", walks.failed, "steps", "load")

    site.db.write(lambda tx: tx.run("pipelines.keep_nodes", run_id=walks.failed, nodes=before))
    assert "before runs kept their graph" in page
    assert "shaky" in page
    assert "nothing that it depends on has changed" in step


def test_the_blob_that_holds_a_long_graph_is_needed(walks: Walks):
    site = walks.project.site
    digest = site.blobs.put(b"[ ]")
    with site.db.read() as rows:
        before = str(rows.value("pipelines.nodes_of_run", run_id=walks.failed))
        assert digest not in referenced(rows, site.blobs)

    site.db.write(lambda tx: tx.run("pipelines.keep_nodes", run_id=walks.failed, nodes=digest))

    with site.db.read() as rows:
        assert digest in referenced(rows, site.blobs)
    site.db.write(lambda tx: tx.run("pipelines.keep_nodes", run_id=walks.failed, nodes=before))


def test_where_no_pipeline_has_run_the_page_says_what_to_type(one: Pressed):
    assert "ropewalk run pipeline.py:train" in one.look("/pipelines").body.decode()
    assert one.look("/pipelines/none.py:x").status == 404


def a_step(
    node: str, begun: int, ended: int, *, needs: tuple[str, ...] = (), ready: int = 0, state: str = "ran"
) -> Step:
    record = StepRecord(
        run_id="r", node=node, position=0, pipeline="p.py:f", step=f"p:{node}", state="done", attempt=1, key="",
        code="", inputs="", reason="", error="", fence=1, started_us=begun * SECOND, ended_us=ended * SECOND,
    )  # fmt: skip
    return Step(node=node, name=node, state=state, needs=needs, ready_us=ready * SECOND, record=record)


def walked(run: Run, *found: Step) -> Walked:
    places = {step.node: place for place, step in enumerate(found)}
    return Walked(run=run, steps=found, now_us=99 * SECOND, whole=True, places=places)


def test_the_long_way_leads_through_results_and_through_places_that_were_taken(walks: Walks):
    with walks.project.site.db.read() as rows:
        run = replace(runs.get(rows, walks.first), started_us=0)
    steps = walked(
        run,
        a_step("load", 0, 2),
        a_step("fit", 2, 9, needs=("load",), ready=2),
        a_step("hog", 0, 6),
        a_step("other", 6, 8, needs=("load",), ready=2),
        a_step("best", 9, 10, needs=("fit", "other"), ready=9),
    )

    assert list(gantt.critical(steps)) == ["load", "fit", "best"]
    assert list(gantt.critical(walked(run, *steps.steps[:1], *steps.steps[2:4]))) == ["hog", "other"]
    drawn = gantt.of_walk(steps)
    assert drawn is not None
    assert drawn["told"] == "10.0 s by the clock, 18.0 s of work in 5 steps"
    assert [row["name"] for row in drawn["rows"]] == ["load", "fit", "hog", "other", "best"]
    assert [bar["kind"] for bar in drawn["rows"][3]["bars"]] == ["queued", "ran"]


def test_a_step_that_was_cut_off_reaches_to_the_end_of_its_run(walks: Walks):
    with walks.project.site.db.read() as rows:
        run = replace(runs.get(rows, walks.first), started_us=0, ended_us=8 * SECOND)
    step = a_step("cut", 2, 2, ready=2, state="interrupted")
    assert step.record is not None

    drawn = gantt.of_walk(walked(run, a_step("load", 0, 2), replace(step, record=replace(step.record, ended_us=None))))

    assert drawn is not None
    (bar,) = drawn["rows"][1]["bars"]
    assert bar["kind"] == "interrupted"
    assert bar["wide"] > 500
    assert "nobody knows for how long" in bar["told"]


def test_a_thousand_short_steps_are_a_few_rows_of_few_bars(walks: Walks):
    with walks.project.site.db.read() as rows:
        run = replace(runs.get(rows, walks.first), started_us=0)
    many = [a_step(f"s{number}", number // 2, number // 2 + 1, ready=number // 2) for number in range(1000)]
    hits = [a_step(f"h{number}", 1, 1, state="hit") for number in range(50)]

    drawn = gantt.of_walk(walked(run, *many, *hits))

    assert drawn is not None
    assert [row["name"] for row in drawn["rows"]] == ["from the cache", "place 1", "place 2"]
    assert sum(bar["count"] for row in drawn["rows"] for bar in row["bars"]) == 1050
    assert len(drawn["rows"][0]["bars"]) == 1


def test_of_a_long_log_a_window_is_read_and_a_line_that_is_not_finished_is_asked_for_again(tmp_path: Path):
    file = tmp_path / "long.log"
    file.write_bytes(b"".join(b"line %09d\n" % number for number in range(200_000)) + b"10%\r20%")
    size = file.stat().st_size
    log = Printed(file=file, data=b"", size=size, whole=size, growing=True)

    lines, following = lines_of(log, size - WINDOW_BYTES, WINDOW_BYTES)

    assert 4_000 < len(lines) < 4_700
    assert lines[0].text[0][1].startswith("line ")
    assert (lines[-1].text, lines[-1].partial) == ((("", "20%"),), True)
    with file.open("ab") as more:
        more.write(b"\r30%\ndone\n")
    later = replace(log, size=size + 10, growing=False)
    assert [line.text[0][1] for line in lines_of(later, following, WINDOW_BYTES)[0]] == ["30%", "done"]
    first, _ = lines_of(log, 0, WINDOW_BYTES)
    assert first[-1].at + 15 <= WINDOW_BYTES
    found, told = search(log, "000199999")
    assert [line.at for line in found] == [199_999 * 15]
    assert told == ""


def test_what_values_are_is_said_without_bringing_them_to_life(tmp_path: Path):
    np, tree = pytest.importorskip("numpy"), pytest.importorskip("sklearn.tree")
    blobs = FolderBucket(tmp_path / "blobs")
    shelf = Shelf(blobs=blobs, owned=Ownership(f"{tmp_path}/"), code_of=lambda _: {})
    model = tree.DecisionTreeClassifier(max_depth=3).fit([[0], [1]], [0, 1])
    value = {
        "model": model,
        "big": np.arange(5000.0),
        "plain": (1, "<b>", None),
        "text": "x" * 9000,
        "when": Decimal(1),
    }

    found = {one.label: one for one in previews(blobs, shelf.encode(value))}

    assert found["['model']"].kind == "sklearn.tree._classes.DecisionTreeClassifier"
    assert ("max_depth", "3") in found["['model']"].facts
    assert found["['big']"].told.startswith("5,000, f8")
    assert found["['big']"].text.startswith("0.0, 1.0")
    assert found["['plain']"].text == "(1, '<b>', None)"
    assert len(found["['text']"].text) < 5000
    gone = previews(blobs, shelf.encode({"a": 1})) + previews(blobs, {"$skops": "sha256:" + "0" * 64, "libraries": []})
    assert [one.kind for one in gone] == ["dict", "not to be had"]


def test_a_log_is_followed_without_reading_every_other_step(walks: Walks, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("all steps were read")

    monkeypatch.setattr(steplog.walks, "require", refuse)

    assert "line" in walks.read("runs", walks.first, "logs", "load")
    assert "data-over" in walks.read("live", "runs", walks.first, "logs", "load", query="?from=0")


class Whole(FolderBucket):
    """Refuses to bring a blob into memory whole."""

    def get(self, digest: str) -> bytes:
        raise AssertionError(digest)


@pytest.mark.parametrize(
    ("made", "told", "text"),
    [
        ("np.asfortranarray(np.arange(1200.0).reshape(2, 600))", "2 by 600, f8, 9.5 KiB", "0.0, 1.0, 2.0, "),
        ("np.zeros(3, [(f'column{n:04}', 'f8') for n in range(2000)])", "91.9 KiB; it has too many fields", ""),
    ],
)
def test_an_array_is_shown_by_its_first_bytes_whatever_its_size_and_kind(tmp_path: Path, made, told, text):
    import numpy as np

    blobs = Whole(tmp_path / "blobs")
    shelf = Shelf(blobs=blobs, owned=Ownership(f"{tmp_path}/"), code_of=lambda _: {})

    (shown,) = previews(blobs, shelf.encode(eval(made, {"np": np})))

    assert (shown.kind, shown.told) == ("numpy array", told)
    assert shown.text.startswith(text)


def test_a_log_that_grows_while_it_is_taken_home_is_as_long_as_it_was_when_it_was_asked_for(tmp_path: Path):
    file = tmp_path / "step.log"
    file.write_bytes(b"early\n" * 100_000)
    log = Printed(file=file, data=b"", size=600_000, whole=600_000, growing=True)

    pieces = sent(log)
    first = next(pieces)
    with file.open("ab") as stream:
        stream.write(b"later\n" * 100_000)

    assert first + b"".join(pieces) == b"early\n" * 100_000
