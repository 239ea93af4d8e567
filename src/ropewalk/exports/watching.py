"""What watches the server of a project: Prometheus' configuration and alerts, and a board for Grafana."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

from ropewalk import __version__
from ropewalk.exports.grafana import board
from ropewalk.exports.render import fill, printable
from ropewalk.exports.rules import groups_of
from ropewalk.settings import Settings

RULES = "ropewalk.rules.yml"


def _facts(settings: Settings, target: str) -> Mapping[str, Any]:
    lines = (
        f"Made by Ropewalk {__version__} for the project {settings.name}. Do not edit; make it anew:",
        f"  {shlex.join(['ropewalk', 'export', 'prometheus', *([target] if target else [])])}",
    )
    return {
        "header": tuple(printable(line) for line in lines),
        "project": settings.name,
        "target": target or f"{settings.serve.host}:{settings.serve.port}",
        "scheme": "https" if settings.auth.tls_cert else "http",
        "token": settings.auth.enabled,
        "groups": groups_of(settings),
    }


def prometheus(settings: Settings, target: str) -> dict[str, str]:
    """Return the configuration and the alerts.

    Args:
        settings: of the project.
        target: `HOST:PORT` of its server; empty for the one of `[serve]`.
    """
    facts = _facts(settings, target)
    return {"prometheus.yml": fill("watching/prometheus.yml", facts), RULES: fill("watching/rules.yml", facts)}


def grafana(settings: Settings, target: str) -> dict[str, str]:  # noqa: ARG001 - a board knows no address
    """Return the board."""
    return {"ropewalk.json": board(settings.name)}


WATCHERS: Mapping[str, Callable[[Settings, str], Mapping[str, str]]] = {"prometheus": prometheus, "grafana": grafana}
