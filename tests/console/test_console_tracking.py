"""What people do in the console with runs, models, prompts and traces, in a real browser."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from console import laboratory
from console.addresses import WIDE, compared, runs_of
from ropewalk.demo.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def test_sorting_filtering_and_paging_follow_each_other_in_the_address(look: Page):
    look.goto("/runs?experiment=1")
    look.get_by_role("link", name="accuracy").click()
    look.get_by_role("textbox", name="Filter runs").fill("params.model = 'forest'")
    look.keyboard.press("Enter")
    look.wait_for_url("**filter=*")
    head = look.locator("th[aria-sort=descending]")
    first = look.locator("tbody td.name a").all_inner_texts()
    values = [float(text) for text in look.locator("tbody tr td.number:nth-child(7)").all_inner_texts()]
    look.get_by_role("link", name="Next page").click()
    look.wait_for_url("**after=*")

    assert head.inner_text().startswith("metric")
    second = look.locator("tbody td.name a").all_inner_texts()
    assert len(first) == len(set(first)) == 50
    assert second != []
    assert set(first).isdisjoint(second)
    assert values == sorted(values, reverse=True)
    assert look.get_by_role("link", name="First page").count() == 1
    assert look.get_by_role("textbox", name="Filter runs").input_value() == "params.model = 'forest'"


def test_a_filter_that_is_not_understood_is_explained_beside_its_box(look: Page):
    look.goto("/runs")
    look.get_by_role("textbox", name="Filter runs").fill("metrics.accuracy bigger than 3")
    look.get_by_role("button", name="Filter").click()
    told = look.get_by_role("alert")
    told.wait_for()

    assert "example" in told.inner_text()
    assert look.get_by_role("textbox", name="Filter runs").get_attribute("aria-invalid") is not None


def test_columns_are_chosen_and_stay_in_the_address(look: Page):
    look.goto("/runs")
    look.get_by_text("Columns", exact=True).click()
    look.get_by_label("Find a column").fill("see")
    look.get_by_label("seed", exact=True).check()
    look.get_by_role("button", name="Show").click()
    look.wait_for_url("**show=params.seed*")

    heads = look.locator("th").all_inner_texts()
    assert [text.split("\n")[-1].strip() for text in heads] == ["", "name", "state", "seed"]


def test_experiments_are_found_by_name_and_chosen(look: Page):
    look.goto("/runs")
    look.get_by_label("Find experiments by name").fill("CHU")
    look.keyboard.press("Enter")
    look.wait_for_url("**named=CHU*")
    side = look.get_by_role("navigation", name="Experiments")
    shown = side.get_by_role("link").all_inner_texts()
    side.get_by_role("link", name="churn").click()

    assert [text.split("\n")[0] for text in shown] == ["All", "churn"]
    assert look.get_by_role("heading", level=1).inner_text() == "churn"


def test_chosen_runs_are_remembered_over_pages_and_compared(look: Page):
    look.goto("/runs?filter=attributes.status+%3D+'FINISHED'")
    for box in look.locator("tbody input[type=checkbox]").all()[:2]:
        box.check()
    look.get_by_role("link", name="Next page").click()
    look.wait_for_url("**after=*")
    look.locator("tbody input[type=checkbox]").first.check()
    said = look.locator("#chosen .said").inner_text()
    look.get_by_role("button", name="Compare").click()
    look.wait_for_url("**/compare?**")

    assert said.startswith("3 runs chosen")
    assert look.locator(".legend li").count() == 3
    assert look.locator("tr.differs").count() > 3
    assert look.locator("svg.parallel .strand").count() == 3


def test_compared_curves_lie_over_each_other_and_any_two_numbers_make_a_plot(look: Page, lab):
    look.goto(f"/compare?{compared(lab, 4)}")
    assert look.locator("svg.plot").first.locator("g[data-values]").count() == 4
    look.get_by_label("up").select_option("metric loss")
    look.wait_for_function("() => document.querySelector('#scattered').innerHTML.includes('metric loss')")

    assert look.locator("svg.scatter circle").count() == 4
    assert "y=metric" in look.url


def test_the_table_is_used_with_the_keyboard_alone(look: Page):
    look.goto("/runs")
    look.keyboard.press("Tab")
    assert look.evaluate("document.activeElement.textContent") == "Skip to content"
    look.get_by_role("textbox", name="Filter runs").focus()
    look.keyboard.type("metrics.accuracy > 0")
    look.keyboard.press("Enter")
    look.wait_for_url("**filter=*")
    look.get_by_label("Choose all runs of this page").focus()
    look.keyboard.press("Tab")
    for _ in range(40):
        if look.evaluate("document.activeElement.name") == "run":
            break
        look.keyboard.press("Tab")
    look.keyboard.press("Space")

    assert look.locator("#chosen .said").inner_text().startswith("1 run chosen")
    look.get_by_text("How to filter").focus()
    look.keyboard.press("Enter")
    assert look.locator("#grammar").get_attribute("open") is not None
    look.keyboard.press("Escape")
    assert look.locator("#grammar").get_attribute("open") is None


def test_a_curve_is_read_by_arrow_keys_and_by_the_pointer(look: Page, lab):
    look.goto(f"/runs/{runs_of(lab)[0]}")
    look.locator("svg.plot").first.focus()
    look.keyboard.press("ArrowRight")
    first = look.locator(".tip").inner_text()
    look.keyboard.press("ArrowRight")

    assert re.match(r"step \d+\n\S.*: \d", first)
    assert look.locator(".tip").inner_text() != first
    look.keyboard.press("Escape")
    assert look.locator(".tip").is_hidden()
    look.locator("svg.plot").nth(1).hover()
    assert look.locator(".tip").is_visible()


def test_the_way_to_look_at_curves_changes_without_loading_the_page_again(look: Page, lab):
    look.goto(f"/runs/{runs_of(lab)[0]}")
    look.evaluate("window.kept = 1")
    look.get_by_label("across").select_option("time")
    look.wait_for_selector("svg.plot[data-axis=time]")
    look.get_by_label("logarithmic").check()
    look.get_by_label("metrics").fill("auc")
    look.keyboard.press("Enter")
    look.wait_for_function("() => document.querySelectorAll('svg.plot').length === 1")

    assert "axis=time&log=1" in look.url
    assert look.evaluate("window.kept") == 1
    look.reload()
    assert look.locator("svg.plot[data-axis=time]").count() == 1


def test_curves_of_a_running_run_go_on_without_a_reload(look: Page, lab):
    running = runs_of(lab, "/runs?filter=attributes.status%3D'RUNNING'")[0]
    look.goto(f"/runs/{running}")
    look.evaluate("window.kept = 1")
    before = look.locator("#metrics").inner_text()
    laboratory.log_more(lab.root, running)

    look.wait_for_function("() => document.querySelector('#plots').innerHTML.includes('7.5')", timeout=20_000)
    look.wait_for_function("text => document.querySelector('#metrics').innerText !== text", arg=before, timeout=20_000)
    assert look.evaluate("window.kept") == 1


def test_a_new_run_comes_into_the_table_by_itself_and_leaves_what_was_chosen(look: Page, lab):
    look.goto("/runs?experiment=1")
    look.locator("tbody input[type=checkbox]").nth(1).check()
    laboratory.start_run(lab.root, "just begun")

    look.get_by_role("link", name="just begun").wait_for(timeout=20_000)
    assert look.locator("tbody input:checked").count() == 1
    assert look.locator("#chosen .said").inner_text().startswith("1 run chosen")


def test_a_run_that_is_over_is_not_asked_for_again(look: Page, lab):
    asked: list[str] = []
    look.on("request", lambda request: asked.append(request.url))
    look.goto(f"/runs/{runs_of(lab)[0]}")
    look.wait_for_timeout(2600)

    assert [url for url in asked if "/live/" in url] == []


def test_what_was_champion_on_a_day_is_told(look: Page):
    look.goto("/models/flights")
    assert look.locator("svg.timeline .stay").count() == 4
    look.get_by_label("What did they mean on").fill("2026-03-03")
    look.get_by_role("button", name="Look").click()
    then = look.locator("#then")
    then.wait_for()

    assert then.inner_text() == "At the end of 2026-03-03 (UTC): champion → version 2"
    assert look.locator("svg.timeline .asked").count() == 1
    look.goto("/models/flights?at=2026-02-30")
    assert look.get_by_role("alert").inner_text().startswith("This is no day.")
    assert look.locator("#then").count() == 0
    look.goto("/models/flights?at=2020-01-01")
    assert "no alias yet" in look.locator("#then").inner_text()


def test_versions_of_a_prompt_are_compared(look: Page):
    look.goto("/prompts/answer")
    assert look.locator(".patch .minus").all_inner_texts() == ["-Answer shortly: {{question}}"]
    look.get_by_label("to").select_option("1")
    look.get_by_role("button", name="Compare").click()

    look.get_by_text("The two texts are the same.").wait_for()


def test_models_are_found_and_prompts_are_not_among_them(look: Page):
    look.goto("/models")
    assert look.get_by_role("link", name="answer").count() == 0
    look.get_by_label("Filter models").fill("name LIKE 'fli%'")
    look.keyboard.press("Enter")
    look.wait_for_url("**filter=*")

    assert look.locator("main table a").all_inner_texts() == ["flights"]


def test_a_trace_shows_who_called_whom_and_what_failed(look: Page):
    look.goto("/traces")
    look.get_by_role("link", name=re.compile("tr-0000000")).last.click()
    look.wait_for_url("**/traces/tr-*")

    assert look.locator("svg.waterfall .work").count() == 3
    assert look.locator("svg.waterfall .work.bad").count() == 1
    look.locator("details[id^=span-]").first.click()
    assert "question" in look.locator("details[open]").first.inner_text()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("/#/experiments/2/runs/{evil}", "/runs/{evil}"),
        ("/#/experiments/2", "/runs?experiment=2"),
        ("/#/models/flights/versions/2", "/models/flights/2"),
        ("/#/models/flights", "/models/flights"),
        ("/#/experiments/0/traces?selectedEvaluationId=tr-00000000000000000000000000000001",
         "/traces/tr-00000000000000000000000000000001"),
    ],
)  # fmt: skip
def test_addresses_that_mlflows_client_prints_lead_to_the_page_of_the_thing(look: Page, lab, said, shown):
    look.goto(said.format(evil=lab.evil))

    look.wait_for_url(re.compile(re.escape(shown.format(evil=lab.evil)) + "$"))


def test_an_empty_project_says_what_to_type_with_its_own_address(chromium, tmp_path):
    root = tmp_path / "empty"
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "empty"\n')
    with Server(root, 0) as server:
        page = chromium.new_page(base_url=server.url)
        for path in ("/runs", "/models", "/prompts", "/traces"):
            page.goto(path)
            assert f"export MLFLOW_TRACKING_URI={server.url}" in page.locator("main").inner_text()
            for width in (400, 1440):
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate(WIDE)
        page.close()


def test_who_has_to_log_in_does_so_with_a_form_and_out_again(chromium, tmp_path):
    root = tmp_path / "guarded"
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "guarded"\n[auth]\nenabled = true\n')
    words = [sys.executable, "-m", "ropewalk", "--project", str(root), "user"]
    subprocess.run([*words, "add", "ann"], input="correct-horse-9\n" * 2, text=True, check=True, capture_output=True)
    subprocess.run([*words, "grant", "ann", "developer"], check=True, capture_output=True)
    with Server(root, 0) as server:
        context = chromium.new_context(base_url=server.url)
        page = context.new_page()
        page.goto("/runs")
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill("correct-horse-9")
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/runs")
        shown = page.locator("header .who").inner_text()
        snippet = page.locator("#table pre").first.inner_text()
        page.get_by_role("button", name="Log out").click()
        page.get_by_role("button", name="Log in").wait_for()
        again = page.goto("/runs")
        context.close()

    assert shown.startswith("ann")
    assert "ropewalk token create --user ann" in snippet
    assert again is not None
    assert again.status == 401
