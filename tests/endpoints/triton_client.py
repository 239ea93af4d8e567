"""What Triton's own clients, unmodified, find at a server of ours, printed as JSON: `triton_client.py HTTP GRPC`."""

from __future__ import annotations

import json
import sys

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.utils import InferenceServerException


def found(kind, client) -> dict[str, object]:
    """Return what a client finds; the two kinds of client have the same methods."""
    x = kind.InferInput("x", [2, 1], "FP64")
    x.set_data_from_numpy(np.array([[0.5], [3.0]]))
    city = kind.InferInput("city", [2], "BYTES")
    city.set_data_from_numpy(np.array([b"EWR", "JFK"], dtype=object))
    whole = client.infer("flights", [x, city], request_id="mine")
    label = kind.InferRequestedOutput("label")
    some = client.infer("flights", [x, city], outputs=[label], model_version="1", parameters={"key": "me"})
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model": client.is_model_ready("flights"),
        "nobody": client.is_model_ready("trains"),
        "probability": whole.as_numpy("probability").tolist(),
        "ids": [one.decode() for one in whole.as_numpy("prediction_id")],
        "label": some.as_numpy("label").tolist(),
        "only": some.as_numpy("probability") is None,
        "errors": [
            told(lambda: client.infer("trains", [x])),
            told(lambda: client.infer("flights", [city])),
            told(lambda: client.load_model("flights")),
            told(lambda: client.unload_model("flights")),
        ],
    }


def told(call) -> str:
    """Return the words with which a client's call failed."""
    try:
        call()
    except InferenceServerException as error:
        return error.message()
    return ""


def over_http(address: str) -> dict[str, object]:
    """Return what the HTTP client finds, and what it alone can ask."""
    client = triton_http.InferenceServerClient(address)
    plain = triton_http.InferInput("x", [1], "FP64")
    plain.set_data_from_numpy(np.array([0.5]), binary_data=False)
    text = client.infer("flights", [plain], outputs=[triton_http.InferRequestedOutput("label", binary_data=False)])
    packed = client.infer("flights", [plain], request_compression_algorithm="gzip")
    return {
        **found(triton_http, client),
        "metadata": client.get_model_metadata("flights")["inputs"],
        "config": client.get_model_config("flights")["input"],
        "index": client.get_model_repository_index(),
        "counted": client.get_inference_statistics("flights")["model_stats"][0]["inference_count"],
        "extensions": client.get_server_metadata()["extensions"],
        "text": text.as_numpy("label").tolist(),
        "gzip": packed.as_numpy("label").tolist(),
    }


def over_grpc(address: str) -> dict[str, object]:
    """Return what the gRPC client finds, and what it alone can ask; our own messages stand beside its stubs."""
    from ropewalk.endpoints.rpcmessages import message

    client = triton_grpc.InferenceServerClient(address)
    return {
        **found(triton_grpc, client),
        "metadata": client.get_model_metadata("flights", as_json=True)["inputs"],
        "config": client.get_model_config("flights", as_json=True)["config"]["input"],
        "index": client.get_model_repository_index(as_json=True)["models"],
        "counted": int(client.get_inference_statistics("flights").model_stats[0].inference_count),
        "extensions": list(client.get_server_metadata().extensions),
        "late": told(lambda: client.infer("flights", [], client_timeout=5)),
        "beside": message("ModelInferRequest")(model_name="m").model_name,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"http": over_http(sys.argv[1]), "grpc": over_grpc(sys.argv[2])}))
