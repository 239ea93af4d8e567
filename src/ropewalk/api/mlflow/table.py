"""Every route of MLflow's protocol that is served, from one place."""

from __future__ import annotations

from ropewalk.api.mlflow import (
    artifacts,
    assessments,
    evaluations,
    experiments,
    inputs,
    logged,
    metrics,
    modelversions,
    oldtraces,
    otlp,
    parts,
    registry,
    runs,
    server,
    tracemetrics,
    traces,
    uploads,
    webhooks,
    workspaces,
)
from ropewalk.api.mlflow.route import Route

ROUTES: tuple[Route, ...] = (
    *server.ROUTES,
    *experiments.ROUTES,
    *runs.ROUTES,
    *metrics.ROUTES,
    *inputs.ROUTES,
    *artifacts.ROUTES,
    *uploads.ROUTES,
    *parts.ROUTES,
    *logged.ROUTES,
    *registry.ROUTES,
    *modelversions.ROUTES,
    *webhooks.ROUTES,
    *traces.ROUTES,
    *oldtraces.ROUTES,
    *tracemetrics.ROUTES,
    *evaluations.ROUTES,
    *assessments.ROUTES,
    *otlp.ROUTES,
    *workspaces.ROUTES,
)
