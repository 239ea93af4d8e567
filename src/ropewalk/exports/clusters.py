"""A release for Kubernetes, as manifests and as a chart of Helm's, from the same templates; and for KServe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ropewalk import __version__
from ropewalk.exports.containers import words
from ropewalk.exports.kubernetes import processors
from ropewalk.exports.names import KUBERNETES
from ropewalk.exports.released import Released
from ropewalk.exports.render import fill, quoted

# How long a pod that is to leave waits for the balancers to hear of it, in seconds.
PAUSE = 5
PARTS = ("service", "deployment", "scaling", "network")
RELEASE_NAME = "{{ .Release.Name }}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What the templates of both say: a value itself in manifests, and where it stands in a chart.

    Attributes:
        found: the release.
        helm: whether it is a chart.
    """

    found: Released
    helm: bool

    def __call__(self, path: str) -> str:
        """Return a value of `values.yaml`, as JSON, which is YAML too."""
        if self.helm:
            return f"{{{{ .Values.{path} | toJson }}}}"
        value: Any = values(self.found)
        for step in path.split("."):
            value = value[step]
        return quoted(value)

    def when(self, path: str) -> str:
        """Begin what stands there only where a value is true."""
        return f"{{{{- if .Values.{path} }}}}" if self.helm else ""

    def unless(self, path: str) -> str:
        """Begin what stands there only where a value is not true: in manifests nothing, for they have it true."""
        return f"{{{{- if not .Values.{path} }}}}" if self.helm else ""

    @property
    def end(self) -> str:
        """End it."""
        return "{{- end }}" if self.helm else ""

    @property
    def name(self) -> str:
        """The name of every object."""
        return quoted(RELEASE_NAME if self.helm else self.found.name)

    @property
    def selector(self) -> str:
        """The labels by which pods are found."""
        return quoted(_selector(self.found, RELEASE_NAME if self.helm else self.found.name))

    @property
    def labels(self) -> str:
        """The labels of every object."""
        return quoted(labels(self.found, RELEASE_NAME if self.helm else self.found.name))

    @property
    def annotations(self) -> str:
        """From which release it is."""
        return quoted(origin(self.found))


def values(found: Released) -> dict[str, Any]:
    """Return what a chart lets one change, as the release and `[deploy]` say it."""
    return {
        "image": found.image,
        "replicas": found.deploy.replicas,
        "autoscaling": {"enabled": True, "replicasMax": _most(found), "cpuPercent": found.deploy.cpu_percent},
        "resources": resources(found),
        "networkPolicy": {"enabled": True, "from": [{"podSelector": {}}]},
    }


def _most(found: Released) -> int:
    return max(found.deploy.replicas, found.deploy.replicas_max)


def resources(found: Released) -> dict[str, dict[str, str]]:
    """Return what a container asks for, and the memory that it may take at most."""
    memory = found.deploy.memory
    return {"requests": {"cpu": processors(found.deploy.cpu), "memory": memory}, "limits": {"memory": memory}}


def _selector(found: Released, instance: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": found.name, "app.kubernetes.io/instance": instance}


def labels(found: Released, instance: str) -> dict[str, str]:
    """Return the labels of an object."""
    return {
        **_selector(found, instance),
        "app.kubernetes.io/version": str(found.release.number),
        "app.kubernetes.io/part-of": KUBERNETES.made(found.bundle.project),
    }


def origin(found: Released) -> dict[str, str]:
    """Return from which release an object is, and where its figures are."""
    return {
        "ropewalk.io/release": found.release.id,
        "ropewalk.io/bundle": found.release.bundle,
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8080",
        "prometheus.io/path": "/metrics",
    }


def _facts(found: Released) -> Mapping[str, Any]:
    return {**found.facts(), **words(), "pause": PAUSE}


def _part(found: Released, name: str, *, helm: bool) -> str:
    text = fill(f"cluster/{name}.yaml", {**_facts(found), "v": Values(found=found, helm=helm)})
    if helm:
        return text
    lines = text.splitlines()
    if name == "deployment":  # the number of replicas is the autoscaler's; written here it would be set back every time
        lines = [line for line in lines if not line.startswith("  replicas: ")]
    return "\n".join(line for line in lines if line.strip()) + "\n"


def _commented(found: Released) -> str:
    return "".join(f"# {line}\n" for line in found.header())


def kubernetes(found: Released) -> dict[str, str | bytes]:
    """Return the manifests, in one file."""
    parts = [_part(found, name, helm=False) for name in PARTS]
    head = _commented(found) + f"# kubectl apply -f {found.name}.yaml\n"
    return {f"{found.name}.yaml": head + "---\n" + "---\n".join(parts)}


def helm(found: Released) -> dict[str, str | bytes]:
    """Return the chart: its values are those of the manifests, which it renders to."""
    head = _commented(found)
    version = f"{found.release.number}.0.0"
    chart = {
        "apiVersion": "v2",
        "name": found.name,
        "description": f"{found.endpoint}, release {found.release.id}, as Ropewalk {__version__} exported it",
        "type": "application",
        "version": version,
        "appVersion": str(found.release.number),
        "annotations": origin(found),
    }
    files: dict[str, str | bytes] = {
        "Chart.yaml": head + "".join(f"{name}: {quoted(value)}\n" for name, value in chart.items()),
        "values.yaml": head
        + f"# helm install {found.name} . --set replicas=3\n"
        + "".join(f"{name}: {quoted(value)}\n" for name, value in values(found).items()),
        "values.schema.json": json.dumps(_SCHEMA, indent=2) + "\n",
        ".helmignore": ".*\n*.part\n",
    }
    return files | {f"templates/{name}.yaml": head + _part(found, name, helm=True) for name in PARTS}


def kserve(found: Released) -> dict[str, str | bytes]:
    """Return KServe's InferenceService."""
    facts = {
        **_facts(found),
        "labels": labels(found, found.name),
        "annotations": origin(found),
        "resources": resources(found),
        "most": _most(found),
    }
    return {f"{found.name}.yaml": fill("cluster/kserve.yaml", facts)}


_COUNT = {"type": "integer", "minimum": 1, "maximum": 1000}
_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["image", "replicas", "autoscaling", "resources", "networkPolicy"],
    "properties": {
        "image": {"type": "string", "minLength": 1},
        "replicas": _COUNT,
        "autoscaling": {
            "type": "object",
            "required": ["enabled", "replicasMax", "cpuPercent"],
            "properties": {
                "enabled": {"type": "boolean"},
                "replicasMax": _COUNT,
                "cpuPercent": {"type": "integer", "minimum": 1, "maximum": 100},
            },
        },
        "resources": {"type": "object"},
        "networkPolicy": {
            "type": "object",
            "required": ["enabled", "from"],
            "properties": {"enabled": {"type": "boolean"}, "from": {"type": "array", "minItems": 1}},
        },
    },
}
