import pytest

from proxy.net.check_roles import check_accounts, check_roles, covers
from proxy.policy.rules import Match, Policy, RoleRule, Rule


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (Match(), Match(), True),
        (Match(), Match(user=("a",)), True),
        (Match(user=("a",)), Match(), False),
        (Match(user=("a", "b")), Match(user=("b",)), True),
        (Match(user=("a",)), Match(user=("a", "b")), False),
        (Match(user=("a*",)), Match(user=("ab*",)), True),
        (Match(user=("ab*",)), Match(user=("a*",)), False),
        (Match(user=("a?",)), Match(user=("a*",)), False),
        (Match(user=("a?",)), Match(user=("ab",)), True),
        (Match(user=("a[b]",)), Match(user=("a[b]",)), True),
        (Match(user=("*",)), Match(user=("[ab]?",)), True),
        (Match(user=("a",)), Match(user=("a",), database=("x",)), True),
        (Match(user=("a",), database=("x",)), Match(user=("a",)), False),
        (Match(client=("10.0.0.0/8",)), Match(client=("10.1.0.0/16",)), True),
        (Match(client=("10.1.0.0/16",)), Match(client=("10.0.0.0/8",)), False),
        (Match(client=("::/0",)), Match(client=("10.0.0.0/8",)), False),
        (Match(client=("10.0.0.0/8",)), Match(client=("fe80::/10",)), False),
        (Match(client=("fe80::/10",)), Match(client=("fe80::/64",)), True),
        (Match(client=("0.0.0.0/0",)), Match(client=("unix",)), False),
        (Match(client=("unix", "0.0.0.0/0")), Match(client=("unix", "10.0.0.0/8")), True),
        (Match(client=("unix",)), Match(), False),
    ],
)
def test_covers(first: Match, second: Match, expected: bool) -> None:
    assert covers(first, second) is expected


def role(name: str, match: Match, line: int, default: str = "reveal") -> RoleRule:
    return RoleRule(name, match, default=default, file="p.yaml", line=line)  # type: ignore[arg-type]


def test_a_role_behind_a_wider_one_is_told_at_its_line() -> None:
    roles = (
        role("all-a", Match(user=("a*",)), 3),
        role("ab", Match(user=("ab",)), 4),
        role("b", Match(user=("b",)), 5),
    )
    (found,) = check_roles(Policy(roles=roles), True)
    assert (found.code, found.line, found.severity) == ("role-shadowed", 4, "warning")
    assert "'all-a'" in found.message


def test_certificates_have_to_be_asked_for() -> None:
    policy = Policy(roles=(role("x", Match(tls_subject=("CN=*",)), 3),))
    assert [each.code for each in check_roles(policy, False)] == ["role-tls"]
    assert check_roles(policy, True) == []


def test_somebody_should_see_something_if_anything_is_protected() -> None:
    rule = Rule(None, "public", "c", "email", "email", file="p.yaml", line=9)
    masked = role("m", Match(user=("a",)), 3, "mask")
    assert [(f.code, f.line) for f in check_roles(Policy(rules=(rule,)), True)] == [("nobody-reveals", 9)]
    assert [(f.code, f.line) for f in check_roles(Policy(rules=(rule,), roles=(masked,)), True)] == [
        ("nobody-reveals", 3)
    ]
    assert check_roles(Policy(roles=(masked,)), True) == []
    seeing = RoleRule("s", Match(user=("a",)), access={"email": "reveal"})
    assert check_roles(Policy(rules=(rule,), roles=(seeing,)), True) == []


def test_accounts_and_databases_that_are_not_there() -> None:
    match = Match(user=("shop_app", "shop_ap", "x-*"), database=("shop", "stock"))
    found = check_accounts(Policy(roles=(role("r", match, 3),)), ["shop_app", "pg_monitor"], ["shop"])
    assert [(f.code, f.todo) for f in found] == [
        ("role-nobody", "did you mean shop_app?"),
        ("role-nobody", "create it, or name another user"),
        ("role-nobody", "create it, or name another database"),
    ]
