"""Runs: parallel steps, retries, timeouts, failures told with the user's own lines, logs and what runs record."""

from __future__ import annotations

import pytest

from ropewalk.errors import Invalid
from ropewalk.pipelines import outcomes
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

    assert "was killed by SIGABRT" in caught.value.what
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
