"""Which files a step's `reads=` means: through links to folders, and whatever form the pattern has."""

from __future__ import annotations

import pytest

from ropewalk.pipelines.reads import DeclaredFiles


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("data", ["data/a.csv", "data/deep/b.csv", "data/deep/c.txt", "data/link/far.csv"]),
        ("data/**", ["data/a.csv", "data/deep/b.csv", "data/deep/c.txt", "data/link/far.csv"]),
        ("data/**/*", ["data/a.csv", "data/deep/b.csv", "data/deep/c.txt", "data/link/far.csv"]),
        ("data/**/*.csv", ["data/a.csv", "data/deep/b.csv", "data/link/far.csv"]),
        ("**/deep/*.csv", ["data/deep/b.csv"]),
        ("data/*/*.csv", ["data/deep/b.csv", "data/link/far.csv"]),
        ("data/*.csv", ["data/a.csv"]),
    ],
)
def test_every_file_counts_that_a_folder_or_a_pattern_means(tmp_path, pattern, found):
    root, elsewhere = tmp_path / "project", tmp_path / "elsewhere"
    (root / "data" / "deep").mkdir(parents=True)
    (root / ".ropewalk").mkdir()
    elsewhere.mkdir()
    for path in ("data/a.csv", "data/deep/b.csv", "data/deep/c.txt", ".ropewalk/kept.csv"):
        (root / path).write_text("1")
    (elsewhere / "far.csv").write_text("1")
    (root / "data" / "link").symlink_to(elsewhere)
    (root / "data" / "deep" / "around").symlink_to(root / "data")
    files = DeclaredFiles(root)

    before = files.digests([pattern])
    (elsewhere / "far.csv").write_text("2")
    after = files.digests([pattern])

    assert sorted(before) == found
    assert (before != after) == ("data/link/far.csv" in found)
