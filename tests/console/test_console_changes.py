"""What people change in a real browser: by keyboard, without scripts, many at once, and taken back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest

from console.addresses import WIDE
from console.payloads import PAYLOADS, as_name
from ropewalk.house import open_house
from ropewalk.models import registered, versions
from ropewalk.runs import experiments, remote

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def own(lab) -> str:
    """An experiment of these tests' own with sixty runs; return its id."""

    def work(tx) -> str:
        home = experiments.create(tx, house.site, "ours")
        for number in range(60):
            remote.create(tx, house.site, experiment=home.id, name=f"try {number:02}", start_ms=number + 1)
        registered.create(tx, house.site, "ours")
        for _ in range(2):
            versions.add(tx, house.site, name="ours", source="runs:/x/model", storage="runs:/x/model")
        return str(home.id)

    with open_house(lab.root) as house:
        return house.site.db.write(work)


def test_runs_are_gone_through_chosen_and_deleted_with_keys_and_come_back(look: Page, own: str):
    look.goto(f"/runs?experiment={own}")
    look.keyboard.press("j")
    look.keyboard.press("j")
    assert look.evaluate("document.activeElement.textContent") == "try 58"
    look.keyboard.press("x")
    look.keyboard.press("ArrowDown")
    look.keyboard.press("x")
    look.keyboard.press("k")
    look.keyboard.press("/")
    assert look.evaluate("document.activeElement.id") == "filter"
    look.keyboard.type("jx")
    assert look.locator("#chosen .said").inner_text() == "2 runs chosen: try 58, try 57"
    look.locator("#chosen").get_by_role("button", name="Delete").click()
    look.get_by_role("heading", name="Delete 2 runs").wait_for()
    look.get_by_role("button", name="Delete 2 runs").click()
    look.locator(".told").wait_for()

    assert look.locator(".told").inner_text().startswith("2 runs deleted.")
    assert f"experiment={own}" in look.url
    assert look.get_by_role("link", name="try 58").count() == 0
    assert look.locator("#chosen").is_hidden()
    look.reload()
    assert look.locator(".told").count() == 0
    look.get_by_role("link", name="deleted", exact=True).click()
    look.get_by_label("Choose all runs of this page").check()
    look.locator("#chosen").get_by_role("button", name="Restore").click()
    look.get_by_role("button", name="Restore 2 runs").click()
    look.get_by_role("link", name="try 58").wait_for()


def test_enter_opens_a_run_whose_deletion_is_taken_back_at_once(look: Page, own: str):
    look.goto(f"/runs?experiment={own}")
    look.keyboard.press("j")
    look.keyboard.press("Enter")
    look.get_by_role("heading", level=1, name="try 59").wait_for()
    look.get_by_role("link", name="Delete", exact=True).click()
    look.get_by_role("button", name="Delete run").press("Enter")
    look.locator(".told").get_by_role("button", name="Undo").click()
    look.get_by_text("Run try 59 is back.").wait_for()

    assert look.get_by_role("heading", level=1).inner_text() == "try 59"


def test_keys_can_be_switched_off(look: Page, own: str):
    look.goto(f"/runs?experiment={own}")
    look.get_by_text("Keys", exact=True).click()
    look.get_by_label("use these keys").uncheck()
    look.keyboard.press("Escape")
    look.keyboard.press("j")
    assert look.evaluate("document.activeElement.closest('tbody')") is None
    look.get_by_text("Keys", exact=True).click()
    look.get_by_label("use these keys").check()


def test_columns_are_remembered_for_an_experiment_and_forgotten_when_asked(look: Page, own: str):
    look.goto(f"/runs?experiment={own}")
    look.get_by_text("Columns", exact=True).click()
    look.get_by_label("user", exact=True).check()
    look.get_by_role("button", name="Show").click()
    look.wait_for_url("**show=attributes.user_id*")
    look.goto(f"/runs?experiment={own}")
    heads = [text.split("\n")[-1].strip() for text in look.locator("th").all_inner_texts()]
    url = look.url
    look.get_by_text("Columns", exact=True).click()
    look.get_by_role("link", name="as usual").click()
    look.locator("th").filter(has_text="started").wait_for()

    assert heads == ["", "name", "state", "user"]
    assert "show=attributes.user_id" in url
    assert "show=" not in look.url


def test_everything_works_without_scripts(chromium, lab, own: str):
    context = chromium.new_context(base_url=lab.url, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/runs?experiment={own}")
    page.locator("tbody input[type=checkbox]").nth(3).check()
    page.locator("noscript").get_by_role("button", name="Tag").click()
    page.get_by_label("Tag", exact=True).fill("kept")
    page.get_by_role("button", name="Tag 1 run").click()
    assert page.locator(".told").inner_text() == "Tag kept is set on 1 run."
    page.get_by_text("About this experiment").click()
    page.get_by_role("link", name="Rename").click()
    page.get_by_label("Name").fill("")
    page.locator("[required]").evaluate_all("all => all.forEach(item => item.removeAttribute('required'))")
    page.get_by_role("button", name="Rename").click()
    assert "cannot be an experiment's name" in page.get_by_role("alert").inner_text()
    page.get_by_label("Name").fill("ours too")
    page.get_by_role("button", name="Rename").click()

    assert page.locator(".told").inner_text() == "The experiment is called ours too now."
    assert page.get_by_role("heading", level=1).inner_text() == "ours too"
    context.close()


def test_an_alias_is_moved_and_taken_away_with_the_way_back_told(look: Page, own: str):
    look.goto("/models/ours/2")
    look.get_by_label("Alias for this version").fill("shadow")
    look.get_by_role("button", name="Set alias").click()
    look.get_by_text("shadow means version 2 now.").wait_for()
    look.get_by_role("button", name="Take alias shadow away").click()
    assert "Set shadow again to version 2" in look.locator(".sheet").inner_text()
    look.get_by_role("button", name="Take away").click()
    look.get_by_text("shadow means nothing now.").wait_for()


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1440, "light")])
def test_no_form_is_too_wide_or_lets_words_become_markup(look: Page, lab, width: int, scheme: str):
    look.emulate_media(color_scheme=scheme)
    look.set_viewport_size({"width": width, "height": 900})
    name = as_name(PAYLOADS[24])
    base = f"/models/{httpx.URL('/').copy_with(path=f'/{name}').raw_path.decode()[1:]}"
    forms = [f"/runs/{lab.evil}/do/{word}" for word in ("rename", "describe", "delete")]
    forms += [f"{base}/do/rename", f"{base}/do/alias", f"{base}/do/delete", f"{base}/1/do/stage"]
    forms += ["/webhooks", "/webhooks/do/create", "/prompts/do/create", "/experiments/4/do/rename"]

    for path in forms:
        answer = look.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        assert look.evaluate(WIDE), path
        assert look.evaluate("window.hit") is None, path
        assert look.locator("main script, main [onerror], main [onload], main [onfocus]").count() == 0, path


def test_the_table_leaves_as_a_file(look: Page, own: str):
    look.goto(f"/runs?experiment={own}&filter=attributes.run_name+%3D+'try+07'")
    look.get_by_text("Download", exact=True).click()
    with look.expect_download() as waiting:
        look.get_by_role("link", name="Every column").click()
    text = waiting.value.path().read_text()

    assert len(text.splitlines()) == 2
    assert re.search(r",try 07,RUNNING,", text)
