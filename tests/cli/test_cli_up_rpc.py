"""`ropewalk up --grpc-port` asks callers over gRPC who they are, exactly as it asks those over HTTP."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.asked import bearer, person
from ropewalk.access.roles import Grant
from ropewalk.cli import main
from ropewalk.endpoints.rpcmessages import SERVICE, message
from ropewalk.house import open_house


def told(port: int, name: str, token: str = "", **members: Any) -> tuple[str, str]:
    """Return code and details of a call."""
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask = channel.unary_unary(f"/{SERVICE}/{name}", request_serializer=message(f"{name}Request").SerializeToString)
        try:
            ask(message(f"{name}Request")(**members), timeout=20, metadata=(("authorization", token),) if token else ())
        except grpc.RpcError as error:
            return error.code().name, error.details()
    return "OK", ""


def told_before_a_message(port: int, token: str = "") -> str:
    """Return the code of a call that sends its head and then nothing."""
    import grpc

    never = threading.Event()

    def nothing() -> Iterator[bytes]:
        never.wait(30)
        yield from ()

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            channel.stream_unary(f"/{SERVICE}/ModelInfer")(
                nothing(), timeout=2, metadata=(("authorization", token),) if token else ()
            )
        except grpc.RpcError as error:
            return error.code().name
        finally:
            never.set()
    return "OK"


@pytest.mark.timeout(100)
def test_who_calls_is_asked_and_a_taken_port_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("grpc")
    with open_house(tmp_path, create=True) as house:
        token = bearer(person(house.site, "ann", Grant(role="viewer")))
    words = [sys.executable, "-u", "-m", "ropewalk", "--project", str(tmp_path), "up", "--auth"]
    with subprocess.Popen([*words, "--port", "0", "--grpc-port", "0"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            said += next(server.stdout)
        port = int(re.findall(r"^gRPC +127.0.0.1:(\d+)$", said, re.MULTILINE)[0])
        stranger = told(port, "ModelInfer", model_name="flights")
        known = told(port, "ModelInfer", token, model_name="flights")
        early = told_before_a_message(port)
        awaited = told_before_a_message(port, token)
        alive = told(port, "ServerLive")
        taken = main(["--project", str(tmp_path), "up", "--port", "0", "--grpc-port", str(port)])
        server.send_signal(signal.SIGTERM)
        server.wait(40)

    assert (stranger[0], known[0], alive[0]) == ("UNAUTHENTICATED", "NOT_FOUND", "OK")
    assert (early, awaited) == ("UNAUTHENTICATED", "DEADLINE_EXCEEDED")
    assert "nothing is live" in known[1]
    assert taken != 0
    assert "port-taken" in capsys.readouterr().err
    assert server.returncode == 0
