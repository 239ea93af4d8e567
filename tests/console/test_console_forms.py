"""What the console changes goes through the rooms, under the caller's name and once; an error stands in its form."""

from __future__ import annotations

import asyncio
import dataclasses
import html
import re
from collections.abc import Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from api.asked import Asked, person
from console.payloads import PAYLOADS
from console.pressing import Pressed, address, fields_of, said
from ropewalk.access.roles import Grant
from ropewalk.console.acts.every import ACTS
from ropewalk.console.app import Console
from ropewalk.house import House
from ropewalk.models import logged, prompts, registered, versions
from ropewalk.runs import experiments, remote
from ropewalk.runs.states import Run
from ropewalk.settings import Settings
from ropewalk.site import Site
from ropewalk.traces import ingest, trace

EVIL = PAYLOADS[24]


@pytest.fixture
def guarded(site: Site) -> Iterator[Asked]:
    asked = Asked(site, enabled=True)
    yield asked
    asked.close()


def kinds(site: Site, subject: str = "") -> list[tuple[str, str]]:
    """Return kind and actor of the ledger's entries, oldest first."""
    with site.db.read() as rows:
        entries = rows.rows("ledger.from", seq=1, count=1000)
    return [(str(row["kind"]), str(row["actor"])) for row in entries if str(row["subject"]).startswith(subject)]


def escaped(text: str) -> str:
    """Return a text as the pages write it."""
    return html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")


def began(site: Site, name: str = "first", experiment: int = 0) -> Run:
    return site.db.write(lambda tx: remote.create(tx, site, name=name, experiment=experiment))


def run_of(site: Site, run_id: str) -> Run:
    with site.db.read() as rows:
        found = rows.get(Run, "runs.get", id=run_id)
    assert found is not None
    return found


def tags_of(site: Site, run: Run) -> dict[str, str]:
    with site.db.read() as rows:
        return {str(row["key"]): str(row["value"]) for row in rows.rows("runs.tags", run_id=run.id)}


def paths() -> list[str]:
    return [re.sub(r"{\w+}", "1", act.path) for act in ACTS]


def test_a_page_of_another_site_changes_nothing(site: Site, one: Pressed) -> None:
    before = kinds(site)

    answers = {path: one.press(path, origin="http://evil.example", name="x", sure="1").status for path in paths()}

    assert set(answers.values()) == {403}
    assert len(answers) > 40
    assert kinds(site) == before


def test_who_may_only_look_is_offered_nothing_and_refused_everything(site: Site, guarded: Asked) -> None:
    run = began(site)
    site.db.write(lambda tx: registered.create(tx, site, "churn"))
    viewer = Pressed(asked=guarded, token=person(site, "vic", Grant(role="viewer")))
    developer = Pressed(asked=guarded, token=person(site, "dev", Grant(role="developer")))
    pages = ("/runs?experiment=0", f"/runs/{run.id}", "/models", "/models/churn", "/prompts", "/webhooks", "/traces")
    before = kinds(site)

    offered = [path for path in pages if b"/do/" in viewer.look(path).body]
    statuses = {path: viewer.press(path, sure="1").status for path in paths()}

    assert offered == []
    assert set(statuses.values()) == {403}
    assert b"Your role does not allow this" in viewer.look(f"/runs/{run.id}/do/rename").body
    assert b"/do/rename" in developer.look(f"/runs/{run.id}").body
    assert b"/do/create" not in developer.look("/webhooks").body
    assert developer.press("/webhooks/do/create", name="x").status == 403
    assert kinds(site) == before


def test_an_experiment_is_created_renamed_described_tagged_deleted_and_restored(site: Site, guarded: Asked) -> None:
    ann = Pressed(asked=guarded, token=person(site, "ann", Grant(role="developer")))
    assert ann.done("/experiments/do/create", name="night", description="why") == "Experiment night is there."
    assert ann.done("/experiments/1/do/rename", name="day") == "The experiment is called day now."
    ann.done("/experiments/1/do/describe", description="# Why\r\n\r\n- **one**")
    ann.done("/experiments/1/do/tag", key="team", value="ops")
    run = began(site, experiment=1)
    page = ann.look("/runs?experiment=1").body.decode()
    asks = ann.look("/experiments/1/do/delete").body.decode()
    gone = ann.follow(ann.press("/experiments/1/do/delete"))
    deleted = run_of(site, run.id).deleted_us
    undo = re.findall(r'action="(/experiments/\d+/do/restore)"', gone)[0]

    assert "<h2>Why</h2>" in page
    assert "<strong>one</strong>" in page
    assert "team" in page
    assert "1 run with it" in asks
    assert deleted is not None
    assert ann.done(undo) == "Experiment day is back."
    assert run_of(site, run.id).deleted_us is None
    assert ann.done("/experiments/1/do/untag", key="team") == "Tag team is gone."
    wanted = ["created", "renamed", "tagged", "tagged", "deleted", "restored", "untagged"]
    assert kinds(site, "experiment:1") == [(f"experiment.{word}", "ann") for word in wanted]


