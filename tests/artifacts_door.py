"""A client at MLflow's door for files, over ASGI, with paths exactly as they are written."""

import asyncio

import msgspec

from ropewalk.api.mlflow import artifacts, parts, uploads
from ropewalk.api.mlflow.dispatch import Dispatch
from ropewalk.house import House
from ropewalk.settings import Settings, Tracking


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return msgspec.json.decode(self.body)


class Door:
    """Asks without any client's own ideas of what a path is."""

    def __init__(self, site, **tracking):
        self.site = site
        settings = Settings(name="check", tracking=Tracking(**tracking))
        self.dispatch = Dispatch(
            House(site=site, settings=settings), (*artifacts.ROUTES, *uploads.ROUTES, *parts.ROUTES)
        )

    def __call__(self, method, target, body=b"", *, headers=(), pieces=None, cut=False):
        """Ask; `cut` goes away before the last piece."""
        path, _, query = target.partition("?")
        given = [(b"host", b"127.0.0.1:8470"), *((k.encode(), v.encode()) for k, v in headers)]
        scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("ascii"),
            "headers": given,
        }
        queue = list(pieces if pieces is not None else [body])
        sent = []

        async def receive():
            if not queue:
                if sent or cut:
                    await asyncio.sleep(0 if cut else 30)
                return {"type": "http.disconnect"}
            piece = queue.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(queue) or cut}

        async def send(message):
            sent.append(message)

        asyncio.run(self.dispatch(scope, receive, send))
        if not sent:
            return None
        data = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, data)

    def ask(self, method, target, value=None):
        data = b"" if value is None else msgspec.json.encode(value)
        return self(method, target, data, headers=[("content-type", "application/json")])
