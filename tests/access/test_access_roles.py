from __future__ import annotations

import pytest

from ropewalk.access.roles import ACTIONS, ROLES, Caller, Grant, everything, narrowed, rights_of


def test_only_an_approver_approves_only_an_operator_deploys_and_an_administrator_may_all() -> None:
    may = {action: {role for role, actions in ROLES.items() if action in actions} for action in ACTIONS}

    assert may == {
        "read": set(ROLES),
        "write": {"developer", "operator", "admin"},
        "approve": {"approver", "admin"},
        "operate": {"operator", "admin"},
        "admin": {"admin"},
    }


def test_a_role_counts_in_its_project_and_environment_alone() -> None:
    grants = [Grant(role="developer", project="churn", environment="dev"), Grant(role="viewer", environment="prod")]

    here = Caller(name="ann", rights=rights_of(grants, "churn"))
    elsewhere = Caller(name="ann", rights=rights_of(grants, "flights"))

    assert (here.may("write", "dev"), here.may("write", "prod"), here.may("read", "prod")) == (True, False, True)
    assert (elsewhere.may("write", "dev"), elsewhere.may("read", "prod")) == (False, True)
    assert (here.may_anywhere("write"), elsewhere.may_anywhere("write")) == (True, False)


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        (Grant(role="admin"), {("read", "dev"), ("write", "dev"), ("read", "*")}),
        (Grant(role="viewer", environment="prod"), {("read", "prod")}),
        (Grant(role="developer", environment="dev"), {("read", "dev"), ("write", "dev")}),
        (Grant(role="developer", project="flights"), set()),
        (Grant(role="approver"), {("read", "dev"), ("read", "*")}),
    ],
)
def test_a_token_may_what_its_scope_and_its_user_both_may(scope: Grant, left: set[tuple[str, str]]) -> None:
    rights = frozenset({("read", "dev"), ("write", "dev"), ("read", "*")})

    assert narrowed(rights, scope, "churn") == left


def test_without_authentication_the_local_user_may_everything_everywhere() -> None:
    caller = everything("ann")

    assert all(caller.may(action, place) for action in ACTIONS for place in ("", "dev", "prod"))