def test_a_run_is_renamed_described_tagged_deleted_and_restored(site: Site, one: Pressed) -> None:
    run = began(site)
    home = f"/runs/{run.id}/do"
    one.done(f"{home}/rename", name=EVIL)
    one.done(f"{home}/describe", description=EVIL)
    one.done(f"{home}/tag", key="owner", value=EVIL)
    shown = one.look(f"/runs/{run.id}").body.decode()

    assert escaped(EVIL) in shown
    assert EVIL not in shown
    assert tags_of(site, run)["owner"] == EVIL
    assert said(one.follow(one.press(f"{home}/delete"))) == f"Run {EVIL} is deleted."
    assert run_of(site, run.id).deleted_us is not None
    assert "do/restore" in one.look(f"/runs/{run.id}").body.decode()
    assert one.done(f"{home}/restore") == f"Run {EVIL} is back."
    assert one.done(f"{home}/untag", key="owner") == "Tag owner is gone."
    assert "owner" not in tags_of(site, run)


def test_a_tag_from_a_person_is_no_sign_of_life_of_the_runs_client(site: Site, one: Pressed) -> None:
    run = began(site)
    lost = dataclasses.replace(run, state="interrupted", ended_us=run.started_us, error="silent")
    fields = ("number", "name", "state", "ended_us", "error", "reopened_us", "heartbeat_seconds")
    site.db.write(lambda tx: tx.run("runs.update", **{field: getattr(lost, field) for field in fields}))

    one.done(f"/runs/{run.id}/do/tag", key="seen", value="yes")
    one.done(f"/runs/{run.id}/do/untag", key="seen")

    assert run_of(site, run.id).state == "interrupted"


def test_many_runs_are_deleted_tagged_and_restored_at_once_or_not_at_all(site: Site, one: Pressed) -> None:
    ids = [began(site, f"run {number}").id for number in range(120)]
    asks = one.press("/runs/do/delete", run=ids, back="experiment=0").body.decode()
    before = kinds(site)
    wrong = one.press("/runs/do/delete", run=[*ids, "nobody"], sure="1")

    assert "Delete 120 runs" in asks
    assert "120 running" in asks
    assert len(re.findall(r'name="run" value="', asks)) == 120
    assert kinds(site) == before
    assert wrong.status == 404
    assert all(run_of(site, run).deleted_us is None for run in ids)
    told = one.done("/runs/do/delete", run=ids, sure="1", back="experiment=0")
    assert told == "120 runs deleted. They stand under “deleted”."
    assert all(run_of(site, run).deleted_us is not None for run in ids)
    every = one.press("/runs/do/restore", every="experiment=0&view=deleted").body.decode()
    assert "Restore 120 runs" in every
    assert one.done("/runs/do/restore", every="experiment=0&view=deleted", sure="1") == "120 runs restored."
    assert one.done("/runs/do/tag", every="experiment=0", key="keep", value="1", sure="1").startswith("Tag keep is set")
    assert tags_of(site, run_of(site, ids[7]))["keep"] == "1"
    assert one.press("/runs/do/delete", sure="1").status == 400


def test_what_went_wrong_stands_in_the_form_with_what_was_typed(site: Site, one: Pressed) -> None:
    one.done("/models/do/create", name="churn")
    taken = one.press("/models/do/create", name="churn", description=f"kept {EVIL}")
    page = taken.body.decode()

    assert taken.status == 409
    assert "already exists" in page
    assert 'value="churn"' in page
    assert escaped(f"kept {EVIL}") in page
    assert EVIL not in page
    assert one.press("/models/do/create", name="a/b").status == 400
    assert one.press("/models/nobody/do/rename", name="x").status == 404
    assert one.press(f"/runs/{began(site).id}/do/rename", name=" ").status == 400
    assert one.asked.ask("POST", "/models/do/create", b'{"name": "x"}', content_type="application/json").status == 400
    assert one.press("/models/do/create", name="a\0b").status == 400


