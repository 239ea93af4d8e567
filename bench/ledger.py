"""Prints how fast facts are written into the ledger and checked, beside SQLite, SHA-256 and Ed25519 without us.

Run: `.venv/bin/python bench/ledger.py [--quick]`. The limits write the same bytes to the same columns, WAL and FULL,
and hash and sign as often. A tenth of the entries is checked too: the cost of an entry must not grow with their number
(performance.md, "The whole line": 10x -> at most 11x).
"""

from __future__ import annotations

import hashlib
import sqlite3  # noqa: TID251 - the limit is SQLite without our store
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from measure.figures import OUT, Cell, Sheet, is_quick

from ropewalk.clock import SystemClock
from ropewalk.house import open_house
from ropewalk.ledger.chain import Entry, first_break
from ropewalk.ledger.sign import Checker
from ropewalk.site import Site
from ropewalk.store.database import Transaction

WRITERS = 16
BATCH = 1000
BODY = {"release": "flights/3", "stage": "qa", "outcome": "passed", "evidence": "sha256:" + "ab" * 32, "rows": 1000}


def record(site: Site, count: int) -> None:
    def work(tx: Transaction) -> None:
        for _ in range(count):
            site.record(tx, "stage.passed", "release:flights/3", BODY)

    site.db.write(work)


def per_second(count: int, work: object) -> float:
    start = perf_counter()
    assert callable(work)
    work()
    return count / (perf_counter() - start)


def one_by_one(site: Site, count: int) -> None:
    for _ in range(count):
        record(site, 1)


def by_many(site: Site, count: int) -> None:
    """Write from 16 threads at once, one entry a transaction: the store groups their commits."""
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda _: record(site, 1), range(count)))


def filled(site: Site, upto: int) -> None:
    """Write entries until there are so many."""
    with site.db.read() as rows:
        last = rows.row("ledger.last")
    have = int(str(last["seq"])) if last else 0
    while have < upto:
        count = min(BATCH, upto - have)
        record(site, count)
        have += count


class Bare:
    """The ledger's columns in a database of its own, filled with real entries' words."""

    def __init__(self, path: Path, entry: Entry) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        names = ", ".join(Entry.__slots__)
        self._db.execute(f"CREATE TABLE ledger ({names.replace('seq', 'seq INTEGER PRIMARY KEY')})")
        self._insert = f"INSERT INTO ledger ({names}) VALUES ({', '.join('?' * len(Entry.__slots__))})"
        self._words = [getattr(entry, name) for name in Entry.__slots__ if name != "seq"]
        self._seq = 0

    def write(self, transactions: int, each: int) -> None:
        """Insert so many rows in each of so many transactions."""
        for _ in range(transactions):
            self._db.execute("BEGIN IMMEDIATE")
            for _ in range(each):
                self._seq += 1
                self._db.execute(self._insert, (self._seq, *self._words))
            self._db.execute("COMMIT")

    def walk(self) -> None:
        """Read every row and hash its body: the least that checking a chain can be."""
        for row in self._db.execute("SELECT * FROM ledger ORDER BY seq"):
            hashlib.sha256(repr(row).encode()).hexdigest()

    def close(self) -> None:
        """Let the file go."""
        self._db.close()


def crypto_us(site: Site, rounds: int) -> float:
    """Return microseconds of one signature and two digests, which each entry needs."""
    text = b"x" * 400
    start = perf_counter()
    for _ in range(rounds):
        hashlib.sha256(text).hexdigest()
        hashlib.sha256(text).hexdigest()
        site.signer.sign(text[:71])
    return (perf_counter() - start) / rounds * 1e6


def appended(site: Site, bare: Bare, small: int, large: int) -> list[tuple[Cell, ...]]:
    sign = crypto_us(site, 500)
    rows: list[tuple[Cell, ...]] = []
    for name, ours, least, count in (
        ("one entry a commit", lambda: one_by_one(site, small), lambda: bare.write(small, 1), small),
        (f"the same from {WRITERS} threads", lambda: by_many(site, small), lambda: bare.write(small, 1), small),
        (
            f"{BATCH} entries a commit",
            lambda: record_many(site, large),
            lambda: bare.write(large // BATCH or 1, min(BATCH, large)),
            large,
        ),
    ):
        got, bound = per_second(count, ours), per_second(count, least)
        signed = 1e6 / (1e6 / bound + sign)
        rows.append((name, got, bound, signed, signed / got))
    return rows


def record_many(site: Site, count: int) -> None:
    for _ in range(max(count // BATCH, 1)):
        record(site, min(BATCH, count))


def main(small: int, large: int, whole: int) -> None:
    sheet = Sheet("ledger")
    OUT.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=OUT) as folder:
        root = Path(folder)
        (root / "ropewalk.toml").write_text('name = "ledger"\n')
        with open_house(root, clock=SystemClock()) as house:
            site = house.site
            filled(site, 1)
            with site.db.read() as reader:
                bare = Bare(root / "bare.db", reader.all(Entry, "ledger.from", seq=1, count=1)[0])
            head = ("", "ropewalk /s", "SQLite alone /s", "SQLite + hash + sign /s", "times the limit")
            sheet.table("entries appended", head, appended(site, bare, small, large))
            rows: list[tuple[Cell, ...]] = []
            for upto in (whole // 10, whole):
                filled(site, upto)
                rows.append(checked(site, root, upto))
            growth = float(str(rows[1][1])) / float(str(rows[0][1]))
            rows.append(("10 times as many took", growth, None, None, "<= 11"))
            sheet.table("the whole chain checked, seconds", ("", "ropewalk", "read + hash", "ratio", "goal"), rows)
            bare.close()
    sheet.keep()


def checked(site: Site, root: Path, count: int) -> tuple[Cell, ...]:
    """Return a row: our check of the chain, and reading as many rows and hashing each once."""
    checker = Checker(site.signer.public)
    with site.db.read() as reader:
        entry = reader.all(Entry, "ledger.from", seq=1, count=1)[0]
        last = reader.row("ledger.last")
        start = perf_counter()
        broken = first_break(reader, checker)
        ours = perf_counter() - start
    if broken is not None or last is None:
        raise SystemExit(f"the chain does not hold: {broken}")
    count = int(str(last["seq"]))
    bare = Bare(root / f"walk{count}.db", entry)
    bare.write(1, count)
    least = 1 / per_second(1, bare.walk)
    bare.close()
    return f"{count:,} entries", ours, least, ours / least, ""


if __name__ == "__main__":
    if is_quick():
        main(20, 100, 1000)
    else:
        main(500, 10_000, 200_000)
