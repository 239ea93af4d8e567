"""The process that speaks with a Ray cluster for a pool: `python -m ropewalk.compute.ray FD`; nothing else imports Ray.

It stands between because Ray ends the process that it lives in when its head is lost, takes over its signals and prints
into its terminal; and because a connection that does not come about can be ended with its process alone.
"""

from __future__ import annotations

import base64
import importlib
import os
import queue
import secrets
import shutil
import socket
import sys
import tempfile
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ropewalk.compute.channel import PIECE_BYTES, Frames, send
from ropewalk.compute.guardian import STOP_SECONDS, Guardian

if TYPE_CHECKING:
    from concurrent.futures import Future

LOCAL = "local"
KNOCK_SECONDS = 3.0
LOOK_SECONDS = 2.0
END_SECONDS = 20.0
CALLS_AT_ONCE = 4  # one that waits for what is printed, one that stops it, and room
Event = tuple[str, int, Any]


class Placed(Guardian):
    """A guardian that knows on which node of Ray's it is."""

    def ready(self) -> dict[str, Any]:
        """Return where this is and what it runs on."""
        import ray

        return super().ready() | {"node": ray.get_runtime_context().get_node_id()}


class Link:
    """Turns what a pool orders into actors and calls, and tells it what becomes of them.

    Args:
        channel: to the pool; when it closes, everything that was started is ended.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._actors: dict[int, Any] = {}
        self._ready: set[int] = set()
        self._waiting: dict[int, dict[str, Any]] = {}
        self._ending: dict[int, Any] = {}
        self._facts: dict[int, dict[str, Any]] = {}
        self._place = ""

    def run(self) -> None:
        """Serve until the pool closes the channel."""
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            while True:
                kind, number, what = self._events.get()
                if kind == "closed":
                    break
                getattr(self, f"_on_{kind}")(number, what)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the pool is gone
        finally:
            self._close()

    def _listen(self) -> None:
        frames = Frames()
        with suppress(OSError):
            while data := self._channel.recv(PIECE_BYTES):
                for order in frames.feed(data):
                    self._events.put((order["op"], order.get("worker", 0), order))
        self._events.put(("closed", 0, None))
        # Whatever Ray waits for: who has nobody to serve does not stay.
        threading.Event().wait(END_SECONDS)
        os._exit(1)

    def _tell(self, what: str, number: int = 0, **facts: object) -> None:
        send(self._channel, {"tell": what, "worker": number, **facts})

    # ---------------------------------------------------------------------------------------------------- orders
    def _on_connect(self, _: int, order: dict[str, Any]) -> None:
        try:
            self._connect(order["address"], order["cpus"])
        except Exception as error:  # noqa: BLE001 - whatever Ray says, people are told
            self._tell("refused", why=_said(error))
            return
        nodes = _nodes()
        self._tell("nodes", nodes=nodes)
        threading.Thread(target=self._look, args=(nodes,), daemon=True).start()

    def _connect(self, address: str, cpus: int | None) -> None:
        _knock(address)
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
        if address == LOCAL:
            self._place = tempfile.mkdtemp(prefix="rw-")  # short: Ray's sockets lie in it
            # Of its own: Ray would write one into the user's home, which every later `ray start` would then insist on.
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
            quiet |= {"include_dashboard": False, "num_cpus": cpus, "_temp_dir": self._place}
        elif address.startswith("ray://"):
            quiet = {"log_to_driver": False}
        _ray().init(address=address, **quiet)

    def _on_start(self, number: int, order: dict[str, Any]) -> None:
        options: dict[str, Any] = {"num_cpus": order["cpu"], "num_gpus": order["gpu"]}
        if order["memory"]:
            options["memory"] = order["memory"]
        actor = (
            _ray()
            .remote(Placed)
            .options(**options, max_concurrency=CALLS_AT_ONCE, max_restarts=0, scheduling_strategy="SPREAD")
            .remote(order["facts"] | {"gpu": order["gpu"]})
        )
        self._actors[number], self._facts[number] = actor, order["facts"]
        self._then("ready", number, actor.ready.remote())

    def _on_do(self, number: int, order: dict[str, Any]) -> None:
        if number in self._ready:
            self._then("said", number, self._actors[number].do.remote(order["job"]))
        elif number in self._actors:
            self._waiting[number] = order

    def _on_end(self, number: int, _: object) -> None:
        actor = self._actors.pop(number, None)
        self._waiting.pop(number, None)
        if actor is None:
            return
        if number in self._ready:
            self._ready.discard(number)
            self._ending[number] = actor
            self._then("stopped", number, actor.stop.remote())
        else:
            _kill(actor)

    # ---------------------------------------------------------------------------------------------------- events
    def _then(self, kind: str, number: int, ref: Any) -> None:  # noqa: ANN401 - a promise of Ray's
        """Have what comes of a call among the events; Ray's own thread tells, and may not call Ray in turn."""

        def done(future: Future[Any]) -> None:
            self._events.put((kind, number, future))

        ref.future().add_done_callback(done)

    def _on_ready(self, number: int, future: Future[Any]) -> None:
        if number not in self._actors:
            return
        error = future.exception()
        if error is not None:
            self._lose(number, error)
            return
        facts: dict[str, Any] = future.result()
        wanted = self._facts.pop(number)
        self._tell("ready", number, facts=facts)
        # Where it is not fit, the pool refuses it, and nothing has run there.
        if facts["ropewalk"] == wanted["ropewalk"] and (facts["shared"] or wanted["anywhere"]):
            self._ready.add(number)
            if number in self._waiting:
                self._on_do(number, self._waiting.pop(number))

    def _on_said(self, number: int, future: Future[Any]) -> None:
        if number not in self._actors:
            return
        error = future.exception()
        if error is not None:
            self._lose(number, error)
            return
        events: list[dict[str, Any]] = future.result()
        ended = False
        for event in events:
            if "printed" in event:
                self._tell("printed", number, data=base64.b64encode(event["printed"]).decode())
            else:
                ended = True
                self._tell("ended", number, ending=event["ended"])
        if not ended:
            self._then("said", number, self._actors[number].more.remote())

    def _on_stopped(self, number: int, _: object) -> None:
        actor = self._ending.pop(number, None)
        if actor is not None:
            _kill(actor)

    def _on_nodes(self, _: int, nodes: dict[str, Any]) -> None:
        self._tell("nodes", nodes=nodes)

    def _lose(self, number: int, error: BaseException) -> None:
        """Tell that an actor is gone: with its process or node, or because it cannot be made there.

        One that was there and cannot go on is gone too: its job begins again elsewhere.
        """
        from ray.exceptions import RayTaskError

        actor, was_there = self._actors.pop(number), number in self._ready
        self._waiting.pop(number, None)
        self._ready.discard(number)
        _kill(actor)
        text = str(error)
        broken = not was_there and (isinstance(error, RayTaskError) or "creation task" in text)
        self._tell("broken" if broken else "gone", number, why=_said(error))

    def _look(self, before: dict[str, Any]) -> None:
        """Tell of nodes that come and go."""
        pause = threading.Event()
        while not pause.wait(LOOK_SECONDS):
            with suppress(Exception):
                now = _nodes()
                if now != before:
                    before = now
                    self._events.put(("nodes", 0, now))

    def _on_look(self, _: int, __: object) -> None:
        self._tell("nodes", nodes=_nodes())

    def _on_clear(self, _: int, __: object) -> None:
        self._end_all()
        self._tell("cleared")

    def _end_all(self) -> None:
        """End every worker with all that it has started."""
        ray = _ray()
        stops = [actor.stop.remote() for number, actor in self._actors.items() if number in self._ready]
        with suppress(Exception):
            if stops:
                ray.wait(stops, num_returns=len(stops), timeout=STOP_SECONDS + 1.0)
        for actor in [*self._actors.values(), *self._ending.values()]:
            _kill(actor)
        for held in (self._actors, self._ending, self._waiting, self._facts, self._ready):
            held.clear()

    def _close(self) -> None:
        """End every worker, then the connection, and the cluster if it is ours."""
        if "ray" not in sys.modules or not _ray().is_initialized():
            return
        self._end_all()
        with suppress(Exception):
            _ray().shutdown()
        if self._place:
            shutil.rmtree(self._place, ignore_errors=True)


