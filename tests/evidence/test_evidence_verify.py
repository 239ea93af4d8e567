"""Verification says that everything holds when it does, and names what does not."""

from __future__ import annotations

import sqlite3  # noqa: TID251 - somebody who edits the file does not use our adapter
from pathlib import Path

import pytest

from evidence.delivered import Delivered, opened
from evidence.test_evidence_trace import journaled
from loops import rollouts
from ropewalk.endpoints.capture import recover
from ropewalk.endpoints.journal import ENDING, Journal
from ropewalk.errors import Corrupt
from ropewalk.evidence.claims import CLAIMS
from ropewalk.evidence.verify import Report, verify
from ropewalk.house import House
from ropewalk.ledger.chain import entries
from ropewalk.ledger.head import FILE
from ropewalk.ledger.sign import Signer
from ropewalk.models import versions
from ropewalk.observations import labels
from ropewalk.refs import uuid7
from ropewalk.releases import rollout as rollout_room
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock


def check(root: Path) -> Report:
    with opened(root) as open_:
        return verify(open_.site)


def said(report: Report) -> str:
    return "\n".join(f"{finding.what}: {finding.why}" for finding in report.findings)


def edit(root: Path, *statements: str) -> None:
    """Change the rows as somebody with the disk in his hands would."""
    raw = sqlite3.connect(root / ".ropewalk" / "ropewalk.db")
    for trigger in ("ledger_keeps_rows", "ledger_keeps_words"):
        raw.execute(f"drop trigger if exists {trigger}")
    for statement in statements:
        raw.execute(statement)
    raw.commit()
    raw.close()


def test_everything_holds_in_a_project_that_ran_shipped_and_answered(reading: House) -> None:
    report = verify(reading.site)

    assert report.findings == ()
    assert report.holds
    assert report.entries == report.head > 20
    assert report.written_head == report.head
    assert report.bundles == 1
    assert report.segments >= 1
    assert report.blobs > 20
    assert report.key == reading.site.signer.key_id


def test_every_kind_of_entry_is_compared_with_rows_or_known_to_have_none(reading: House) -> None:
    with reading.site.db.read() as rows:
        kinds = {entry.kind for entry in entries(rows)}

    heard = {kind for claim in CLAIMS for kind in claim.kinds}
    assert kinds - heard == {"labels.added", "reports.added", "run.graph", "run.steps"}


def test_a_copy_without_the_private_key_is_verified_too(copied: Path, reading: House) -> None:
    (copied / ".ropewalk" / "keys" / "ledger.key").unlink()
    site = Site(
        root=copied,
        db=reading.site.db,
        blobs=reading.site.blobs,
        clock=reading.site.clock,
        signer=Signer(copied / ".ropewalk" / "keys" / "ledger.key"),
        actor="auditor",
    )

    assert verify(site).findings == ()


def test_progress_is_told_of_every_part(reading: House) -> None:
    told: list[str] = []

    verify(reading.site, lambda what, _done, _of: told.append(what))

    assert list(dict.fromkeys(told)) == ["database", "ledger", "blobs", "segments"]


def test_a_blob_that_is_gone_is_named_with_who_needs_it(copied: Path) -> None:
    blobs = sorted((copied / ".ropewalk" / "blobs").glob("[0-9a-f][0-9a-f]/*"))
    silent = []
    for path in blobs:
        data = path.read_bytes()
        path.unlink()
        if f"sha256:{path.parent.name}{path.name}" not in said(check(copied)):
            silent.append(data[:60])
        path.write_bytes(data)

    assert silent == []


def test_what_is_no_blob_is_named(copied: Path) -> None:
    blobs = copied / ".ropewalk" / "blobs"
    shelf = next(iter(sorted(blobs.glob("[0-9a-f][0-9a-f]"))))
    (shelf / "notes.txt").write_text("x")
    (blobs / "readme").write_text("x")
    (shelf / ("0" * 62)).mkdir()
    (blobs / "incoming" / "left").write_text("by a killed writer")

    report = check(copied)

    assert {finding.what for finding in report.findings if finding.what.startswith("file ")} == {
        f"file blobs/{shelf.name}/notes.txt",
        f"file blobs/{shelf.name}/{'0' * 62}",
        "file blobs/readme",
    }
    assert "left" not in said(report)


