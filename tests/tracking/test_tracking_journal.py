"""A journal holds what it took: in order, after a power cut, and it says so when a disk lied."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ropewalk.errors import Corrupt, Unavailable
from ropewalk.tracking.journal import CALLS, Body, Journal, Standing, journals


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
    journal.stand(Standing(done=2, ids={"mine": "theirs"}, refused={"0": "why"}))

    found = Journal(journal.folder)
    assert found.standing() == Standing(done=2, ids={"mine": "theirs"}, refused={"0": "why"})
    assert found.waiting == 1


def test_two_do_not_send_the_same(journal):
    with journal.held(), pytest.raises(Unavailable) as told, Journal(journal.folder).held():
        pass
    assert told.value.code == "spool-busy"


def test_a_folder_without_journals_has_none(tmp_path):
    assert journals(tmp_path / "nowhere") == []
