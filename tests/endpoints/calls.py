"""A gateway over HTTP and gRPC, and a caller of both."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from endpoints.live import STAND_IN, Caller
from ropewalk.endpoints.gateway import Gateway
from ropewalk.endpoints.rpc import RpcDoor
from ropewalk.endpoints.rpcmessages import SERVICE, message
from ropewalk.endpoints.server import address_of, listen, make
from ropewalk.settings import Serve, Settings
from ropewalk.site import Site


class Rpc:
    """Calls the service by its private messages."""

    def __init__(self, port: int) -> None:
        import grpc

        self.port = port
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def call(self, name: str, /, seconds: float = 20, metadata: Any = (), **members: Any) -> Any:
        ask = self.channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=message(f"{name}Request").SerializeToString,
            response_deserializer=message(f"{name}Response").FromString,
        )
        return ask(message(f"{name}Request")(**members), timeout=seconds, metadata=metadata)

    def infer(self, *xs: float, **more: Any) -> Any:
        tensor = {"name": "x", "datatype": "FP64", "shape": [len(xs)]}
        raw = struct.pack(f"<{len(xs)}d", *xs)
        return self.call(
            "ModelInfer", **{"model_name": "flights", "inputs": [tensor], "raw_input_contents": [raw], **more}
        )


@contextmanager
def serving_both(site: Site, command: tuple[str, ...] = STAND_IN) -> Iterator[tuple[Caller, Rpc]]:
    """Run a gateway in a thread of this process, with a port for gRPC beside the other."""
    with listen("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    gateway = Gateway(site, Settings(name="flights", serve=Serve(body_bytes_max=1 << 16)), command=command)
    door = RpcDoor(gateway, host="127.0.0.1", port=port, body_bytes_max=1 << 16)
    with listen("127.0.0.1", 0) as listener:
        server = make(door, drain_seconds_max=20)
        server.install_signal_handlers = lambda: None
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        rpc = Rpc(port)
        caller = Caller(url=address_of(listener), gateway=gateway)
        try:
            caller.until(lambda: server.started)
            yield caller, rpc
        finally:
            rpc.channel.close()
            caller.close()
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()
