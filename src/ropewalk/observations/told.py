"""What is told of rows after they were answered: labels and reports, added to the rows' own numbers as they come.

A row's number stands once, by the row's id. Telling the same again puts it there again, so that nothing is counted
twice when a look is repeated; a label that is revised takes the place of the one before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ropewalk.observations import labels
from ropewalk.observations.scores import score

if TYPE_CHECKING:
    import polars as pl

    from ropewalk.models.manifest import Manifest
    from ropewalk.store.database import Reader

PLACE = ("generation", "role")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Numbers of units, as `counted.evidence` is given them.

    Attributes:
        losses: `generation`, `role`, `unit`, `rows`, `total`: of labelled rows that were answered by share.
        reported: the same of the metric that clients report; more is worse.
        differences: `unit`, `rows`, `total`: of the shadow's loss minus the champion's on the same requests.
    """

    losses: pl.DataFrame
    reported: pl.DataFrame
    differences: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What was told since a look.

    Attributes:
        by_id: labels, `id`, `label` (JSON text); the newest of each id.
        by_key: labels, `key`, `known_us`, in the order in which they were told.
        reported: `id`, `reported` in the metric's own unit; the newest of each id.
    """

    by_id: pl.DataFrame
    by_key: pl.DataFrame
    reported: pl.DataFrame

    @property
    def ids(self) -> pl.Series:
        """Every prediction that something was told of by its id, in the order of time."""
        import polars as pl

        return pl.concat([self.by_id.get_column("id"), self.reported.get_column("id")]).unique().sort()

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return any(frame.height for frame in (self.by_id, self.by_key, self.reported))


class Told:
    """The losses and the reported numbers of rows.

    Args:
        manifests: of the releases by id, for the loss of a label.
        sign: -1 where a higher metric is better, so that more is worse; else 1.
    """

    def __init__(self, manifests: Mapping[str, Manifest], sign: float) -> None:
        self._manifests = dict(manifests)
        self._sign = sign
        self._losses = _none(("id", "of", *PLACE, "unit"))
        self._reported = _none(("id", "of", *PLACE, "unit"))

    def take(self, rows: pl.DataFrame) -> None:
        """Put down the numbers of rows as they are now, in the place of those that stood there.

        Args:
            rows: captured rows with `label` (JSON text) and `reported`, both null where nothing is known.
        """
        self._losses = _put(self._losses, rows, self._loss(rows))
        self._reported = _put(self._reported, rows, rows.with_columns(value=_float("reported") * self._sign))

    def hear(self, rows: pl.DataFrame, news: News, reader: Reader, endpoint: str) -> None:
        """Add what was told of rows since; rows that nothing was told of are left as they are.

        Args:
            rows: captured rows that anything may have been told of.
            news: what was told.
            reader: where all labels of a key are read.
            endpoint: whose rows they are.
        """
        import polars as pl

        # Labels of an id are kept in the order in which they became known: the newest one is the one that holds.
        own = label_of(rows).join(news.by_id, left_on="of", right_on="id", how="inner", suffix=".told")
        own = own.with_columns(pl.col("label.told").alias("label"))
        self._losses = _put(self._losses, own, self._loss(own))
        if news.by_key.height:
            # The first label of a key after the event holds, and one by id goes before it: all of them are looked at.
            keyed = rows.filter(pl.col("key").is_in(news.by_key.get_column("key").implode())).drop("label")
            if keyed.height:
                keyed = labels.join(keyed, *labels.of_rows(reader, endpoint, keyed))
                self._losses = _put(self._losses, keyed, self._loss(keyed))
        money = rows.drop("reported").join(news.reported, on="id", how="inner")
        self._reported = _put(self._reported, money, money.with_columns(value=_float("reported") * self._sign))

    def numbers(self, climbing: Sequence[int], shadowed: Sequence[int]) -> Numbers:
        """Return the numbers of units.

        Args:
            climbing: generations in which the candidate had a share.
            shadowed: generations in which the candidate was the champion's shadow.
        """
        import polars as pl

        arms = pl.col("role").is_in(["champion", "canary"]) & pl.col("generation").is_in(list(climbing))
        champion = (pl.col("role") == "champion") & pl.col("generation").is_in(list(shadowed))
        shadow = self._losses.filter(pl.col("role") == "shadow").select("of", pl.col("value").alias("shadow"))
        both = self._losses.filter(champion).join(shadow, on="of", how="inner", maintain_order="left")
        return Numbers(
            losses=_summed(self._losses.filter(arms), [*PLACE, "unit"]),
            reported=_summed(self._reported.filter(arms), [*PLACE, "unit"]),
            differences=_summed(both.with_columns(value=pl.col("shadow") - pl.col("value")), ["unit"]),
        )

    def _loss(self, rows: pl.DataFrame) -> pl.DataFrame:
        import polars as pl

        parts = [
            score(rows.filter(pl.col("release") == one), manifest).with_columns(value=_float("loss"))
            for one, manifest in self._manifests.items()
        ]
        return pl.concat(parts, how="diagonal_relaxed")


def label_of(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with `of`: the id that a label of theirs carries, a shadow's being that of its pair."""
    import polars as pl

    return rows.with_columns(pl.when(pl.col("role") == "shadow").then("pair").otherwise("id").alias("of"))


def _float(name: str) -> pl.Expr:
    import polars as pl

    return pl.col(name).cast(pl.Float64)


def _none(names: Sequence[str]) -> pl.DataFrame:
    import polars as pl

    types = {name: pl.Int64 if name == "generation" else pl.String for name in names}
    return pl.DataFrame(schema={**types, "value": pl.Float64})


def _put(held: pl.DataFrame, rows: pl.DataFrame, valued: pl.DataFrame) -> pl.DataFrame:
    """Return what is held with these rows in the place of their earlier selves, ordered by id; null is no number."""
    import polars as pl

    if not rows.height:
        return held
    unit = pl.coalesce("key", "id").alias("unit")
    fresh = label_of(valued.filter(pl.col("value").is_not_null())).select("id", "of", *PLACE, unit, "value")
    stays = held.filter(~pl.col("id").is_in(rows.get_column("id").implode())) if held.height else held
    # In the order of ids, sums are the same whatever came first.
    return pl.concat([stays, fresh]).sort("id") if fresh.height or stays.height < held.height else held


def _summed(numbers: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    import polars as pl

    return numbers.group_by(by, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("rows"), pl.col("value").sum().alias("total")
    )
