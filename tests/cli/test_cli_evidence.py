"""`trace`, `replay` and `verify` as they are typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

from evidence.delivered import Delivered, delivered_once
from ropewalk.cli import main


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    return delivered_once(tmp_path_factory)


def typed(capsys: pytest.CaptureFixture[str], root: Path, *words: str) -> tuple[int, str]:
    """Return exit status and what was printed."""
    try:
        status = main(["--project", str(root), *words])
    except SystemExit as ended:
        status = int(str(ended.code or 0))
    said = capsys.readouterr()
    return int(status or 0), said.out + ("" if "--json" in words else said.err)


def test_verify_says_that_everything_holds(capsys: pytest.CaptureFixture[str], delivered: Delivered) -> None:
    status, said = typed(capsys, delivered.root, "verify")

    assert status == 0
    assert "everything holds" in said
    assert "signed by     sha256:" in said
    assert "BROKEN" not in said


def test_verify_names_what_does_not_hold_each_time(
    capsys: pytest.CaptureFixture[str], delivered: Delivered, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(delivered.root, tmp_path / "copied"))
    blob = next(iter(sorted((root / ".ropewalk" / "blobs").glob("[0-9a-f][0-9a-f]/*"))))
    blob.chmod(0o600)
    blob.write_bytes(b"!" + blob.read_bytes())

    for _ in range(2):
        status, said = typed(capsys, root, "verify")
        assert status == 1
        # The blob may be a manifest: then what stands on it is named after it, and all of it is counted.
        broken = [line for line in said.splitlines() if line.startswith("BROKEN  ")]
        assert broken[0].startswith(f"BROKEN  blob sha256:{blob.parent.name}{blob.name}")
        assert f"{len(broken)} things do not hold" in said

    status, text = typed(capsys, root, "verify", "--json")
    report = json.loads(text)["result"]
    assert status == 1
    assert report["holds"] is False
    assert report["findings"][0]["what"] == f"blob sha256:{blob.parent.name}{blob.name}"


def test_verify_of_a_file_that_is_no_database_is_an_error_of_four_lines(
    capsys: pytest.CaptureFixture[str], delivered: Delivered, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(delivered.root, tmp_path / "copied"))
    for name in ("ropewalk.db-wal", "ropewalk.db-shm"):
        (root / ".ropewalk" / name).unlink(missing_ok=True)
    (root / ".ropewalk" / "ropewalk.db").write_bytes(b"not a database at all" * 1000)

    status, said = typed(capsys, root, "verify")

    assert status != 0
    assert "store-damaged" in said
    assert "Traceback" not in said


def test_trace_prints_the_line_to_the_commit(capsys: pytest.CaptureFixture[str], delivered: Delivered) -> None:
    status, said = typed(capsys, delivered.root, "trace", delivered.labelled, "--facts")

    assert status == 0
    for word in ("observation", "endpoint", "release", "bundle", "model", "run", "data", "commit"):
        assert f"\n{word}" in f"\n{said}"
    assert delivered.sha in said
    assert "what really happened: 1" in said


def test_replay_gives_the_same_bits(capsys: pytest.CaptureFixture[str], delivered: Delivered) -> None:
    status, said = typed(capsys, delivered.root, "replay", delivered.predictions[2])
    assert status == 0
    assert "the same bits" in said

    status, text = typed(capsys, delivered.root, "replay", delivered.predictions[2], "--json")
    assert status == 0
    assert json.loads(text)["result"]["equal"] is True


@pytest.mark.parametrize("command", ["trace", "replay"])
def test_an_unknown_prediction_is_an_error_with_what_to_type(
    capsys: pytest.CaptureFixture[str], delivered: Delivered, command: str
) -> None:
    status, said = typed(capsys, delivered.root, command, "nobody")

    assert status != 0
    assert "prediction-not-found" in said
    assert "ropewalk status" in said


def test_the_blast_radius_is_said_and_written(
    capsys: pytest.CaptureFixture[str], delivered: Delivered, tmp_path: Path
) -> None:
    import polars as pl

    count = len(delivered.predictions)
    table, lines = tmp_path / "told.parquet", tmp_path / "told.jsonl"
    status, said = typed(capsys, delivered.root, "blast-radius", "flights/1", "--out", str(table))
    assert status == 0
    assert f"{count:,} predictions are in" in said
    assert f"predictions  {count:,} ({count:,} ok)" in said

    status, text = typed(capsys, delivered.root, "blast-radius", "flights/1", "--out", str(lines), "--json")
    assert json.loads(text)["result"]["predictions"] == count
    assert status == 0

    rows = pl.read_parquet(table)
    assert set(rows["id"]) == set(delivered.predictions)
    assert {"in.hour", "out.probability"} <= set(rows.columns)
    assert {json.loads(line)["id"] for line in lines.read_text().splitlines()} == set(delivered.predictions)

    status, said = typed(capsys, delivered.root, "blast-radius", "flights/1", "--out", "told.xlsx")
    assert status == 1
    assert "error[output-unknown]" in said
