"""Webhooks: made, listed, changed, deleted, and addresses that are refused."""

from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException


@pytest.fixture
def webhook(client, unique):
    made = client.create_webhook(
        unique("hook"), "https://1.1.1.1/hook", ["registered_model.created"], description="d", secret="s" * 20
    )
    yield made
    client.delete_webhook(made.webhook_id)


def test_a_webhook_is_made_and_found_without_its_secret(client, webhook):
    found = client.get_webhook(webhook.webhook_id)

    assert (found.name, found.url, found.description) == (webhook.name, "https://1.1.1.1/hook", "d")
    assert [str(one) for one in found.events] == ["registered_model.created"]
    assert found.status == "ACTIVE"
    assert found.secret is None


def test_a_webhook_is_listed_and_changed(client, webhook):
    assert webhook.webhook_id in {one.webhook_id for one in client.list_webhooks(max_results=100)}

    client.update_webhook(
        webhook.webhook_id, status="DISABLED", events=["model_version.created", "model_version_alias.created"]
    )

    found = client.get_webhook(webhook.webhook_id)
    assert found.status == "DISABLED"
    assert {str(one) for one in found.events} == {"model_version.created", "model_version_alias.created"}


def test_a_deleted_webhook_is_gone(client, unique):
    made = client.create_webhook(unique("hook"), "https://1.1.1.1/hook", ["model_version.created"])

    client.delete_webhook(made.webhook_id)

    with pytest.raises(MlflowException) as told:
        client.get_webhook(made.webhook_id)
    assert told.value.error_code == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize("url", ["ftp://1.1.1.1/a", "no address", "https://", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused(client, unique, url):
    with pytest.raises(MlflowException) as told:
        client.create_webhook(unique("hook"), url, ["model_version.created"])
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"
