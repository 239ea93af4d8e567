"""A project whose steps note when they run, and fail or kill who runs them when they are told to."""

from __future__ import annotations

import pytest

from exports.lettered import PIPELINE
from exports.ordered import TRAIN
from pipelines_project import Project
from ropewalk.exports.pipeline import Exported, read
from ropewalk.house import open_house
from ropewalk.site import Site


@pytest.fixture
def project(site: Site) -> Project:
    made = Project(site)
    made.write("pipeline.py", PIPELINE)
    made.write("ropewalk.toml", 'name = "letters"\n')
    return made


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The pipeline as it is read once, for all who only look at what is written of it."""
    root = tmp_path_factory.mktemp("exported")
    (root / "pipeline.py").write_text(PIPELINE)
    (root / "ropewalk.toml").write_text('name = "letters"\n')
    with open_house(root) as house:
        return read(house.site, house.settings, TRAIN, {})
