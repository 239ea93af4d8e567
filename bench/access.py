"""Prints what knowing a caller costs: a token that was seen before, one that was not, and a password.

Run: `.venv/bin/python bench/access.py [--quick]`. Goals (reliability.md, S9): a token check <= 50 us, a login <= 50 ms.
The limits beside them: one sha256 of the token, and the bare argon2id of the same setting.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from measure.figures import OUT, Sheet, is_quick

from ropewalk.access import passwords, tokens, users
from ropewalk.access.keeper import Keeper
from ropewalk.access.roles import Grant
from ropewalk.house import open_house
from ropewalk.store.database import Transaction

PASSWORD = "correct horse battery staple"
ROUNDS = 7


def best(work: Callable[[], object], times: int) -> float:
    """Return the seconds of one, in the best round."""
    found: list[float] = []
    for _ in range(ROUNDS):
        start = perf_counter()
        for _ in range(times):
            work()
        found.append((perf_counter() - start) / times)
    return min(found)


def main(times: int) -> None:
    sheet = Sheet("access")
    OUT.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=OUT) as folder, open_house(Path(folder)) as house:
        site = house.site

        def enter(tx: Transaction) -> str:
            users.add(tx, site, "ann", password=passwords.hashed(PASSWORD))
            users.grant(tx, site, "ann", Grant(role="developer"))
            return tokens.create(tx, site, "ann", scope=Grant(role="developer"))[1]

        secret = site.db.write(enter).encode()
        kept = passwords.hashed(PASSWORD)
        keeper = Keeper(site, house.settings.name)
        keeper.look()
        keeper.token(secret)
        if keeper.remembered(secret) is None:
            raise SystemExit("the keeper does not remember a token that it has just seen")

        def looked_up() -> None:
            if not keeper.fresh():
                keeper.look()
            keeper.remembered(secret)

        rows = [
            ("a token seen before, with a look every half second", best(looked_up, times) * 1e6, "<= 50"),
            ("a token not seen before", best(lambda: keeper.token(secret), times // 10) * 1e6, ""),
            ("(one sha256 of a token)", best(lambda: tokens.digest(secret), times) * 1e6, ""),
            (
                "a password, argon2id 19 MiB, 2 passes",
                best(lambda: passwords.fits(kept, PASSWORD), 3) * 1e6,
                "<= 50,000",
            ),
        ]
        sheet.table("who is it, best of 7 rounds, us", ("", "us", "goal"), rows)
    sheet.keep()


if __name__ == "__main__":
    main(100 if is_quick() else 5_000)
