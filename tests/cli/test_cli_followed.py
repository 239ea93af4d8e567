"""What a step prints is handed on by whole lines."""

from __future__ import annotations

from types import SimpleNamespace

from ropewalk.cli.step import _Followed  # pyright: ignore[reportPrivateUsage]


def test_a_line_that_is_half_written_is_told_when_it_is_whole(tmp_path):
    path, told, turns = tmp_path / "fit.log", list[str](), iter(["one\nhal", "f a line\nend", ""])

    def wait(_seconds: float) -> bool:
        text = next(turns)
        with path.open("a") as file:
            file.write(text)
        return not text

    path.touch()
    followed = _Followed(SimpleNamespace(json=False, now=told.append))
    followed._over = SimpleNamespace(wait=wait)
    followed._read(path, 0)

    assert told == ["one", "half a line", "end"]
