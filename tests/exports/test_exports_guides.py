"""The guides to containers and Kubernetes are typed as they stand, and what they write fits Kubernetes' own schemas."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from exports.delivered import files_of
from exports.test_exports_release import chart
from ropewalk.cli import main
from ropewalk.cli.export import RELEASES
from ropewalk.settings import read_settings

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
VERSIONS = ("1.32", "1.34", "1.36")


def text(name: str) -> str:
    return (GUIDES / f"{name}.md").read_text()


@pytest.fixture(scope="module")
def root(shipped, tmp_path_factory):
    return shutil.copytree(shipped, tmp_path_factory.mktemp("guides") / "churn")


@pytest.mark.parametrize("name", ["containers", "kubernetes"])
def test_every_command_of_the_guide_writes_what_the_guide_says(root, capsys, name):
    for block in re.findall(r"^```console\n(.*?)^```", text(name), re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ropewalk ", block, flags=re.MULTILINE)[1:]:
            command, *wanted = part.rstrip().splitlines()
            capsys.readouterr()
            assert main(["--project", str(root), *shlex.split(command)]) == 0, command
            printed = capsys.readouterr().out.splitlines()
            assert [line for line in wanted if line not in printed] == [], f"{command}\n{printed}"


def test_every_target_of_a_release_is_in_a_guide():
    both = text("containers") + text("kubernetes")

    assert [one for one in RELEASES if f"`{one}`" not in both and f"ropewalk export {one}" not in both] == []


def test_the_guide_names_every_object_and_its_settings_are_read(shipped, tmp_path):
    objects = [one for one in yaml.safe_load_all(files_of(shipped, "kubernetes")["churn.yaml"]) if one]
    (settings,) = re.findall(r"^```toml\n(.*?)^```", text("kubernetes"), re.MULTILINE | re.DOTALL)
    (tmp_path / "ropewalk.toml").write_text(f'name = "churn"\n{settings}')

    assert re.findall(r"^\| `(\w+)` \|", text("kubernetes"), re.MULTILINE) == sorted(
        (one["kind"] for one in objects), key=text("kubernetes").index
    )
    assert read_settings(tmp_path).deploy.image == "registry.example/ml/churn"


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_own_schemas_take_the_manifests_and_the_chart_and_refuse_a_slip(shipped, version):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    manifests = [one for one in yaml.safe_load_all(files_of(shipped, "kubernetes")["churn.yaml"]) if one]

    for one in (*manifests, *chart(files_of(shipped, "helm")).values()):
        kubernetes_validate.validate(one, version, strict=True)

    (deployment,) = [one for one in manifests if one["kind"] == "Deployment"]
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(deployment, version, strict=True)
