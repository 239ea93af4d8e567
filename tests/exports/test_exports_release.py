"""What is written of a release: the same bytes every time, a chart that renders to the manifests, right forms."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from functools import cache

import pytest
import yaml
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from exports.delivered import TEXTS, files_of
from ropewalk.cli import main
from ropewalk.cli.export import RELEASES
from ropewalk.exports.deliver import IMAGE, MAKERS


@pytest.fixture(scope="module")
def made(shipped):
    return cache(lambda target: files_of(shipped, target))


def rendered(template: str, values: dict, name: str) -> str:
    """Render what our charts say: `.Release.Name`, a value as JSON, `if` and `if not`; whatever else fails."""
    lines, shown = [], [True]

    def value_of(path: str):
        found = values
        for step in path.split("."):
            found = found[step]
        return found

    for line in template.splitlines():
        block = re.fullmatch(r"\{\{- (?:if (not )?\.Values\.([\w.]+)|end) \}\}", line)
        if block is None:
            told = re.sub(r"\{\{ \.Values\.([\w.]+) \| toJson \}\}", lambda m: json.dumps(value_of(m[1])), line)
            told = told.replace("{{ .Release.Name }}", name)
            assert "{{" not in told, told
            lines += [told] if all(shown) else []
        elif block[2]:
            shown.append(bool(value_of(block[2])) is not bool(block[1]))
        else:
            shown.pop()
    assert shown == [True]
    return "\n".join(lines)


def chart(files, **changed):
    """Return the objects that a chart makes, by kind."""
    values = {**yaml.safe_load(files["values.yaml"]), **changed}
    texts = [rendered(text, values, "churn") for name, text in files.items() if name.startswith("templates/")]
    return {one["kind"]: one for text in texts for one in yaml.safe_load_all(text) if one}


def manifests(files):
    return {one["kind"]: one for one in yaml.safe_load_all(files["churn.yaml"]) if one}


def test_the_list_names_every_target(capsys):
    assert main(["export", "--list", "--json"]) == 0

    named = {one["name"] for one in json.loads(capsys.readouterr().out)["result"]["targets"]}
    assert named >= set(MAKERS) | {IMAGE, "airflow", "mlflow"}
    assert set(RELEASES) == {*MAKERS, IMAGE}


@pytest.mark.parametrize("target", TEXTS)
def test_the_same_release_gives_the_same_bytes_and_says_which_it_is(made, shipped, target):
    files = made(target)
    texts = [text for text in files.values() if isinstance(text, str)]

    assert files == files_of(shipped, target)
    assert any("churn/1" in text and "sha256:" in text for text in texts)
    assert any(f"ropewalk export {target} churn/1" in text for text in texts)
    assert not [text for text in texts if str(shipped) in text or not text.isascii()]


def test_the_command_writes_compares_and_ends_with_1_where_something_else_lies_there(project_copy, capsys):
    root, words = project_copy, ["--project", str(project_copy), "export", "kubernetes"]

    missing, first, again = (main([*words, *more]) for more in (["--dry-run"], [], ["--dry-run"]))
    file = root / "exports/kubernetes/churn.yaml"
    file.write_text(file.read_text().replace("maxSurge: 1", "maxSurge: 7"))
    capsys.readouterr()
    changed = main([*words, "--dry-run"])

    assert (missing, first, again, changed) == (1, 0, 0, 1)
    said = capsys.readouterr().out
    assert "-      maxSurge: 7" in said
    assert "+      maxSurge: 1" in said


@pytest.fixture
def project_copy(shipped, tmp_path):
    import shutil

    return shutil.copytree(shipped, tmp_path / "churn")


def test_a_chart_renders_to_the_manifests(made):
    assert chart(made("helm")) == manifests(made("kubernetes"))
    assert len(chart(made("helm"))) == 6


def test_a_chart_without_autoscaler_and_policy_has_a_number_of_replicas(made):
    off = {"enabled": False, "replicasMax": 1, "cpuPercent": 1, "from": []}
    objects = chart(made("helm"), autoscaling=off, networkPolicy=off, replicas=3)

    assert set(objects) == {"ServiceAccount", "Service", "Deployment", "PodDisruptionBudget"}
    assert objects["Deployment"]["spec"]["replicas"] == 3
    assert json.loads(made("helm")["values.schema.json"])["required"]


def test_pods_are_nobodys_read_only_probed_and_reached_by_their_labels(made):
    objects = manifests(made("kubernetes"))
    deployment = objects["Deployment"]["spec"]
    pod = deployment["template"]
    (container,) = pod["spec"]["containers"]

    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert {"startupProbe", "readinessProbe", "livenessProbe"} < set(container)
    assert container["image"].startswith("churn:1-")
    assert pod["spec"]["terminationGracePeriodSeconds"] > 30
    assert "replicas" not in deployment
    for selector in (
        deployment["selector"]["matchLabels"],
        objects["Service"]["spec"]["selector"],
        objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= pod["metadata"]["labels"].items()
    assert (
        objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"]
        == objects["Deployment"]["metadata"]["name"]
    )
    assert objects["NetworkPolicy"]["spec"]["egress"] == []


def test_kserve_gets_one_container_with_its_port(made):
    (service,) = yaml.safe_load_all(made("kserve")["churn.yaml"])
    predictor = service["spec"]["predictor"]

    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert predictor["minReplicas"] <= predictor["maxReplicas"]
    assert [one["name"] for one in predictor["containers"]] == ["kserve-container"]
    assert predictor["containers"][0]["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]


def test_sagemakers_own_model_takes_the_inputs(made):
    model = ServiceModel(Loader().load_service_model("sagemaker", "service-2"))

    for name, operation in (
        ("create-model", "CreateModel"),
        ("create-endpoint-config", "CreateEndpointConfig"),
        ("create-endpoint", "CreateEndpoint"),
    ):
        given = json.loads(made("sagemaker")[f"{name}.json"])
        report = ParamValidator().validate(given, model.operation_model(operation).input_shape)
        # The role is its owner's to fill in, and too short as it stands.
        assert [line for line in report.generate_report().splitlines() if "ExecutionRoleArn" not in line] == []


def test_vertex_is_told_the_routes_that_the_server_takes_from_it(made):
    spec = json.loads(made("vertex")["models-upload.json"])["model"]["containerSpec"]

    assert (spec["healthRoute"], spec["predictRoute"]) == ("/ping", "/predict")
    assert spec["ports"] == [{"containerPort": 8080}]


def test_compose_and_swarm_are_read_only_and_asked_how_they_are(made):
    for target in ("compose", "swarm"):
        (service,) = yaml.safe_load(made(target)["churn.yaml"])["services"].values()

        assert service["read_only"] is True
        assert service["healthcheck"]["test"][:2] == ["CMD", "python3"]
        assert service["cap_drop"] == ["ALL"]
    assert yaml.safe_load(made("swarm")["churn.yaml"])["services"]["churn"]["deploy"]["replicas"] == 2


def test_a_collection_asks_every_route_that_has_an_example_and_looks_at_the_answer(made):
    collection = json.loads(made("postman")["churn.json"])
    items = {one["name"]: one for one in collection["item"]}

    assert {"POST /endpoints/churn/predict", "POST /invocations", "POST /v2/models/churn/infer", "GET /ping"} <= set(
        items
    )
    assert collection["info"]["schema"].endswith("v2.1.0/collection.json")
    for item in items.values():
        assert item["request"]["url"]["raw"].startswith("{{base}}/")
        assert any("status(200)" in line for line in item["event"][0]["script"]["exec"])
    assert json.loads(items["POST /endpoints/churn/predict"]["request"]["body"]["raw"])["records"]


def test_a_plan_is_xml_that_sends_a_real_row_and_wants_this_release(made):
    root = ET.fromstring(made("jmeter")["churn.jmx"])
    texts = {one.get("name"): one.text for one in root.iter("stringProp")}

    assert json.loads(texts["Argument.value"])["records"]
    assert texts["HTTPSampler.path"] == "/endpoints/churn/predict"
    assert '"release":"churn/1"' in [one.text for one in root.iter("stringProp")]


@pytest.mark.parametrize("words", [["a", "b"], ["pipeline.py:train"], ["churn/1", "--schedule", "x"]])
def test_what_is_no_release_is_refused(shipped, words, capsys):
    assert main(["--project", str(shipped), "export", "compose", *words]) != 0
    assert "error[usage]" in capsys.readouterr().err


def test_an_unknown_release_and_a_name_that_is_no_image_are_refused(shipped, capsys):
    for words, code in ((["churn/99"], "release-not-found"), (["--image", "a b"], "export-image")):
        assert main(["--project", str(shipped), "export", "compose", *words]) != 0
        assert code in capsys.readouterr().err
