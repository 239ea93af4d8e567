"""The engine: maps, priorities, room, time, secrets, and what steps print."""

from __future__ import annotations

import json
import os
import select
import sqlite3  # noqa: TID251 - to look at every byte that is kept
from contextlib import suppress
from pathlib import Path

import pytest

from ropewalk.errors import Invalid, RopewalkError
from ropewalk.pipelines.logs import BYTES_MAX, logs_of
from ropewalk.pipelines.maps import MapRow
from ropewalk.runs import run as runs

MAPPED = """
import os
from pathlib import Path
from ropewalk import pipeline, step


@step
def numbers(n):
    return list(range(n))


@step(retries=1, backoff=0.01)
def double(number, by):
    if number == 5 and not Path("failed").exists():
        Path("failed").touch()
        raise ValueError("five")
    if number == 7 and not Path("died").exists():
        Path("died").touch()
        os._exit(3)
    with open("ran.txt", "a") as file:
        file.write(f"{number}\\n")
    return number * by


@step
def total(values):
    return sum(values)


@pipeline
def train(n: int, by: int = 2):
    return total(double.map(numbers(n), by=by))
"""


def rows_of(project, run_id: str) -> list[MapRow]:
    with project.site.db.read() as reader:
        return reader.all(MapRow, "pipelines.maps_of_run", run_id=run_id)


def ran(project) -> list[int]:
    path = project.site.root / "ran.txt"
    found = [int(line) for line in path.read_text().split()] if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def test_a_map_over_thousands_of_items_is_one_row_and_runs_what_is_new_alone(project):
    project.write("pipeline.py", MAPPED)

    first = project.run(n=10_000)
    ran_first = ran(project)
    again = project.run(n=10_000)
    more = project.run(n=10_010)

    assert [step.state for step in first.steps] == ["done", "done", "done"]
    (row,) = rows_of(project, first.run.id)
    assert (row.total, row.places(), len(row.done)) == (10_000, 10_000, 2_500)
    assert len(json.loads(row.parts)) <= 64
    assert set(ran_first) == set(range(10_000))
    assert project.value(first, "total") == 2 * sum(range(10_000))
    assert [step.state for step in again.steps] == ["cached", "cached", "cached"]
    assert sorted(ran(project)) == list(range(10_000, 10_010))
    assert project.value(more, "total") == 2 * sum(range(10_010))


def test_a_map_that_is_none_and_one_whose_item_fails_for_good_are_errors_of_their_step(project):
    project.write("pipeline.py", MAPPED.replace("return list(range(n))", "return n if n < 9 else [1, 2, 'x', None]"))

    with pytest.raises(Invalid) as none:
        project.run(n=3)
    with pytest.raises(Invalid) as failed:
        project.run(n=9, by=3)

    assert none.value.code == "map-no-list"
    assert failed.value.code == "step-failed"
    assert "TypeError" in failed.value.what


ORDERED = """
import os, time
from pathlib import Path
from ropewalk import pipeline, step


def note(word):
    with open("notes.txt", "a") as file:
        file.write(word + "\\n")


@step
def plain(k):
    note(f"plain{k}")


@step(priority=9)
def urgent(k):
    note(f"urgent{k}")


@step(cpu=2, memory="1MB")
def wide(k):
    note(f"wide begins")
    note(f"wide ends")


@step(gpu=64)
def cards(k):
    return k


@pipeline
def train(n: int = 1):
    for k in range(3):
        plain(k)
    for k in range(2):
        urgent(k)
    for k in range(3):
        wide(k)


@pipeline
def greedy(n: int = 1):
    plain(1), cards(1)
"""


def test_the_most_urgent_is_first_and_what_takes_the_machine_has_it_alone(project):
    project.write("pipeline.py", ORDERED)

    project.run()

    notes = (project.site.root / "notes.txt").read_text().split("\n")[:-1]
    assert [item.node for item in project.told if item.state == "running"][:2] == ["urgent", "urgent-2"]
    begun = [number for number, note in enumerate(notes) if note == "wide begins"]
    assert [notes[number + 1] for number in begun] == ["wide ends"] * 3


def test_a_step_that_wants_more_than_there_is_is_refused_before_anything_runs(project):
    project.write("pipeline.py", ORDERED)

    with pytest.raises(Invalid) as caught:
        project.run("pipeline.py:greedy")

    assert caught.value.code == "step-needs-too-much"
    assert caught.value.where.startswith("cards, pipeline.py:")
    assert not (project.site.root / "notes.txt").exists()


NATIVE = """
import ctypes, os, subprocess, sys
from ropewalk import pipeline, step


@step(timeout=1)
def stuck():
    child = subprocess.Popen(
        [sys.executable, "-c", "import os, signal; print(os.getpid(), flush=True); signal.pause()"],
        start_new_session=True, stdout=subprocess.PIPE, text=True,
    )
    with open("pids.txt", "w") as file:
        file.write(f"{os.getpid()} {child.stdout.readline()}")
    libc = ctypes.PyDLL(None)  # holds the interpreter's lock: no thread and no handler of Python runs again
    libc.sigfillset(mask := ctypes.create_string_buffer(128))
    libc.sigprocmask(0, mask, None)
    while True:
        libc.pause()


@pipeline
def train():
    stuck()
"""


def test_native_code_that_never_returns_ends_with_its_time_and_with_what_left_its_group(project):
    project.write("pipeline.py", NATIVE)

    with pytest.raises(RopewalkError) as caught:
        project.run()

    assert "longer than its 1 s" in caught.value.what
    for pid in (project.site.root / "pids.txt").read_text().split():
        assert is_gone(int(pid)), "a process outlived the step that started it"


