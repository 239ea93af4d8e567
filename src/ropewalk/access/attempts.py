"""Wrong passwords, counted by account and by address: after five in a quarter of an hour nobody is asked any more."""

from __future__ import annotations

from ropewalk.errors import Refused
from ropewalk.store.database import Reader, Transaction

FAILURES_MAX = 5
WINDOW_US = 15 * 60 * 1_000_000


def require(rows: Reader, account: str, address: str, now_us: int) -> None:
    """Pass only while an account and an address have guesses left.

    Raises:
        Refused: they have none (429).
    """
    for subject in _subjects(account, address):
        failed = int(str(rows.value("access.attempts", subject=subject, since_us=now_us - WINDOW_US)))
        if failed >= FAILURES_MAX:
            raise Refused(
                "login-locked",
                "Too many wrong passwords.",
                where="login",
                why=f"{FAILURES_MAX} within a quarter of an hour, for this account or from this address",
                fix="wait a quarter of an hour; programs use a token: ropewalk token create",
            )


def failed(tx: Transaction, account: str, address: str, now_us: int) -> bool:
    """Count a wrong password; say whether it was the last that the account or the address had."""
    tx.run("access.attempts_old", before_us=now_us - WINDOW_US)
    last = False
    for subject in _subjects(account, address):
        tx.run("access.attempt_insert", subject=subject, at_us=now_us)
        found = int(str(tx.value("access.attempts", subject=subject, since_us=now_us - WINDOW_US)))
        last = last or found >= FAILURES_MAX
    return last


def succeeded(tx: Transaction, account: str) -> None:
    """Forget the wrong passwords of an account that has shown the right one; its address keeps its own."""
    tx.run("access.attempts_forget", subject=f"user:{account.casefold()}")


def _subjects(account: str, address: str) -> tuple[str, str]:
    return f"user:{account.casefold()[:128]}", f"address:{address}"
