"""A project whose steps note when they run, and fail or kill who runs them when they are told to."""

from __future__ import annotations

import pytest

from exports.lettered import PIPELINE
from pipelines_project import Project
from ropewalk.site import Site


@pytest.fixture
def project(site: Site) -> Project:
    made = Project(site)
    made.write("pipeline.py", PIPELINE)
    made.write("ropewalk.toml", 'name = "letters"\n')
    return made
