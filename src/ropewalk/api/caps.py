"""How many bytes a request to a path may bring, before anything of it is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ropewalk.api.mlflow.route import How, Route

JSON_BYTES_MAX = 1 << 20
# Traces, tables of evaluation and the profiles of data sets are larger than what else is said in JSON.
LARGE_BYTES_MAX = 16 << 20
_LARGE = re.compile(r"/(traces|datasets|log-inputs|logged-models|assessments)\b|/v1/traces$")


class Caps:
    """Knows the cap of every path.

    Args:
        routes: MLflow's protocol; what it streams to where it is kept has no cap.
        own: cap of native routes and predictions, bytes.
    """

    def __init__(self, routes: Iterable[Route], own: int) -> None:
        self._own = own
        streams = [route for route in routes if route.how is How.STREAM and route.method in ("PUT", "POST")]
        self._exact = frozenset(path for route in streams for path in route.paths() if "{" not in path)
        self._streamed = tuple(
            {
                path[: path.index("{")]
                for route in streams
                if route.method == "PUT"
                for path in route.paths()
                if "{" in path
            }
        )

    def __call__(self, path: str) -> int:
        """Return the cap, 0 for none."""
        if path.startswith(("/api/2.0/", "/api/3.0/", "/ajax-api/")) or path in self._exact:
            if path.startswith(self._streamed):
                return 0
            return LARGE_BYTES_MAX if path in self._exact or _LARGE.search(path) else JSON_BYTES_MAX
        return self._own
