"""Every link of a page stays below the path at which its project is served."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ropewalk.console

ROOM = Path(ropewalk.console.__file__).parent
# The whole server's own: files that all pages load, and the way in and out.
SHARED = ("/static/", "/login", "/logout", "/workspaces")
LINK = re.compile(r'(?:href|src|action|formaction|data-live)="([^"]*)')


@pytest.mark.parametrize("template", sorted((ROOM / "templates").glob("*.html")), ids=lambda path: path.name)
def test_each_link_of_a_template_stands_behind_its_base(template: Path) -> None:
    for link in LINK.findall(template.read_text()):
        # Where another workspace lies, the page of the whole server says itself.
        elsewhere = template.name == "base.html" and link == "{{ item.address }}"
        assert elsewhere or link.startswith(("{{ base }}", "#", "?", *SHARED)), link


@pytest.mark.parametrize("script", sorted((ROOM / "static").glob("*.js")), ids=lambda path: path.name)
def test_each_script_that_goes_elsewhere_knows_its_base(script: Path) -> None:
    text = script.read_text()

    goes = re.findall(r"(?:\.href = |location\.(?:assign|replace)\()[`\"']([^`\"']{0,9})", text)

    assert all(address.startswith(("${BASE}", "${base}")) for address in goes), goes