def test_a_form_that_is_sent_twice_is_done_once(site: Site, one: Pressed) -> None:
    one.done("/prompts/do/create", name="answer", template="Answer: {{question}}")
    once = fields_of(one.look("/prompts/answer/do/version").body.decode())["once"]
    first = one.press("/prompts/answer/do/version", once=once, template="Shorter")
    again = one.press("/prompts/answer/do/version", once=once, template="Shorter")
    other = one.press("/prompts/answer/do/version", once=once, template="Longer")

    with site.db.read() as rows:
        known = versions.list_versions(rows, "answer")
        texts = [versions.tags(rows, item)[prompts.TEXT] for item in known]
    assert first.headers["location"] == again.headers["location"] == other.headers["location"]
    assert texts == ["Longer", "Shorter", "Answer: {{question}}"]


def test_what_is_told_is_read_once_and_nobody_else_writes_it(one: Pressed) -> None:
    answer = one.press("/experiments/do/create", name="x")
    cookie = answer.headers["set-cookie"].partition(";")[0]
    shown = one.look("/runs", cookie=cookie)
    name, _, value = cookie.partition("=")

    assert said(shown.body.decode()) == "Experiment x is there."
    assert "Max-Age=0" in shown.headers["set-cookie"]
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert said(one.look("/runs").body.decode()) == ""
    assert said(one.look("/runs", cookie=f"{name}={'0' * 64}{value[64:]}").body.decode()) == ""
    assert one.look("/runs", cookie=f"{name}=x").status == 200


def test_a_model_is_renamed_described_tagged_aliased_and_deleted_when_its_name_is_typed(
    site: Site, one: Pressed
) -> None:
    one.done("/models/do/create", name="churn")
    for _ in range(2):
        site.db.write(lambda tx: versions.add(tx, site, name="churn", source="runs:/x/m", storage="runs:/x/m"))
    one.done("/models/churn/do/rename", name="late")
    one.done("/models/late/do/describe", description="who leaves")
    one.done("/models/late/do/tag", key="team", value="ops")
    assert one.done("/models/late/do/alias", alias="champion", version="1") == "champion means version 1 now."
    told = one.done("/models/late/do/alias", alias="champion", version="2")
    page = one.look("/models/late").body.decode()
    asks = one.press("/models/late/do/unalias", alias="champion").body.decode()

    assert told == "champion means version 2 now; it meant version 1 before."
    assert "champion →" in page
    assert "It means version 2 now" in asks
    assert one.done("/models/late/do/unalias", alias="champion", sure="1") == "champion means nothing now."
    assert one.done("/models/late/2/do/stage", stage="Production", archive="1") == "late/2 is in Production now."
    one.done("/models/late/2/do/describe", description="better")
    one.done("/models/late/2/do/tag", key="checked", value="yes")
    one.done("/models/late/2/do/untag", key="checked")
    one.done("/models/late/do/untag", key="team")
    assert one.done("/models/late/1/do/delete") == "Version 1 is deleted."
    assert one.press("/models/late/do/delete", name="lat").status == 400
    assert one.look("/models/late").status == 200
    assert one.done("/models/late/do/delete", name="late") == "late is deleted."
    assert one.look("/models/late").status == 404


def test_a_logged_model_is_registered_under_a_new_and_under_a_known_name(site: Site, one: Pressed) -> None:
    made = site.db.write(
        lambda tx: logged.create(tx, site, experiment=0, root=experiments.get(tx, 0).location, name="forest")
    )
    page = one.look(f"/logged/{made.id}").body.decode()
    one.done(f"/logged/{made.id}/do/tag", key="note", value="x")
    first = one.done(f"/logged/{made.id}/do/register", new="churn", description="the first")
    second = one.done(f"/logged/{made.id}/do/register", name="churn")
    nameless = one.press(f"/logged/{made.id}/do/register")

    with site.db.read() as rows:
        marks = logged.tags(rows, made)
    assert f"/logged/{made.id}/do/register" in page
    assert (first, second) == ("Registered as churn/1.", "Registered as churn/2.")
    assert marks["note"] == "x"
    assert '"version": 2' in marks["mlflow.modelVersions"]
    assert nameless.status == 400
    one.done(f"/logged/{made.id}/do/untag", key="note")


