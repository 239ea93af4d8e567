"""Runs: parallel steps, retries, timeouts, failures told with the user's own lines, logs and what runs record."""

from __future__ import annotations

import json

import pytest

from ropewalk.data import snapshot
from ropewalk.errors import Invalid, NotFound, RopewalkError
from ropewalk.pipelines import outcomes
from ropewalk.pipelines.execute import run_pipeline
from ropewalk.pipelines.why import why
from ropewalk.runs import keep
from ropewalk.runs import run as runs


def test_an_ordinary_loop_runs_its_steps_beside_each_other(project):
    # Each of the two waits until the other has begun: one worker alone would never end.
    project.write(
        "pipeline.py",
        """
        import os
        from ropewalk import pipeline, step

        @step(timeout=20)
        def meet(me, other):
            os.mkfifo(f"fifo-{me}") if not os.path.exists(f"fifo-{me}") else None
            try:
                os.mkfifo(f"fifo-{other}")
            except FileExistsError:
                pass
            mine = os.open(f"fifo-{me}", os.O_RDWR)
            theirs = os.open(f"fifo-{other}", os.O_RDWR)
            os.write(theirs, b"x")
            return os.read(mine, 1).decode()

        @step
        def count(values):
            return len(values)

        @pipeline
        def train():
            return count([meet(me, 1 - me) for me in range(2)])
        """,
    )

    result = project.run()

    assert project.value(result, "count") == 2


def test_a_step_that_fails_is_tried_again_as_often_as_it_says(project):
    project.write(
        "pipeline.py",
        """
        from pathlib import Path
        from ropewalk import pipeline, step

        @step(retries=2, backoff=0.01)
        def shaky():
            tries = Path("tries.txt")
            tries.write_text((tries.read_text() if tries.exists() else "") + "x")
            if len(tries.read_text()) < 3:
                raise ConnectionError("try again")
            return len(tries.read_text())

        @pipeline
        def train():
            return shaky()
        """,
    )

    result = project.run()

    assert [item.state for item in project.told] == ["running", "retrying", "running", "retrying", "running", "done"]
    assert result.steps[0].attempt == 3
    assert project.value(result, "shaky") == 3


def test_a_step_over_its_time_is_killed_with_what_it_started(project):
    project.write(
        "pipeline.py",
        """
        import os, subprocess, sys
        from ropewalk import pipeline, step

        @step(timeout="700ms")
        def slow():
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            print(child.pid, flush=True)
            child.wait()

        @pipeline
        def train():
            return slow()
        """,
    )

    with pytest.raises(Invalid) as caught:
        project.run()

    assert caught.value.code == "step-failed"
    assert "longer than its 0.7 s" in caught.value.what
    child = int(caught.value.__notes__[-1])
    with pytest.raises(ProcessLookupError):
        _check_alive(child)


def _check_alive(pid: int) -> None:
    """Raise when the process is gone; one that is dead and not yet reaped by init is gone."""
    from ropewalk.leases import process_start

    if process_start(pid) is None:
        raise ProcessLookupError(pid)


def test_a_failing_step_is_told_in_four_lines_with_the_users_own_frames(project):
    project.write("features.py", "def ratio(a, b):\n    return a / b\n")
    project.write(
        "pipeline.py",
        """
        import functools
        import features
        from ropewalk import pipeline, step

        @step
        def fine():
            return 1

        @step
        def broken(value):
            print("about to divide")
            return functools.reduce(features.ratio, [value, 0])

        @step
        def never(value):
            return value

        @pipeline
        def train():
            return never(broken(fine()))
        """,
    )

    with pytest.raises(Invalid) as caught:
        project.run()

    error = caught.value
    assert error.what == "The step broken failed: ZeroDivisionError: division by zero"
    assert error.where == "features.py:2 in ratio"
    assert error.why == "return a / b"
    assert "same command again" in error.fix
    assert error.__notes__ == [
        (
            "pipeline.py:13 in broken: return functools.reduce(features.ratio, [value, 0])\n"
            "features.py:2 in ratio: return a / b"
        ),
        "about to divide",
    ]
    with project.site.db.read() as reader:
        (run,) = reader.all(runs.Run, "runs.of_state", state=runs.FAILED)
        steps = outcomes.steps_of(reader, run.id, running=False)
    assert [step.state for step in steps] == ["done", "failed", "skipped"]
    assert run.error == error.what


def test_a_mended_step_goes_on_where_the_failed_run_ended(project):
    project.write(
        "pipeline.py",
        """
        from ropewalk import pipeline, step

        @step
        def fine():
            return 1

        @step
        def broken(value):
            return value / 0

        @pipeline
        def train():
            return broken(fine())
        """,
    )
    with pytest.raises(Invalid):
        project.run()
    project.edit("pipeline.py", "value / 0", "value / 1")

    result = project.run()

    assert [step.state for step in result.steps] == ["cached", "done"]


def test_a_step_that_ends_its_process_is_a_failed_step(project):
    project.write(
        "pipeline.py",
        """
        import os
        from ropewalk import pipeline, step

        @step
        def crash():
            print("last words")
            os.abort()

        @pipeline
        def train():
            return crash()
        """,
    )

    with pytest.raises(Invalid) as caught:
        project.run()

    assert "status -6" in caught.value.what
    assert "last words" in caught.value.__notes__[-1]


def test_sys_exit_and_a_value_that_cannot_be_kept_are_failed_steps_and_not_the_end(project):
    project.write(
        "pipeline.py",
        """
        import sys
        from ropewalk import pipeline, step

        @step
        def leave(how):
            return sys.exit(3) if how else (lambda: 1)

        @pipeline
        def train(how: bool = True):
            return leave(how)
        """,
    )

    with pytest.raises(Invalid, match="SystemExit"):
        project.run()
    with pytest.raises(Invalid, match="cannot be kept"):
        project.run(how="no")


def test_steps_have_no_input_the_project_as_their_folder_and_a_log_of_their_own(project):
    project.write(
        "pipeline.py",
        """
        import os, sys
        from ropewalk import pipeline, step

        @step
        def look():
            print("printed")
            os.system("echo from a child")
            return [sys.stdin.read(), os.getcwd(), os.environ["ROPEWALK_RUN_ID"]]

        @pipeline
        def train():
            return look()
        """,
    )

    result = project.run()

    run_id = result.run.id
    assert project.value(result, "look") == ["", str(project.site.root.resolve()), run_id]
    log = project.site.hidden / "logs" / run_id / "look.log"
    assert log.read_text().splitlines() == ["printed", "from a child"]


def test_what_runs_is_the_code_as_it_was_kept_and_not_as_it_is_edited_meanwhile(project):
    project.write("late.py", "VALUE = 'kept'\n")
    project.write(
        "pipeline.py",
        """
        from pathlib import Path
        from ropewalk import pipeline, step

        @step
        def edit():
            Path("late.py").write_text("VALUE = 'edited'\\n")

        @step
        def use(_):
            import late
            return late.VALUE

        @pipeline
        def train():
            return use(edit())
        """,
    )

    result = project.run()

    assert project.value(result, "use") == "kept"


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
