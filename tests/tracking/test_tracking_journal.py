"""A journal holds what it took: in order, after a power cut, and it says so when a disk lied."""

from __future__ import annotations

import io
import resource
from pathlib import Path

import pytest

from ropewalk.errors import Corrupt, Unavailable
from ropewalk.tracking import refused
from ropewalk.tracking.journal import CALLS, PROGRESS, STATE, Body, Journal, Standing, journals
from ropewalk.tracking.replay import renamed


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path / "spool" / "one", "http://127.0.0.1:1", 5)


def fill(journal: Journal, count: int) -> None:
    for number in range(count):
        journal.append(
            at_us=number,
            method="POST",
            target="/api/2.0/mlflow/runs/log-metric",
            headers={"Content-Type": "application/json"},
            body=Body(text=f'{{"ü": {number}}}'),
        )


def test_calls_come_back_in_their_order(journal, tmp_path):
    fill(journal, 5)

    (found,) = journals(tmp_path / "spool")
    assert (found.url, found.waiting, len(found)) == ("http://127.0.0.1:1", 5, 5)
    assert [call.number for call in found.calls()] == [0, 1, 2, 3, 4]
    assert [call.number for call in found.calls(3)] == [3, 4]
    assert found.body(next(found.calls(4))) == '{"ü": 4}'.encode()


def test_a_file_is_kept_beside_until_it_was_sent(journal):
    call = journal.append(
        at_us=1, method="PUT", target="/a", headers={}, body=Body(source=io.BytesIO(b"x" * 3_000_000))
    )

    path = journal.body(call)
    assert isinstance(path, Path)
    assert path.stat().st_size == 3_000_000
    journal.forget_body(call)
    assert not path.exists()


def test_a_line_torn_by_a_power_cut_was_never_acknowledged(journal, tmp_path):
    fill(journal, 3)
    path = journal.folder / CALLS
    for cut in (1, 20, len(path.read_bytes().splitlines()[2])):
        torn = Journal(Path(f"{journal.folder}-{cut}"))
        torn.folder.mkdir()
        (torn.folder / CALLS).write_bytes(path.read_bytes()[:-cut])

        assert [call.number for call in torn.calls()] == [0, 1]


def test_a_line_that_was_changed_is_damage(journal):
    fill(journal, 3)
    path = journal.folder / CALLS
    path.write_bytes(path.read_bytes().replace(b'\\": 1}', b'\\": 7}'))

    with pytest.raises(Corrupt) as told:
        list(Journal(journal.folder).calls())
    assert told.value.code == "spool-damaged"
    assert "line 2" in told.value.where


def test_how_far_it_was_sent_is_kept(journal):
    fill(journal, 3)
    journal.stand(1, ids={"mine": "theirs"}, refused={}, settle=True)
    journal.stand(2, ids={}, refused={"0": "why"}, settle=False)

    found = Journal(journal.folder)
    assert found.standing() == Standing(done=2, ids={"mine": "theirs"}, refused={"0": "why"})
    assert found.waiting == 1


def test_what_is_written_for_a_call_does_not_grow_with_the_calls_before(journal):
    fill(journal, 1)
    for number in range(400):
        journal.stand(number, ids={f"{number:032x}": f"{number + 1:032x}"}, refused={}, settle=False)
    before = (journal.folder / PROGRESS).stat().st_size
    journal.stand(400, ids={}, refused={}, settle=False)

    assert (journal.folder / PROGRESS).stat().st_size - before < 40
    assert not (journal.folder / STATE).exists()
    assert len(Journal(journal.folder).standing().ids) == 400


def test_a_long_progress_is_folded_into_the_state_and_says_the_same(journal, monkeypatch):
    monkeypatch.setattr("ropewalk.tracking.journal.PROGRESS_BYTES", 2000)
    for number in range(200):
        told = {str(number): "no"} if number % 50 == 7 else {}
        journal.stand(number + 1, ids={f"m{number}": f"t{number}"}, refused=told, settle=False)
    journal.buried(["7", "57"])
    # A kill between the two steps of folding leaves lines that are in the state already: they are told once more.
    held = (journal.folder / PROGRESS).read_bytes()
    assert len(held) < 8000
    journal._compact()
    (journal.folder / PROGRESS).write_bytes(held)

    found = Journal(journal.folder).standing()
    assert (found.done, dict(found.refused)) == (200, {"107": "no", "157": "no"})
    assert found.ids == {f"m{number}": f"t{number}" for number in range(200)}
    assert (journal.folder / STATE).exists()


