"""Forms sent to the whole server as a browser sends them, without a socket between."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from api.asked import HOST, Answer, Asked, bearer

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A person at a page: his server and his token, empty where nobody is asked."""

    asked: Asked
    token: str = ""

    def look(self, path: str, **headers: str) -> Answer:
        return self.asked.ask("GET", path, accept="text/html", **self._own(), **headers)

    def press(self, path: str, *, origin: str = f"http://{HOST}", **fields: Any) -> Answer:
        """Send a form; a field with several values is a list."""
        body = urlencode(fields, doseq=True).encode()
        return self.asked.ask("POST", path, body, content_type=FORM, origin=origin, accept="text/html", **self._own())

    def follow(self, answer: Answer) -> str:
        """Return the page that an answer leads to, with what is told there."""
        assert answer.status == 303, (answer.status, answer.body[:4000])
        cookie = answer.headers["set-cookie"].partition(";")[0]
        page = self.look(answer.headers["location"].partition("#")[0], cookie=cookie)
        assert page.status == 200, page.body[:2000]
        return page.body.decode()

    def done(self, path: str, **fields: Any) -> str:
        """Send a form; return what is told afterwards."""
        return said(self.follow(self.press(path, **fields)))

    def _own(self) -> dict[str, str]:
        return {"authorization": bearer(self.token)} if self.token else {}


def said(page: str) -> str:
    """Return the sentence that stands above a page."""
    found = re.search(r'<div class="told" role="status"><p>(.*?)</p>', page)
    return html.unescape(found.group(1)) if found else ""


def fields_of(page: str) -> dict[str, str]:
    """Return the hidden fields of a page's form."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))


def address(*parts: object) -> str:
    """Return an address of decoded parts."""
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)
