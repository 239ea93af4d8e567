"""Fitted estimators that steps give, as skops files: no code runs when one is read."""

from __future__ import annotations

from typing import Any

from ropewalk.errors import Corrupt, RopewalkError
from ropewalk.pipelines.ownership import Ownership


def is_estimator(value: object) -> bool:
    """Say whether a value is an estimator in the sense of scikit-learn, without importing it."""
    return any(kind.__name__ == "BaseEstimator" and kind.__module__ == "sklearn.base" for kind in type(value).__mro__)


def dump(value: object, owned: Ownership, extra: tuple[str, ...]) -> tuple[bytes, tuple[str, ...]] | None:
    """Return an estimator's skops file and what it names; None if all of it would not come back from one.

    What comes back is written again and must give the same bytes. Classes of the project itself are left to pickles,
    which carry the digest of their code.
    """
    from ropewalk.models import formats  # few steps give one, and every process would wait for it

    try:
        data = formats.save_skops(value)
        named = formats.named_globals(formats.SKOPS, data)
        if any(owned.owns(name.rpartition(".")[0]) for name in named):
            return None
        back = formats.load(formats.SKOPS, data, extra)
        same = formats.save_skops(back) == data
    except Exception:  # noqa: BLE001 - skops and the estimators raise what they like; the pickle is tried next
        return None
    return (data, named) if same else None


def load(data: bytes, extra: tuple[str, ...]) -> Any:  # noqa: ANN401 - an estimator of any library
    """Return the estimator of a skops file; the bytes' digest must have been verified before.

    Raises:
        Corrupt: it names what it may not, or cannot be read.
        Missing: skops is not installed.
    """
    from ropewalk.models import formats

    try:
        return formats.load(formats.SKOPS, data, extra)
    except RopewalkError as error:
        if error.code != "model-not-trusted":
            raise
        raise Corrupt(
            "value-untrusted",
            "A kept value names something that may not be loaded.",
            where=error.where,
            why=error.why,
            fix="ropewalk verify",
        ) from error
    except Exception as error:
        raise Corrupt("value-unreadable", "A kept value cannot be read back.", why=str(error)) from error
