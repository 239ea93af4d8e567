"""A release in a folder answers without its project, as Vertex AI, SageMaker and KServe ask, and leaves on SIGTERM."""

from __future__ import annotations

import json
import shutil
import signal
import stat

import pytest

from exports.delivered import answering, asked, written
from ropewalk.cli import main
from ropewalk.endpoints.packed import port_in, routes_in
from ropewalk.errors import Invalid

# What Vertex AI sets in a container, and 8080 where nobody sets anything.
VERTEX = {
    "AIP_HTTP_PORT": "{port}",
    "AIP_HEALTH_ROUTE": "/health/vertex",
    "AIP_PREDICT_ROUTE": "/v1/endpoints/7:predict",
}


@pytest.fixture(scope="module")
def folder(shipped, tmp_path_factory):
    root = shutil.copytree(shipped, tmp_path_factory.mktemp("packed") / "churn")
    made = shutil.copytree(written(root, "bundle"), tmp_path_factory.mktemp("elsewhere") / "bundle")
    shutil.rmtree(root)
    return made


@pytest.fixture(scope="module")
def container(folder):
    """The folder answering, with no right to write to it, as the environment of Vertex AI has it."""
    for path in folder.rglob("*"):
        path.chmod(stat.S_IRUSR | stat.S_IXUSR if path.is_dir() else stat.S_IRUSR)
    with answering(folder, {**VERTEX, "ROPEWALK_HOST": "127.0.0.1"}) as (port, process):
        yield port, process, json.loads((folder / "served.json").read_text())


def test_vertex_asks_at_its_own_routes_and_port(container):
    port, _, served = container

    health = asked(port, "GET", VERTEX["AIP_HEALTH_ROUTE"])
    answer = asked(port, "POST", VERTEX["AIP_PREDICT_ROUTE"], {"instances": [served["example"]] * 2, "parameters": {}})

    assert health.status == 200
    assert answer.status == 200, answer.body
    assert len(answer.json()["predictions"]) == 2
    assert answer.headers["x-ropewalk-release"] == served["release"] == "churn/1"


def test_sagemaker_pings_and_invokes_with_json_and_csv(container):
    port, _, served = container
    names, values = zip(*served["example"].items(), strict=True)
    table = f"{','.join(names)}\n{','.join(map(str, values))}\n".encode()

    ping = asked(port, "GET", "/ping")
    by_json = asked(port, "POST", "/invocations", {"instances": [served["example"]]})
    by_csv = asked(port, "POST", "/invocations", table, Content_Type="text/csv")

    assert ping.status == 200
    assert by_json.json() == by_csv.json()
    assert asked(port, "POST", "/invocations", {"instances": [{"mean_radius": "wide"}]}).status == 400


def test_kserve_finds_live_ready_and_infer(container):
    port, _, served = container
    inputs = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in served["example"].items()
    ]

    answer = asked(port, "POST", "/v2/models/churn/infer", {"inputs": inputs})

    assert asked(port, "GET", "/v2/health/live").status == 200
    assert asked(port, "GET", "/v2/models/churn/ready").status == 200
    assert answer.status == 200, answer.body
    assert answer.json()["model_name"] == "churn"


def test_any_name_of_a_cluster_is_answered_but_no_page_of_another_site(container):
    port, _, _ = container

    assert asked(port, "GET", "/ping", Host="churn.models.svc.cluster.local").status == 200
    assert asked(port, "GET", "/ping", Host="10.1.2.3:8080", Origin="http://elsewhere.example").status == 403


def test_every_answer_has_a_number_and_is_counted_by_its_route(container):
    port, _, served = container
    trace, opened = "4bf92f3577b34da6a3ce929d0e0e4736", "application/openmetrics-text;version=1.0.0"
    body = {"records": [served["example"]]}

    answer = asked(port, "POST", "/endpoints/churn/predict", body, traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    text = asked(port, "GET", "/metrics", accept=opened).body.decode()

    number = answer.headers["x-request-id"]
    assert f'request_id="{number}",trace_id="{trace}"' in text
    assert 'ropewalk_http_requests_total{method="POST",route="/endpoints/{name}/predict",status="200"} 1.0' in text
    prediction = answer.json()["predictions"][0]["id"]
    assert f'prediction_id="{prediction}",trace_id="{trace}"' in text


def test_its_health_check_says_ready(container, monkeypatch, capsys):
    port, _, _ = container
    monkeypatch.setenv("PORT", str(port))

    assert main(["serve", "--probe"]) == 0
    monkeypatch.setenv("PORT", "1")
    assert main(["serve", "--probe"]) == 1
    assert "not ready" in capsys.readouterr().out


def test_sigterm_ends_it_well_after_what_is_under_way(container):
    port, process, served = container
    assert asked(port, "POST", "/endpoints/churn/predict", {"records": [served["example"]]}).status == 200

    process.send_signal(signal.SIGTERM)

    assert process.wait(40) == 0


def test_a_blob_that_is_another_one_is_not_served(folder, tmp_path, capsys):
    copy = shutil.copytree(folder, tmp_path / "bundle")
    bundle = json.loads((copy / "served.json").read_text())["bundle"].removeprefix("sha256:")
    blob = copy / "blobs" / bundle[:2] / bundle[2:]
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes().replace(b"churn", b"chorn"))

    assert main(["serve", "--bundle", str(copy), "--port", "0"]) != 0
    assert "blob-corrupt" in capsys.readouterr().err


def test_a_folder_without_a_release_is_refused_and_so_is_an_unreleased_model_for_others(tmp_path, capsys):
    assert main(["serve", "--bundle", str(tmp_path)]) != 0
    assert "bundle-folder-missing" in capsys.readouterr().err
    assert main(["serve", "--host", "0.0.0.0"]) != 0
    assert "host-not-loopback" in capsys.readouterr().err


def test_the_port_is_the_platforms_and_a_wrong_one_is_named():
    assert port_in({}) == 8080
    assert port_in({"PORT": "9000", "AIP_HTTP_PORT": "7000"}) == 7000
    for wrong in ("0", "99999999", "http", "-1", "٣"):
        with pytest.raises(Invalid, match="no port"):
            port_in({"PORT": wrong})
    assert routes_in({"AIP_PREDICT_ROUTE": "predict"}) == {}
