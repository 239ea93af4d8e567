"""What a run keeps and tells: metrics from the cache, the end in one transaction, why, and errors before it begins."""

from __future__ import annotations

import json

import pytest

from ropewalk.data import snapshot
from ropewalk.errors import NotFound, RopewalkError
from ropewalk.pipelines.execute import run_pipeline
from ropewalk.pipelines.why import why
from ropewalk.runs import keep
from ropewalk.runs import run as runs


def test_a_cached_step_gives_the_new_run_its_metrics_and_frames(project):
    project.write(
        "pipeline.py",
        """
        import polars as pl
        from ropewalk import log_metric, log_param, pipeline, step

        @step
        def rows():
            log_metric("height", 2)
            return pl.DataFrame({"a": [1, 2]})

        @step
        def more(frame):
            return frame.with_columns(b=pl.col("a") * 2)

        @pipeline
        def train(n: int = 1):
            log_param("n", n)
            return more(rows())
        """,
    )
    first = project.run()

    second = project.run()

    assert second.count("cached") == 2
    with project.site.db.read() as reader:
        for run in (first.run, second.run):
            assert [(point.key, point.value) for point in keep.metrics(reader, run.id)] == [("height", 2.0)]
            assert [fact.key for fact in keep.facts(reader, run.id, "param")] == ["n"]
            frames = {item.name: item.digest for item in snapshot.of_run(reader, run.id)}
            assert set(frames) == {"rows", "more"}
            edges = snapshot.lineage(reader, frames["more"])
            assert [(edge.digest, edge.parent) for edge in edges] == [(frames["more"], frames["rows"])]


def test_the_end_is_written_with_what_the_caller_adds_or_not_at_all(project):
    project.write(
        "pipeline.py",
        """
        from ropewalk import pipeline, step

        @step
        def one():
            return 1

        @pipeline
        def train():
            return one()
        """,
    )

    def refuse(tx, run):
        project.site.announce(tx, "never", run.subject, {})
        raise RopewalkError("no", "No.")

    with pytest.raises(RopewalkError, match="No"):
        run_pipeline(project.site, target="pipeline.py:train", args={}, on_finish=refuse)

    with project.site.db.read() as reader:
        assert len(reader.all(runs.Run, "runs.of_state", state=runs.FAILED)) == 1
        assert [row for row in reader.rows("events.after", seq=0, count=99) if row["kind"] == "never"] == []


def test_why_names_what_had_changed_in_the_newest_run(project):
    project.write(
        "pipeline.py",
        """
        from ropewalk import pipeline, step

        LIMIT = 1

        @step
        def one():
            return LIMIT

        @pipeline
        def train():
            return [one(), one()]
        """,
    )
    project.run()
    assert why(project.site, "one").node == "one"
    assert why(project.site, "one-2").node == "one-2"
    assert why(project.site, "one").reasons == ("it has not run before",)
    project.edit("pipeline.py", "LIMIT = 1", "LIMIT = 2")
    project.run()

    changed = why(project.site, "one")
    project.run()
    unchanged = why(project.site, "one")

    assert (changed.ran, changed.reasons) == (True, ("code pipeline.LIMIT has changed: 1 -> 2",))
    assert (unchanged.ran, unchanged.state) == (False, "cached")
    with pytest.raises(NotFound):
        why(project.site, "two")


def test_a_declared_file_that_changes_while_it_is_read_makes_the_step_run_again(project):
    project.write("data.txt", "1")
    project.write(
        "pipeline.py",
        """
        from pathlib import Path
        from ropewalk import pipeline, step

        @step(reads="data.txt")
        def read():
            seen = Path("data.txt").read_text()
            if seen == "1":
                Path("data.txt").write_text("22")
            return seen

        @pipeline
        def train():
            return read()
        """,
    )

    result = project.run()

    assert [item.state for item in project.told] == ["running", "retrying", "running", "done"]
    assert project.value(result, "read") == "22"


@pytest.mark.parametrize(
    ("body", "code", "where"),
    [
        ("if one(): pass", "placeholder-used", "pipeline.py:10"),
        ("for _ in one(): pass", "placeholder-used", "pipeline.py:10"),
        ("one() + 1", "placeholder-used", "pipeline.py:10"),
        ("one().mean()", "placeholder-used", "pipeline.py:10"),
        ("one(1)", "step-arguments", "pipeline.py:4"),
        ("1 / 0", "pipeline-failed-to-load", "pipeline.py:10 in train"),
    ],
)
def test_a_body_that_cannot_be_recorded_is_an_error_at_its_line_and_makes_no_run(project, body, code, where):
    project.write(
        "pipeline.py",
        f"""
        from ropewalk import pipeline, step

        @step
        def one():
            return 1

        @pipeline
        def train(n: int = 1):
            {body}
        """,
    )

    with pytest.raises(RopewalkError) as caught:
        project.run()

    assert (caught.value.code, caught.value.where) == (code, where)
    with project.site.db.read() as reader:
        assert reader.value("ledger.last") is None


@pytest.mark.parametrize(
    ("target", "args", "code"),
    [
        ("nothing.py:train", {}, "pipeline-file-not-found"),
        ("pipeline.py:nothing", {}, "pipeline-not-found"),
        ("pipeline.py:train", {"m": "1"}, "argument-unknown"),
        ("pipeline.py:train", {"n": "one"}, "argument-unreadable"),
        ("pipeline.py:train", {}, "argument-missing"),
        ("broken.py:train", {}, "pipeline-failed-to-load"),
    ],
)
def test_a_command_that_cannot_be_run_says_why(project, target, args, code):
    project.write("pipeline.py", "from ropewalk import pipeline\n\n@pipeline\ndef train(n: int):\n    pass\n")
    project.write("broken.py", "def train(:\n")

    with pytest.raises(RopewalkError) as caught:
        project.plan(target, **args)

    assert caught.value.code == code
    assert caught.value.fix


def test_parts_of_results_can_be_unpacked_and_indexed(project):
    project.write(
        "pipeline.py",
        """
        from ropewalk import pipeline, step

        @step
        def split():
            return (1, [2, 3]), {"name": 4}

        @step
        def show(*values, **named):
            return [*values, named]

        @pipeline
        def train():
            (a, b), rest = split()
            return show(a, b[1], rest["name"], key={"deep": [b]})
        """,
    )

    result = project.run()

    shown = project.value(result, "show")
    assert json.dumps(shown) == '[1, 3, 4, {"$dict": [["key", {"$dict": [["deep", [[2, 3]]]]}]]}]'


def test_the_decorated_function_is_the_function_it_was(project):
    import subprocess
    import sys

    project.write(
        "pipeline.py",
        """
        from ropewalk import log_metric, pipeline, step

        @step(retries=1)
        def one(n: int) -> int:
            "Doc."
            log_metric("n", n)
            return n

        @pipeline
        def train(n: int = 2):
            return one(n) + 1

        print(train(), one.__name__, one.__doc__)
        """,
    )

    printed = subprocess.run(
        [sys.executable, "pipeline.py"], cwd=project.site.root, capture_output=True, text=True, check=True
    )

    assert printed.stdout == "3 one Doc.\n"