def test_a_segment_that_is_gone_or_was_never_sealed_is_named(copied: Path) -> None:
    segment = next(iter(sorted((copied / ".ropewalk" / "capture").glob("*/*.parquet"))))
    stray = segment.with_name("stray.parquet")
    segment.rename(stray)

    words = said(check(copied))

    assert f"segment flights/{segment.name}: the file is gone" in words
    assert "file capture/flights/stray.parquet" in words


def test_a_journal_left_by_a_killed_gateway_is_fine_and_a_damaged_one_is_named(copied: Path) -> None:
    path = copied / ".ropewalk" / "capture" / "flights" / f"{uuid7(5)}{ENDING}"
    journal = Journal(path)
    journal.append({"id": ["a"]}, 1)
    journal.close()
    path.with_suffix(".parquet").write_bytes(b"half made")
    assert check(copied).findings == ()

    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))

    assert f"journal flights/{path.name}" in said(check(copied))


def test_what_a_running_gateway_seals_meanwhile_is_no_stray(copied: Path) -> None:
    with opened(copied) as open_:
        site = open_.site
        journaled(site)
        sealed = []

        def meanwhile(what: str, _done: int, _of: int) -> None:
            if what == "segments":
                sealed.extend(recover(site))

        assert verify(site, meanwhile).findings == ()
        assert len(sealed) == 1
        assert verify(site).findings == ()


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("delete from runs", "run "),
        ("delete from model_versions", "model "),
        ("delete from model_aliases", "alias "),
        ("delete from traffic", "traffic "),
        ("delete from labels", "labels of entry"),
        ("delete from segments", "segment "),
        ("delete from alerts", "alert "),
        ("delete from release_stages where stage = 'scan'", "stage flights/1 scan"),
        ("update alerts set state = 'open', closed_us = null", "state of alert"),
        ("update outcomes set value = replace(value, '0', '1')", "outcome of step key"),
        ("insert into approvals values ('flights/1', 'production', 'b', 'e', 'eve', 'approve', '', 1)", "approval "),
        ("insert into labels values ('flights', '', 'k', '1', 5, 5, 7)", "labels of entry 7"),
        ("update releases set bundle = manifest", "bundle of release flights/1"),
    ],
)
def test_rows_removed_changed_or_added_are_named(copied: Path, statement: str, word: str) -> None:
    edit(copied, statement)

    assert word in said(check(copied))


def test_the_first_broken_link_of_the_ledger_comes_first(copied: Path) -> None:
    edit(copied, "update ledger set body = '{}' where seq >= 7", "delete from runs")
    next(iter((copied / ".ropewalk" / "blobs").glob("[0-9a-f][0-9a-f]/*"))).unlink()

    report = check(copied)

    assert report.findings[0].what == "ledger entry 7"
    assert len(report.findings) > 3


def test_a_tail_cut_off_with_all_its_rows_is_named_by_the_head(copied: Path) -> None:
    edit(copied, "delete from ledger where kind like 'alert.%'", "delete from alerts")

    report = check(copied)

    assert [finding.why for finding in report.findings] == [
        "the chain was cut off before the head that was written down"
    ]
    assert check(copied).findings == report.findings, "reading does not write the head anew"


def test_without_a_written_head_the_report_says_so(copied: Path) -> None:
    with opened(copied) as open_:
        (open_.site.hidden / FILE).unlink()
        report = verify(open_.site)

    assert report.holds
    assert report.written_head == 0


def test_a_damaged_head_is_named_and_kept(copied: Path) -> None:
    path = copied / ".ropewalk" / FILE
    path.write_bytes(path.read_bytes().replace(b'"payloadType"', b'"payloadtype"'))

    for _ in range(2):
        assert [finding.what for finding in check(copied).findings] == [FILE]


def test_another_public_key_is_named(copied: Path, tmp_path: Path) -> None:
    other = Signer.create(tmp_path / "other")
    (copied / ".ropewalk" / "keys" / "ledger.pub").write_text(other.public + "\n")

    assert [finding.what for finding in check(copied).findings] == ["keys/ledger.pub"]


def test_a_stranger_who_signs_everything_anew_is_told_by_the_key(copied: Path, delivered: Delivered) -> None:
    with opened(delivered.root) as open_:
        ours = open_.site.signer.key_id
    for name in ("ledger.key", "ledger.pub"):
        (copied / ".ropewalk" / "keys" / name).unlink()

    report = check(copied)  # opening makes a new pair

    assert report.key != ours
    assert report.findings[0].what == FILE
    assert "ledger entry 1: its signature is not the project's" in said(report)
    assert any(finding.what.startswith("bundle ") for finding in report.findings)