def test_a_line_of_progress_torn_by_a_power_cut_counts_for_nothing(journal):
    fill(journal, 4)
    journal.stand(1, ids={"a": "b"}, refused={}, settle=True)
    journal.stand(2, ids={"c": "d"}, refused={}, settle=True)
    path = journal.folder / PROGRESS
    path.write_bytes(path.read_bytes()[:-5])

    found = Journal(journal.folder)
    assert (found.standing().done, dict(found.standing().ids)) == (1, {"a": "b"})
    found.stand(3, ids={"e": "f"}, refused={}, settle=True)
    assert dict(Journal(journal.folder).standing().ids) == {"a": "b", "e": "f"}


def test_refused_calls_lie_apart_with_their_words_and_their_files(journal):
    fill(journal, 2)
    journal.append(at_us=9, method="PUT", target="/a", headers={}, body=Body(source=io.BytesIO(b"bytes")))
    fill(journal, 1)
    journal.stand(4, ids={"mine": "theirs"}, refused={"1": "no", "2": "never"}, settle=True)

    kept = refused.bury(journal)
    assert kept is not None
    assert refused.words(kept) == ["no", "never"]
    assert [call.target for call in kept.calls()] == ["/api/2.0/mlflow/runs/log-metric", "/a"]
    body = kept.body(list(kept.calls())[1])
    assert isinstance(body, Path)
    assert body.read_bytes() == b"bytes"
    assert (kept.waiting, dict(kept.standing().ids)) == (2, {"mine": "theirs"})
    assert dict(Journal(journal.folder).standing().refused) == {}
    assert not list((journal.folder / "bodies").iterdir())
    assert [one.folder.name for one in journals(journal.folder.parent)] == ["one"]
    assert refused.bury(journal) is None


def test_a_burial_that_was_killed_in_the_middle_is_done_once(journal):
    fill(journal, 2)
    journal.stand(2, ids={}, refused={"1": "no"}, settle=True)
    held = (journal.folder / PROGRESS).read_bytes()
    first = refused.bury(journal)
    (journal.folder / PROGRESS).write_bytes(held)

    again = refused.bury(Journal(journal.folder))
    assert first is not None
    assert again is not None
    assert first.folder == again.folder
    assert len(refused.listed(journal.folder.parent)) == 1


def test_only_whole_words_are_names():
    ids = {"m-1": "m-9", "1000000000000007": "4", "spooled/m-1/artifacts": "3/models/m-9"}

    for text, wanted in (
        ("models:/m-1/x", "models:/m-9/x"),
        ("m-12 xm-1 m-1", "m-12 xm-1 m-9"),
        ("/a%2Fm-1%2Fb", "/a%2Fm-9%2Fb"),
        ('{"a": "\\nm-1", "v": "\\u00e9m-1"}', '{"a": "\\nm-9", "v": "\\u00e9m-9"}'),
        ("/spooled/m-1/artifacts/a.txt", "/3/models/m-9/a.txt"),
        ("version=1000000000000007&x=11000000000000007", "version=4&x=11000000000000007"),
    ):
        assert renamed(text, ids) == wanted


def test_two_do_not_send_the_same(journal):
    with journal.held(), pytest.raises(Unavailable) as told, Journal(journal.folder).held():
        pass
    assert told.value.code == "spool-busy"


def test_a_folder_without_journals_has_none(tmp_path):
    assert journals(tmp_path / "nowhere") == []


def test_a_call_that_the_disk_refused_does_not_hurt_those_that_follow(journal):
    fill(journal, 2)
    path = journal.folder / CALLS
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (0, 1, 40):
        whole = path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (whole + room, before[1]))
        try:
            with pytest.raises(OSError, match="large"):
                fill(journal, 1)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert path.stat().st_size == whole + room
        fill(journal, 1)

    found = Journal(journal.folder)
    assert [call.number for call in found.calls()] == [0, 1, 2, 3, 4]
    fill(found, 1)
    assert len(Journal(journal.folder)) == 6
