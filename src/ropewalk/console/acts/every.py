"""Every act of the console, in the order in which addresses are tried."""

from __future__ import annotations

from ropewalk.console.acts import (
    batches,
    experiments,
    models,
    releases,
    runs,
    schedules,
    table,
    traces,
    versions,
    webhooks,
)
from ropewalk.console.forms import Act

ACTS: tuple[Act, ...] = (
    *experiments.ACTS,
    *table.ACTS,
    *runs.ACTS,
    *models.ACTS,
    *versions.ACTS,
    *traces.ACTS,
    *webhooks.ACTS,
    *releases.ACTS,
    *schedules.ACTS,
    *batches.ACTS,
)
