"""Above how many microseconds a row of a rollout is slow: by the champion's first rows, which are read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ropewalk.endpoints.segment import Segment
from ropewalk.observations import recorded
from ropewalk.settings import Canary
from ropewalk.site import Site

if TYPE_CHECKING:
    import polars as pl

BASELINE_ROWS = 2000


class Slow:
    """The limit, and the champion's rows that it comes from.

    Args:
        site: the project.
        champion: release id.
        since_generation: the generation with which the rollout began.
        plan: quantile, ratio and floor.
    """

    def __init__(self, site: Site, champion: str, since_generation: int, plan: Canary) -> None:
        self._site, self._champion, self._since, self._plan = site, champion, since_generation, plan
        self._seen: dict[str, pl.DataFrame] = {}

    def limit(self, known: Sequence[Segment]) -> float | None:
        """Return the limit in microseconds, None before the champion has answered; only new segments are read.

        Args:
            known: every segment of the rollout.

        Raises:
            Corrupt: a segment's bytes are not the ones that were sealed.
        """
        import polars as pl

        wanted = (pl.col("role") == "champion") & (pl.col("status") == "ok") & (pl.col("generation") >= self._since)
        wanted = wanted & (pl.col("release") == self._champion)
        first: dict[str, pl.DataFrame] = {}
        rows, last = 0, ""
        for segment in sorted(known, key=lambda one: one.first_id):
            if rows >= BASELINE_ROWS and segment.first_id > last:
                break
            found = self._seen.get(segment.digest)
            if found is None:
                found = recorded.plain(self._site, segment, ("id", "latency_us"), wanted)
            first[segment.digest] = found
            rows += found.height
            if rows >= BASELINE_ROWS:
                last = str(pl.concat(first.values()).get_column("id").sort()[BASELINE_ROWS - 1])
        self._seen = first
        if not rows:
            return None  # without a champion's row there is nothing to be slower than
        newest = pl.concat(first.values()).sort("id").head(BASELINE_ROWS).get_column("latency_us")
        usual = newest.quantile(self._plan.latency_quantile, interpolation="higher")
        floor = self._plan.latency_floor_ms * 1000.0
        return None if usual is None else max(float(usual) * self._plan.latency_ratio, floor)
