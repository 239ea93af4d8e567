"""Every route of MLflow's protocol that is served, from one place."""

from __future__ import annotations

from ropewalk.api.mlflow import artifacts, assessments, logged, modelversions, otlp, registry, server, traces, uploads
from ropewalk.api.mlflow.route import Route

ROUTES: tuple[Route, ...] = (
    *server.ROUTES,
    *artifacts.ROUTES,
    *uploads.ROUTES,
    *logged.ROUTES,
    *registry.ROUTES,
    *modelversions.ROUTES,
    *traces.ROUTES,
    *assessments.ROUTES,
    *otlp.ROUTES,
)
