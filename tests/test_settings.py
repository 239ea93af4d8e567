"""What a project says of itself is checked whole, and a mistake is named."""

import json

import pytest

from ropewalk.errors import Invalid
from ropewalk.settings import FILE, read_settings, schema

FULL = """
name = "flights"
goal = "say whether a flight lands more than 15 minutes late"
pipeline = "pipeline.py:train"
false_alarms_per_year = 2.0

[tests]
golden_rows = 50

[[gates]]
metric = "roc_auc"
at_least = 0.6
slices = ["carrier"]

[environments.production]
approvals = 1
config = { threshold = 0.4, region = "ny" }

[canary]
weights = [10.0, 50.0]

[[monitors]]
name = "hour"
kind = "drift"
column = "hour"

[retrain]
month_to = 8
"""


def write(folder, text):
    (folder / FILE).write_text(text)
    return folder


def test_a_whole_file_is_read(tmp_path):
    found = read_settings(write(tmp_path, FULL))

    assert found.name == found.model_name == "flights"
    assert found.gates[0].at_least == 0.6
    assert found.environment("production").config == {"threshold": 0.4, "region": "ny"}
    assert found.environment("unnamed").approvals == 0
    assert found.canary.weights == (10.0, 50.0)


def test_a_folder_without_a_file_has_its_own_name(tmp_path):
    (tmp_path / "my project!").mkdir()

    assert read_settings(tmp_path / "my project!").name == "my-project-"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('name = "a"\nnaem = "b"', "naem"),
        ('name = "a"\n[canary]\nalpah = 0.1', "alpah"),
        ('name = "a"\n[[gates]]\nmetrik = "auc"', "metrik"),
        ('goal = "no name"', "name"),
        ('name = "a"\n[canary]\nalpha = 0.7', "canary.alpha"),
        ('name = "a"\n[qa]\np99_ms = 0', "qa.p99_ms"),
        ('name = "a"\n[serve]\nport = 70000', "serve.port"),
        ('name = "../up"', "../up"),
        ('name = "a"\nmodel = "b c"', "b c"),
        ('name = "a"\n[environments."x/y"]\napprovals = 1', "x/y"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, named):
    with pytest.raises(Invalid) as caught:
        read_settings(write(tmp_path, text))

    assert caught.value.code == "settings-invalid"
    assert named in caught.value.why


@pytest.mark.parametrize("data", [b"name = ", b"\xff\xfe", b"= 1"])
def test_what_is_no_toml_is_called_so(tmp_path, data):
    (tmp_path / FILE).write_bytes(data)

    with pytest.raises(Invalid) as caught:
        read_settings(tmp_path)

    assert caught.value.code == "settings-unreadable"


def test_editors_get_a_schema_that_knows_every_table():
    text = json.dumps(schema())

    for word in ("gates", "environments", "canary", "monitors", "false_alarms_per_year"):
        assert word in text