def _ray() -> Any:  # noqa: ANN401 - half of its functions have no types
    import ray

    return ray


def _kill(actor: Any) -> None:  # noqa: ANN401 - a handle of Ray's
    with suppress(Exception):
        _ray().kill(actor)


def _nodes() -> dict[str, Any]:
    """Return what each living node has: processors, bytes of memory and cards."""
    found: list[dict[str, Any]] = _ray().nodes()
    return {
        node["NodeID"]: [
            float(node["Resources"].get("CPU", 0.0)),
            int(node["Resources"].get("memory", 0)),
            int(node["Resources"].get("GPU", 0)),
        ]
        for node in found
        if node["Alive"]
    }


def _knock(address: str) -> None:
    """Pass where something listens at an address; Ray itself asks for a minute.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit() and host:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS):
            pass


def _said(error: BaseException) -> str:
    """Return the last line of what Ray says, which is the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def main() -> None:
    """Serve the pool at the other end of the socket whose number is the first argument."""
    fd = int(sys.argv[1])
    os.set_inheritable(fd, False)
    with socket.socket(fileno=fd) as channel:
        Link(channel).run()
    os._exit(0)  # threads of Ray's may still wait for what is gone


if __name__ == "__main__":
    # Classes of `__main__` would travel whole, those of a module by its name.
    importlib.import_module("ropewalk.compute.ray").main()