def test_a_trace_is_judged_tagged_and_deleted(site: Site, one: Pressed) -> None:
    span = {"traceId": f"{7:032x}", "spanId": f"{1:016x}", "name": "ask", "startTimeUnixNano": "1000000000",
            "endTimeUnixNano": "2000000000", "status": {"code": 1}, "attributes": []}  # fmt: skip
    batch = ingest.read({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    site.db.write(lambda tx: ingest.keep(tx, "0", batch))
    home = f"/traces/tr-{7:032x}"
    one.done(f"{home}/do/tag", key="case", value=EVIL)
    for value, kept in (("true", True), ("0.5", 0.5), (EVIL, EVIL)):
        one.done(f"{home}/do/feedback", name="right", value=value, why=EVIL)
        with site.db.read() as rows:
            judged = trace.info(rows, f"tr-{7:032x}").assessments
        assert [one.value for one in judged][-1] == kept
        assert judged[-1].source_type == "HUMAN"
    page = one.look(home).body.decode()
    asks = one.press(f"{home}/do/unjudge", assessment=judged[0].id)

    assert EVIL not in page
    assert asks.status == 200
    one.done(f"{home}/do/unjudge", assessment=judged[0].id, sure="1")
    one.done(f"{home}/do/untag", key="case")
    assert one.press(f"{home}/do/feedback", name="", value="x").status == 400
    one.done(f"{home}/do/delete")
    assert one.look(home).status == 404
    assert kinds(site, "experiment:0")[-1][0] == "traces.deleted"


def test_a_webhook_is_created_changed_tried_paused_and_deleted(site: Site, one: Pressed) -> None:
    said_ = {"name": "ci", "events": ["model_version.created", "prompt.created"], "secret": "s3cret"}
    inside = one.press("/webhooks/do/create", url="http://127.0.0.1/hook", **said_)
    assert inside.status in (400, 403)
    assert b"s3cret" not in inside.body
    assert inside.body.count(b" checked>") == 2

    assert one.done("/webhooks/do/create", url="https://1.1.1.1/hook", **said_) == "Webhook ci is there. Try it out."
    with site.db.read() as rows:
        hook = str(rows.rows("webhooks.page", created_us=(1 << 63) - 1, id="", count=1)[0]["id"])
    home = f"/webhooks/{hook}"
    one.done(f"{home}/do/edit", url="https://1.1.1.1/other", name="ci", events=["prompt.created"], description=EVIL)
    page = one.look(home).body.decode()
    assert "https://1.1.1.1/other" in page
    assert EVIL not in page
    assert "yes, with its secret" in page
    one.done(f"{home}/do/edit", url="https://1.1.1.1/other", name="ci", events=["prompt.created"], unsigned="1")
    assert "no: whoever" in one.look(home).body.decode()
    assert one.done(f"{home}/do/pause") == "ci is paused."
    assert one.done(f"{home}/do/resume") == "ci goes on."
    assert one.press(f"{home}/do/retry", delivery="nobody").status == 404
    assert one.done(f"{home}/do/delete") == "Webhook ci is deleted."
    assert one.look(home).status == 404


def test_every_form_is_shown_for_what_is_there(site: Site, one: Pressed) -> None:
    run = began(site)
    site.db.write(lambda tx: registered.create(tx, site, EVIL.replace("/", "|").replace(":", ";")))
    name = EVIL.replace("/", "|").replace(":", ";")
    words = ("rename", "describe", "tag", "delete")
    pages = [address("runs", run.id, "do", word) for word in (*words, "restore")]
    pages += [address("experiments", 0, "do", word) for word in (*words, "restore")]
    pages += [address("models", name, "do", word) for word in (*words, "alias")]
    pages += ["/models/do/create", "/prompts/do/create", "/experiments/do/create", "/webhooks/do/create"]

    for path in pages:
        page = one.look(path)
        assert page.status == 200, path
        assert EVIL not in page.body.decode()
        assert 'name="once"' in page.body.decode()


def test_a_form_below_another_path_stays_below_it(site: Site) -> None:
    house = House(site=site, settings=Settings(name="churn"))
    app = Starlette(routes=[Mount("/workspaces/night", routes=Console(house, "/workspaces/night").routes())])
    ask = httpx.ASGITransport(app=app)

    async def press() -> tuple[str, httpx.Response]:
        async with httpx.AsyncClient(transport=ask, base_url="http://127.0.0.1") as client:
            shown = await client.get("/workspaces/night/experiments/do/create")
            return shown.text, await client.post("/workspaces/night/experiments/do/create", data={"name": "x"})

    page, answer = asyncio.run(press())

    assert 'action="/workspaces/night/experiments/do/create"' in page
    assert answer.headers["location"] == "/workspaces/night/runs?experiment=1"
    assert "path=/workspaces/night/" in answer.headers["set-cookie"].lower()
