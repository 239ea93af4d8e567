"""The chain names the first entry that does not hold, whatever was done to it."""

import sqlite3  # noqa: TID251 - somebody who edits the file does not use our adapter
from itertools import pairwise

import pytest

from ropewalk.errors import Conflict, RopewalkError
from ropewalk.ledger.chain import START, Entry, append, entries, first_break, follows
from ropewalk.ledger.sign import Checker, Signer
from ropewalk.refs import canonical, digest_of
from ropewalk.store.sqlite import SqliteDatabase

COUNT = 12


@pytest.fixture
def filled(site):
    for place in range(COUNT):
        site.db.write(lambda tx, place=place: site.record(tx, "thing.done", f"thing:{place}", {"place": place}))
    return site


def broken(site, head=None):
    with site.db.read() as rows:
        return first_break(rows, Checker(site.signer.public), head)


def edit(site, *statements):
    """Change the file as somebody with the disk in his hands would: without triggers."""
    raw = sqlite3.connect(site.hidden / "ropewalk.db")
    for trigger in ("ledger_keeps_rows", "ledger_keeps_words"):
        raw.execute(f"drop trigger if exists {trigger}")
    for statement in statements:
        raw.execute(statement)
    raw.commit()
    raw.close()


def test_an_untouched_chain_holds(filled):
    assert broken(filled) is None
    with filled.db.read() as rows:
        chain = list(entries(rows))
    assert [entry.seq for entry in chain] == list(range(1, COUNT + 1))
    assert chain[0].prev == START
    assert all(later.prev == follows(earlier.hash, earlier.signature) for earlier, later in pairwise(chain))
    assert chain[3].facts() == {"place": 3}


def test_an_empty_ledger_holds_but_not_one_that_had_a_head(site):
    assert broken(site) is None
    assert broken(site, (1, "sha256:" + "0" * 64)).seq == 1


@pytest.mark.parametrize("column", [field for field in Entry.__slots__ if field != "seq"])
def test_a_changed_word_is_named(filled, column):
    change = f"{column} + 1" if column == "at_us" else f"'x' || substr({column}, 2)"
    edit(filled, f"update ledger set {column} = {change} where seq = 5")

    assert broken(filled).seq == 5


def test_a_chain_hashed_anew_without_the_key_is_named_where_it_was_changed(filled):
    """Every hash is right again, but only the key could sign them: bisection finds the place."""
    with filled.db.read() as rows:
        chain = list(entries(rows))
    prev = follows(chain[3].hash, chain[3].signature)
    statements = []
    for entry in chain[4:]:
        body = entry.body.replace("4", "9") if entry.seq == 5 else entry.body
        hash_ = digest_of(canonical([entry.seq, entry.at_us, entry.actor, entry.kind, entry.subject, body, prev]))
        changes = f"body = '{body}', prev = '{prev}', hash = '{hash_}'"
        statements.append(f"update ledger set {changes} where seq = {entry.seq}")
        prev = follows(hash_, entry.signature)
    edit(filled, *statements)

    assert broken(filled).seq == 5
    assert "signature" in broken(filled).why


@pytest.mark.parametrize("seq", [1, 5, COUNT])
def test_a_changed_signature_is_named_old_or_new(filled, seq):
    edit(filled, f"update ledger set signature = upper(signature) where seq = {seq}")

    assert broken(filled).seq == seq


@pytest.mark.parametrize("seq", [0, -3])
def test_an_entry_before_the_first_is_named(filled, seq):
    words = f"{seq}, 1, 'a', 'k', 's', '[]', 'p{seq}', 'h', 'x'"
    edit(filled, f"insert into ledger values ({words})")

    assert broken(filled).seq == seq
    assert "no place" in broken(filled).why


@pytest.mark.parametrize("value", ["x'ff00'", "cast(x'ff' as text)"])
def test_an_entry_that_is_no_text_is_named_and_not_heard(filled, value):
    edit(filled, f"update ledger set body = {value} where seq = 8")
    heard = []

    with filled.db.read() as rows:
        found = first_break(rows, Checker(filled.signer.public), on_entry=lambda entry: heard.append(entry.seq))

    assert found.seq == 8
    assert 8 not in heard
    assert heard[:7] == [1, 2, 3, 4, 5, 6, 7]


