"""Graphs that are remembered by many runs at once, which all tidy up the same folder."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ropewalk.pipelines.early import GRAPHS as FOLDER
from ropewalk.pipelines.remembered import GRAPHS_MAX, Remembered

PROJECT = {"tree": "t", "files": "f", "globals": []}
TOLD = {"plain": True, "entries": [], "calls": []}


def test_runs_beside_each_other_remember_their_graphs_and_no_more_than_a_few_stay(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        kept = [
            threads.submit(Remembered(tmp_path, "pipeline.py:train", {"depth": depth}).keep, PROJECT, TOLD)
            for depth in range(400)
        ]
    last = Remembered(tmp_path, "pipeline.py:train", {"depth": "last"})
    last.keep(PROJECT, TOLD)

    assert [one.exception() for one in kept if one.exception()] == []
    assert last.get(PROJECT) == TOLD
    assert len(list((tmp_path / FOLDER).iterdir())) <= GRAPHS_MAX
