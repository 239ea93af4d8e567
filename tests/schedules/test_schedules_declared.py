"""What is declared in code and settings: read and never run, checked whole, the same record from both."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from ropewalk import pipeline
from ropewalk.errors import Invalid, NotFound
from ropewalk.schedules.declared import RETRAIN, Declared, arguments, declared, parameters
from ropewalk.schedules.spec import Spec
from ropewalk.settings import Monitor, Schedule, Settings, read_settings
from schedules.clockwork import DAY, HOUR, SECOND, spec, us


def write(root: Path, text: str, name: str = "pipeline.py") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(dedent(text))


def found(root: Path, **words: Any) -> list[Spec]:
    return declared(root, Settings(name="p", **words))


def test_code_and_settings_make_the_same_record(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        import ropewalk as rw
        from ropewalk import pipeline as flow
        raise RuntimeError("this file is never run")
        ZONE: str = "Europe/Berlin"
        PATTERNS = ["in/*.csv", "more"]

        @flow(schedule="0 6 * * MON", timezone=ZONE, overlap="queue", catch_up="all", jitter="5m", start="2026-01-01")
        def nightly(n: int = 1): ...

        @rw.pipeline(files=PATTERNS)
        def arrivals(): ...

        @rw.pipeline(schedule="every 15m")
        def often(): ...

        @flow
        def by_hand(): ...
        """,
    )
    same = Schedule(
        name="nightly",
        pipeline="pipeline.py:nightly",
        cron="0 6 * * MON",
        timezone="Europe/Berlin",
        overlap="queue",
        catch_up="all",
        jitter="5m",
        start="2026-01-01",
    )

    nightly, arrivals, often = found(tmp_path)
    (other,) = found(tmp_path / "empty", schedules=(same,))

    assert nightly.text().replace('"origin":"code"', '"origin":"settings"') == other.text()
    assert nightly.start_us == us("2026-01-01 00:00", "Europe/Berlin")
    assert (arrivals.files, arrivals.overlap) == (("in/*.csv", "more"), "queue")
    assert (often.every_us, often.overlap, often.pipeline) == (900 * SECOND, "skip", "pipeline.py:often")
    assert Spec.from_text(nightly.text()) == nightly


def test_packages_tests_and_environments_are_looked_at_as_git_would(tmp_path: Path) -> None:
    text = 'from ropewalk import pipeline\n@pipeline(schedule="0 6 * * *")\ndef {}(): ...\n'
    write(tmp_path, text.format("deep"), "flows/nightly/deep.py")
    write(tmp_path, text.format("hidden"), ".cache/hidden.py")
    write(tmp_path, text.format("library"), "env1/lib/library.py")
    (tmp_path / "env1" / "pyvenv.cfg").touch()
    write(tmp_path, "def broken(:", "broken.py")

    assert [one.pipeline for one in found(tmp_path)] == ["flows/nightly/deep.py:deep"]


def test_a_monitor_that_asks_to_retrain_is_a_schedule(tmp_path: Path) -> None:
    monitor = Monitor(name="drift", kind="drift", retrain=True)

    (one,) = found(tmp_path, monitors=(monitor,), retrain={"month": 3})

    assert (one.name, one.kind, one.overlap, one.args) == (RETRAIN, "alarm", "queue", {"month": 3})


@pytest.mark.parametrize(
    "words",
    [
        {"cron": "61 * * * *"},
        {"cron": "0 6 * *"},
        {"cron": "0 0 30 2 *"},
        {"cron": "0 0 0 6 * *"},
        {"cron": "0 6 * * *", "timezone": "Mars/Olympus"},
        {"cron": "0 6 * * *", "timezone": "../../etc/passwd"},
        {"cron": "0 6 * * *", "every": "1h"},
        {},
        {"every": "0.5s"},
        {"every": "often"},
        {"every": "1h", "jitter": "-5m"},
        {"cron": "0 6 * * *", "start": "soon"},
        {"cron": "0 6 * * *", "start": "2026-02-01", "end": "2026-01-01"},
        {"cron": "0 6 * * *", "catch_up": "all", "overlap": "skip"},
        {"cron": "0 6 * * *", "match": {"a": 1}},
        {"files": ("../secret",)},
        {"files": ("/etc/*",)},
        {"query": "select 1"},
        {"query": "delete from orders", "database": "orders.db"},
        {"query": "select 1", "database": "../orders.db"},
        {"cron": "0 6 * * *", "pipeline": "train"},
        {"cron": "0 6 * * *", "name": "a b"},
    ],
)
def test_what_makes_no_sense_is_told_with_its_schedule(words: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        spec(**words)

    assert caught.value.code == "schedule-invalid"
    assert "schedule " in caught.value.where
    assert caught.value.why


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("@pipeline(schedule=when())\ndef f(): ...", "read from the source and never run"),
        ("@pipeline(schedule=6)\ndef f(): ...", "a text such as"),
        ('@pipeline(schedule="0 6 * * *", overlap="drop")\ndef f(): ...', "overlap"),
        (
            '@pipeline(schedule="0 6 * * *")\ndef f(): ...\n@pipeline(schedule="0 7 * * *")\ndef f(): ...',
            "two schedules",
        ),
    ],
)
def test_code_that_cannot_be_read_is_told_with_its_line(tmp_path: Path, text: str, why: str) -> None:
    write(tmp_path, f"from ropewalk import pipeline\n{text}\n")

    with pytest.raises(Invalid) as caught:
        found(tmp_path)

    assert why in caught.value.why


def test_a_word_that_no_schedule_knows_is_refused_where_it_is_written() -> None:
    with pytest.raises(Invalid, match="no option 'timezon'"):
        pipeline(schedule="0 6 * * *", timezon="UTC")  # type: ignore[call-overload]


def test_a_pipeline_is_told_what_it_asks_for_by_name(tmp_path: Path) -> None:
    write(tmp_path, "def some(n, interval_start=''): ...\ndef any(**words): ...\n")
    told = {"interval_start": "a", "interval_end": "b"}

    assert parameters(tmp_path, "pipeline.py:some") == {"n", "interval_start"}
    assert arguments(tmp_path, spec(cron="0 6 * * *", pipeline="pipeline.py:some", args={"n": 2}), told) == {
        "n": 2,
        "interval_start": "a",
    }
    assert arguments(tmp_path, spec(cron="0 6 * * *", pipeline="pipeline.py:any"), told) == told
    with pytest.raises(NotFound, match="cannot be found"):
        parameters(tmp_path, "pipeline.py:nobody")


def test_it_is_read_anew_when_a_file_changes_and_not_before(tmp_path: Path) -> None:
    write(tmp_path, 'name = "p"\n[[schedules]]\nname = "a"\nevery = "1h"\n', "ropewalk.toml")
    look = Declared(tmp_path)

    first, second = look(), look()
    write(tmp_path, 'name = "p"\n[[schedules]]\nname = "other"\nevery = "1d"\n', "ropewalk.toml")
    third = look()

    assert first is not None
    assert third is not None
    assert second is None
    assert [one.every_us for one in (*first, *third)] == [HOUR, DAY]
    assert read_settings(tmp_path).schedules[0].name == "other"