def test_no_key_at_all_is_an_error_and_no_finding(copied: Path, reading: House) -> None:
    site = Site(
        root=copied,
        db=reading.site.db,
        blobs=reading.site.blobs,
        clock=reading.site.clock,
        signer=Signer(copied / "nowhere"),
        actor="auditor",
    )
    (copied / ".ropewalk" / "keys" / "ledger.pub").write_bytes(b"\xff\xfe")

    with pytest.raises(Corrupt) as caught:
        verify(site)
    assert caught.value.code == "key-malformed"


def test_an_entry_that_is_no_text_is_named(copied: Path) -> None:
    edit(copied, "update ledger set body = x'ff00' where seq = 4")
    assert check(copied).findings[0].what == "ledger entry 4"

    edit(copied, "update ledger set body = cast(x'ff00' as text) where seq = 3")
    assert check(copied).findings[0].what == "ledger entry 3"


def test_provenance_of_another_bundle_is_named(copied: Path) -> None:
    with opened(copied) as open_:
        site = open_.site
        from ropewalk.releases import release
        from ropewalk.releases.bundle import read_bundle, write_bundle

        with site.db.read() as rows:
            bundle = read_bundle(site.blobs, release.get(rows, "flights/1").bundle)
        other = write_bundle(site.blobs, type(bundle)(**{**_fields(bundle), "lock": bundle.contract}))
    edit(copied, f"update releases set bundle = '{other}'")

    assert f"bundle {other}: its provenance speaks of another bundle" in said(check(copied))


def _fields(bundle: object) -> dict[str, object]:
    return {name: getattr(bundle, name) for name in type(bundle).__struct_fields__}  # type: ignore[attr-defined]


def test_decisions_about_a_canary_are_claimed(site: Site, clock: SetClock) -> None:
    begun = rollouts.begin(site, clock)
    evidence = site.blobs.put(b'{"rows":1}')
    site.db.write(lambda tx: rollout_room.keep(tx, site, begun, evidence=evidence, reason="too few rows"))
    assert "decision" not in said(verify(site))

    edit(site.root, "update rollout_decisions set decision = 'promote'")

    assert "decision on canary" in said(verify(site))


def test_aliases_and_label_batches_hold_as_they_grow(copied: Path, delivered: Delivered) -> None:
    with opened(copied) as open_:
        site = open_.site
        for alias in ("best", "worst"):
            for version in (0, 1) if alias == "best" else (1,):
                site.db.write(lambda tx, a=alias, v=version: versions.set_alias(tx, site, "flights", a, v))
        told = [(one, at % 2, 10**15 + at) for at, one in enumerate(delivered.predictions)]
        site.db.write(lambda tx: labels.add(tx, site, "flights", told))
        site.db.write(lambda tx: labels.add(tx, site, "flights", [labels.Label(value="x", known_us=7, key="a flight")]))

        assert verify(site).findings == ()


OPENS_NOT = ("header", "root", "cut")


@pytest.mark.parametrize("at", ["header", "root", "middle", "end", "cut"])
def test_a_damaged_database_is_named_and_never_a_traceback(copied: Path, at: str) -> None:
    path = copied / ".ropewalk" / "ropewalk.db"
    raw = sqlite3.connect(path)
    raw.execute("pragma wal_checkpoint(truncate)")
    raw.close()
    data = bytearray(path.read_bytes())
    middle = data.index(b"step.done") & ~4095
    place = {"header": 0, "root": 100, "middle": middle, "end": len(data) - 4096, "cut": len(data) // 2}[at]
    if at == "cut":
        del data[place:]
    else:
        data[place : place + 64] = b"\xff" * 64
    path.write_bytes(bytes(data))

    if at in OPENS_NOT:
        with pytest.raises(Corrupt) as caught:
            check(copied)
        assert caught.value.code == "store-damaged"
    else:
        report = check(copied)
        assert report.findings
        assert check(copied).findings == report.findings


def test_the_head_is_written_when_a_project_is_left(copied: Path) -> None:
    with opened(copied) as open_:
        open_.site.db.write(lambda tx: open_.site.record(tx, "test.done", "test:x", {}).seq)
    report = check(copied)

    assert report.written_head == report.head
