"""A release for SageMaker and Vertex AI: what their interfaces are asked with, as JSON."""

from __future__ import annotations

import json
from typing import Any

from ropewalk.endpoints.packed import PORT
from ropewalk.exports.names import Rule
from ropewalk.exports.released import Released

# What nobody knows but whoever owns the account; the words are replaced before a file is used.
ROLE = "ROLE_ARN"
INSTANCE = "ml.m5.large"
# Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html
_AWS = Rule(refused=r"[^A-Za-z0-9-]", length_max=63)
HEALTH, PREDICT = "/ping", "/predict"
_VERTEX_LABEL = Rule(refused=r"[^a-z0-9_-]", lower=True, length_max=63)


def sagemaker(found: Released) -> dict[str, str | bytes]:
    """Return the inputs of `aws sagemaker create-model`, `create-endpoint-config` and `create-endpoint`.

    New endpoints take all traffic at once; an update of one goes by the configuration's deployment guard.
    """
    model = _AWS.made(f"{found.endpoint}-{found.release.number}")
    tags = [
        {"Key": "ropewalk-release", "Value": found.release.id},
        {"Key": "ropewalk-bundle", "Value": found.release.bundle},
    ]
    variant = {
        "VariantName": "all",
        "ModelName": model,
        "InstanceType": INSTANCE,
        "InitialInstanceCount": found.deploy.replicas,
        "InitialVariantWeight": 1.0,
        "ContainerStartupHealthCheckTimeoutInSeconds": 120,
    }
    told: dict[str, Any] = {
        "create-model.json": {
            "ModelName": model,
            "PrimaryContainer": {"Image": found.image, "Mode": "SingleModel"},
            "ExecutionRoleArn": ROLE,
            "EnableNetworkIsolation": True,
            "Tags": tags,
        },
        "create-endpoint-config.json": {
            "EndpointConfigName": model,
            "ProductionVariants": [variant],
            "Tags": tags,
        },
        "create-endpoint.json": {"EndpointName": _AWS.made(found.endpoint), "EndpointConfigName": model, "Tags": tags},
    }
    head = [
        *found.header(),
        f"{ROLE} is yours to fill in; the image has to lie in your account's registry.",
        *(f"aws sagemaker {name.removesuffix('.json')} --cli-input-json file://{name}" for name in told),
    ]
    files: dict[str, str | bytes] = {name: _json(value) for name, value in told.items()}
    return {"README.txt": "".join(f"{line}\n" for line in head), **files}


def vertex(found: Released) -> dict[str, str | bytes]:
    """Return the body of `models.upload` of Vertex AI."""
    label = _VERTEX_LABEL.made(found.release.id)
    body: dict[str, Any] = {
        "model": {
            "displayName": found.endpoint,
            "versionAliases": [f"release-{found.release.number}"],
            "versionDescription": f"release {found.release.id}, bundle {found.release.bundle}",
            "labels": {"ropewalk-release": label},
            "containerSpec": {
                "imageUri": found.image,
                "ports": [{"containerPort": PORT}],
                "healthRoute": HEALTH,
                "predictRoute": PREDICT,
                "healthProbe": {"periodSeconds": 10, "timeoutSeconds": 5},
                "startupProbe": {"periodSeconds": 2, "timeoutSeconds": 2, "failureThreshold": 60},
            },
        }
    }
    head = [
        *found.header(),
        "The image has to lie in your project's registry. LOCATION and PROJECT are yours to fill in:",
        "POST /v1/projects/PROJECT/locations/LOCATION/models:upload with models-upload.json as the body, or",
        f"gcloud ai models upload --region=LOCATION --display-name={found.name} --container-image-uri={found.image} \\",
        f"  --container-ports={PORT} --container-health-route={HEALTH} --container-predict-route={PREDICT}",
    ]
    return {"README.txt": "".join(f"{line}\n" for line in head), "models-upload.json": _json(body)}


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=True) + "\n"
