"""A project in a folder, whose files a test writes, edits, plans and runs."""

from __future__ import annotations

import pytest

from pipelines_project import Project
from ropewalk.site import Site


@pytest.fixture
def project(site: Site) -> Project:
    return Project(site)
