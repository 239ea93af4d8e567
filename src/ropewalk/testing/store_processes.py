"""Conformance of a store over processes: others that write, that are killed, that open it at the same moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

from ropewalk.testing.store_rows import WAIT_SECONDS, OpenStore, insert, opened, subjects


def _keyed_child(open_store: OpenStore, way: Connection) -> None:
    with opened(open_store) as store:
        way.send(store.write(lambda tx: [insert(tx, f"by {os.getpid()}"), os.getpid()], key="shared"))


def does_a_keyed_work_once_over_processes(open_store: OpenStore) -> None:
    """Three processes ask with one key at the same moment; one of them does it and all get its answer."""
    with opened(open_store):
        pass
    context = multiprocessing.get_context("spawn")
    ways = [context.Pipe(duplex=False) for _ in range(3)]
    children = [context.Process(target=_keyed_child, args=(open_store, way)) for _, way in ways]
    for child in children:
        child.start()
    answers = [_next(ours) for ours, _ in ways]
    for child in children:
        child.join(WAIT_SECONDS)
    assert answers[0] == answers[1] == answers[2], answers
    with opened(open_store) as store:
        assert len(subjects(store)) == 1


def _next(way: Connection) -> object:
    assert way.poll(WAIT_SECONDS), "the other process said nothing"
    return way.recv()


def _insert_child(open_store: OpenStore, way: Connection) -> None:
    with opened(open_store) as store:
        store.write(lambda tx: insert(tx, "from elsewhere"))
        way.send("done")


def changes_its_version_when_another_process_commits(open_store: OpenStore) -> None:
    """The version tells of commits that this process had no part in."""
    context = multiprocessing.get_context("spawn")
    with opened(open_store) as store:
        before = store.version()
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_insert_child, args=(open_store, theirs))
        child.start()
        assert _next(ours) == "done"
        assert store.version() != before
        child.join(WAIT_SECONDS)


def _acknowledging_child(open_store: OpenStore, way: Connection) -> None:
    store = open_store()

    def one(thread: int) -> None:
        place = 0
        while True:
            name = f"{thread}-{place}"
            store.write(lambda tx, name=name: [insert(tx, f"{name}{half}") for half in "ab"])
            with lock:
                way.send(name)
            place += 1

    lock = threading.Lock()
    for thread in range(4):
        threading.Thread(target=one, args=(thread,), daemon=True).start()
    threading.Event().wait()


def loses_no_acknowledged_write_at_kill_9(open_store: OpenStore) -> None:
    """Four threads of another process write pairs and acknowledge each; it is killed while they do."""
    context = multiprocessing.get_context("spawn")
    acknowledged: list[str] = []
    for target in (7, 40):
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=_acknowledging_child, args=(open_store, theirs))
        child.start()
        theirs.close()
        acknowledged.clear()
        try:
            while len(acknowledged) < target:
                acknowledged.append(str(_next(ours)))
        finally:
            os.kill(child.pid or 0, signal.SIGKILL)
        try:
            while ours.poll(WAIT_SECONDS):
                acknowledged.append(str(ours.recv()))
        except (EOFError, OSError):
            pass
        child.join(WAIT_SECONDS)
        with opened(open_store) as store:
            there = subjects(store)
            assert {f"{name}{half}" for name in acknowledged for half in "ab"} <= set(there)
            assert len(there) % 2 == 0, "half a transaction survived"
            store.write(lambda tx: [insert(tx, f"ready again {half}") for half in "ab"])


def opens_for_many_at_once(open_store: OpenStore) -> None:
    """The first opening sets the store up; nobody who comes at the same moment may fail for it."""
    together = threading.Barrier(8)

    def one(place: int) -> None:
        together.wait(WAIT_SECONDS)
        with opened(open_store) as store:
            store.write(lambda tx: insert(tx, str(place)))

    with ThreadPoolExecutor(8) as pool:
        for work in [pool.submit(one, place) for place in range(8)]:
            work.result(WAIT_SECONDS)
    with opened(open_store) as store:
        assert sorted(subjects(store)) == [str(place) for place in range(8)]