def is_gone(pid: int) -> bool:
    """Wait on a process through a pidfd; one that is gone already is fine."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


SECRET = """
import os, subprocess, sys
from ropewalk import log_param, pipeline, step

SAFE = "nothing"


@step(secrets=["DB_PASSWORD", "API_TOKEN"])
def asks(how):
    word = os.environ["DB_PASSWORD"]
    print("word is", word[:4], end="")
    print(word[4:], os.environ["API_TOKEN"], flush=True)
    os.system("echo from a child: $DB_PASSWORD; cat /proc/self/cmdline | tr '\\\\0' ' '")
    if how == "raise":
        raise ValueError(f"refused: {word}")
    if how == "return":
        return [word]
    if how == "log":
        log_param("p", word)
    return len(word)


@step
def other(n):
    return os.environ.get("DB_PASSWORD", "none") == "none" and os.environ.get("API_TOKEN") is None


@pipeline
def train(how: str = "well"):
    other(asks(how))
"""
CANARIES = ("canary-in-the-file-7731", "canary-in-the-environment-9942")


def test_secrets_reach_the_step_alone_and_nothing_that_is_kept(project, monkeypatch, tmp_path_factory):
    project.write("pipeline.py", SECRET)
    project.write(".ropewalk/secrets/DB_PASSWORD", CANARIES[0] + "\n")
    tmp_path = tmp_path_factory.mktemp("elsewhere")
    (tmp_path / "token.txt").write_text(CANARIES[1])
    monkeypatch.setenv("API_TOKEN_FILE", str(tmp_path / "token.txt"))

    done = project.run()
    errors = []
    for how, code in (("raise", "step-failed"), ("return", "step-failed"), ("log", "step-failed")):
        with pytest.raises(Invalid) as caught:
            project.run(how=how)
        assert caught.value.code == code
        errors.append(f"{caught.value.record()} {getattr(caught.value, '__notes__', ())}")

    assert project.value(done, "asks") == len(CANARIES[0])
    assert project.value(done, "other") is True
    log = (project.site.hidden / "logs" / done.run.id / "asks.log").read_text()
    assert log.startswith("word is ***** *****\nfrom a child: *****\n")
    assert "refused: *****" in errors[0]
    assert "holds the secret DB_PASSWORD" in errors[1]
    (project.site.hidden / "secrets" / "DB_PASSWORD").unlink()
    for path in [*project.site.root.rglob("*")]:
        if path.is_file():
            data = path.read_bytes()
            assert not [word for word in CANARIES if word.encode() in data], path
    assert not [word for word in CANARIES if any(word in text for text in errors)]


def test_a_new_secret_makes_nothing_run_again_and_a_missing_one_is_an_error_of_the_user(project, monkeypatch):
    project.write("pipeline.py", SECRET)
    monkeypatch.setenv("DB_PASSWORD", "first-password")
    monkeypatch.setenv("API_TOKEN", "first-token")
    project.run()

    monkeypatch.setenv("DB_PASSWORD", "second-password")
    assert [step.state for step in project.run().steps] == ["cached", "cached"]
    monkeypatch.delenv("DB_PASSWORD")
    with pytest.raises(Invalid) as caught:
        project.run(how="other")

    assert caught.value.code == "secret-missing"


def test_what_steps_print_is_kept_with_the_run_and_bounded(project):
    project.write(
        "pipeline.py",
        """
        from ropewalk import pipeline, step

        @step
        def short():
            print("hello")

        @step
        def much():
            for number in range(300_000):
                print("line", number)

        @step
        def silent():
            pass

        @pipeline
        def train():
            short(), much(), silent()
        """,
    )

    done = project.run()

    with project.site.db.read() as reader:
        logs = logs_of(reader, done.run.id)
    assert set(logs) == {"short", "much"}
    assert logs["short"].text(project.site.blobs) == "hello\n"
    text = logs["much"].text(project.site.blobs)
    assert text.startswith("line 0\n")
    assert text.endswith("line 299999\n")
    assert "bytes are left out here" in text
    assert len(text) < BYTES_MAX + 100 < logs["much"].bytes
    assert (project.site.hidden / "logs" / done.run.id / "much.log").stat().st_size < BYTES_MAX + 100


@pytest.mark.parametrize("bad", [-1, 3])
def test_what_the_items_of_a_map_print_is_kept_with_the_run(project, bad):
    project.write(
        "pipeline.py",
        f"""
        from ropewalk import pipeline, step

        @step
        def each(number: int) -> int:
            print("item", number)
            if number == {bad}:
                raise ValueError(number)
            return number

        @pipeline
        def train():
            each.map(range(6))
        """,
    )
    with suppress(Invalid):
        project.run()

    with project.site.db.read() as reader:
        run = runs.find(reader, "train-1")
        printed = logs_of(reader, run.id)["each"].text(project.site.blobs)
    assert set(printed.splitlines()) >= {f"item {number}" for number in (range(6) if bad < 0 else [bad])}


def test_no_secret_is_in_any_row(project, monkeypatch):
    project.write("pipeline.py", SECRET)
    monkeypatch.setenv("DB_PASSWORD", CANARIES[0])
    monkeypatch.setenv("API_TOKEN", CANARIES[1])
    project.run()

    db = sqlite3.connect(Path(project.site.hidden) / "ropewalk.db")
    dump = "\n".join(db.iterdump())
    db.close()

    assert "insert into" in dump.lower()
    assert not [word for word in CANARIES if word in dump]