def test_a_removed_entry_is_named(filled):
    edit(filled, "delete from ledger where seq = 6")

    assert broken(filled).seq == 6
    assert "missing" in broken(filled).why


def test_a_removed_entry_is_named_even_when_the_rest_moves_up(filled):
    edit(
        filled,
        "delete from ledger where seq = 6",
        *[f"update ledger set seq = {seq - 1} where seq = {seq}" for seq in range(7, COUNT + 1)],
    )

    assert broken(filled).seq == 6


def test_two_exchanged_entries_are_named(filled):
    edit(
        filled,
        "update ledger set seq = 99 where seq = 4",
        "update ledger set seq = 4 where seq = 5",
        "update ledger set seq = 5 where seq = 99",
    )

    assert broken(filled).seq == 4


def test_a_tail_cut_off_shows_only_against_the_head_that_was_written_down(filled):
    with filled.db.read() as rows:
        last = list(entries(rows))[-1]
    edit(filled, f"delete from ledger where seq > {COUNT - 3}")

    assert broken(filled) is None
    assert broken(filled, (last.seq, last.hash)).seq == COUNT - 2


def test_a_chain_written_anew_by_another_key_is_named(filled, tmp_path):
    stranger = Signer.create(tmp_path / "stranger")
    edit(filled, "delete from ledger")
    filled.db.write(lambda tx: append(tx, stranger, at_us=1, actor="a", kind="k", subject="s", body={}))

    assert broken(filled).seq == 1
    assert "signature" in broken(filled).why


def test_a_head_of_another_chain_is_named(filled):
    assert broken(filled, (3, "sha256:" + "1" * 64)).seq == 3


def test_the_database_itself_keeps_every_row(filled):
    raw = sqlite3.connect(filled.hidden / "ropewalk.db")
    for statement in ("delete from ledger", "update ledger set actor = 'me'"):
        with pytest.raises(sqlite3.IntegrityError, match="the ledger keeps every row"):
            raw.execute(statement)
    raw.close()


def test_the_entry_falls_with_the_change_it_tells_of(filled):
    def work(tx):
        filled.record(tx, "thing.done", "thing:x", {})
        raise Conflict("planned", "planned")

    with pytest.raises(RopewalkError, match="planned"):
        filled.db.write(work)

    with filled.db.read() as rows:
        assert len(list(entries(rows))) == COUNT


def test_a_body_that_json_cannot_say_changes_nothing(filled):
    with pytest.raises(ValueError, match="JSON"):
        filled.db.write(lambda tx: filled.record(tx, "thing.done", "thing:x", {"share": float("nan")}))

    assert broken(filled) is None


def test_entries_come_in_order_over_many_pages(site, monkeypatch):
    monkeypatch.setattr("ropewalk.ledger.chain.PAGE_ROWS", 3)
    for place in range(8):
        site.db.write(lambda tx, place=place: site.record(tx, "k", "s", place))

    with site.db.read() as rows:
        assert [entry.facts() for entry in entries(rows)] == list(range(8))


def test_an_entry_of_another_history_of_the_same_project_is_named(filled, tmp_path):
    """A copy of the project went on by itself; its entry is signed by the same key, and does not belong here."""
    copied = tmp_path / "copy.db"
    filled.db.backup(copied)
    copy = SqliteDatabase(copied, filled.clock)
    for what in ("theirs", "graft"):
        copy.write(lambda tx, what=what: _append(tx, filled, what))
        filled.db.write(lambda tx, what=what: _append(tx, filled, f"ours, not {what}"))
    with copy.read() as rows:
        graft = list(entries(rows))[-1]
    copy.close()
    words = ", ".join(f"{column} = '{getattr(graft, column)}'" for column in ("body", "prev", "hash", "signature"))

    edit(filled, f"update ledger set {words} where seq = {graft.seq}")

    assert broken(filled).seq == graft.seq
    assert "before it" in broken(filled).why


def _append(tx, site, what):
    return append(tx, site.signer, at_us=1, actor="a", kind="k", subject="s", body=what)
