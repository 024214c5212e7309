"""Who gets what."""

from types import MappingProxyType

import pytest

from proxy.policy.access import Access, as_stored, resolve
from proxy.policy.load import load
from proxy.policy.rules import Level, Match, Policy, RoleRule

WHO = {"user": "app", "database": "shop", "application_name": "psql", "client": "10.1.2.3", "tls_subject": ""}


def role_of(match: Match, **who: str) -> str:
    policy = Policy(roles=(RoleRule("hit", match),))
    return resolve(policy, **{**WHO, **who}).role


@pytest.mark.parametrize(
    ("match", "who", "hit"),
    [
        (Match(), {}, True),
        (Match(user=("app",)), {}, True),
        (Match(user=("APP",)), {}, False),
        (Match(user=("x", "a*")), {}, True),
        (Match(user=("a?",)), {}, False),
        (Match(user=("app",)), {"user": "app\n"}, False),
        (Match(user=("*",)), {"user": "a\nb"}, True),
        (Match(database=("shop",)), {"database": "shop2"}, False),
        (Match(application_name=("audit-*",)), {"application_name": "audit-7"}, True),
        (Match(application_name=("*",)), {"application_name": ""}, True),
        (Match(user=("app",), database=("other",)), {}, False),
        (Match(client=("10.0.0.0/8",)), {}, True),
        (Match(client=("11.0.0.0/8", "10.1.2.3/32")), {}, True),
        (Match(client=("11.0.0.0/8",)), {}, False),
        (Match(client=("10.0.0.0/8",)), {"client": "::ffff:10.9.9.9"}, True),
        (Match(client=("::/0",)), {"client": "::ffff:10.9.9.9"}, False),
        (Match(client=("fe80::/10",)), {"client": "fe80::1%eth0"}, True),
        (Match(client=("2001:db8::/32",)), {"client": "2001:db8::1"}, True),
        (Match(client=("0.0.0.0/0", "::/0")), {"client": ""}, False),
        (Match(client=("unix",)), {"client": ""}, True),
        (Match(client=("unix",)), {"client": "127.0.0.1"}, False),
        (Match(client=("0.0.0.0/0",)), {"client": "nonsense"}, False),
        (Match(tls_subject=("*",)), {"tls_subject": ""}, False),
        (Match(tls_subject=("CN=app,*",)), {"tls_subject": "CN=app,O=x"}, True),
    ],
)
def test_match(match: Match, who: dict[str, str], hit: bool) -> None:
    assert role_of(match, **who) == ("hit" if hit else "")


def test_the_first_match_wins() -> None:
    policy = load(
        [("p", "version: 1\nroles: [{name: a, match: {user: b}}, {name: b, match: {user: app}}, {name: c, match: {}}]")]
    )
    assert resolve(policy, **WHO).role == "b"
    assert resolve(policy, **{**WHO, "user": "z"}).role == "c"


def test_no_match_sees_and_writes_tokens() -> None:
    access = resolve(Policy(), **WHO)
    assert access == Access()
    assert (access.role, access.level("any"), access.rows, access.require_purpose) == ("", "token", None, False)
    assert access.may_write("any") and access.writes_tokens("any") and not access.may_search("any")


@pytest.mark.parametrize(
    ("level", "search", "write", "may_search", "may_write"),
    [
        ("reveal", False, None, True, True),
        ("reveal", False, False, True, False),
        ("reveal", False, ("other",), True, False),
        ("mask", False, None, False, False),
        ("mask", True, True, True, True),
        ("mask", ("e",), ("e",), True, True),
        ("mask", ("other",), ("other",), False, False),
        ("token", False, None, False, True),
        ("token", ("e",), False, True, False),
        ("deny", True, True, False, False),
        ("deny", False, None, False, False),
    ],
)
def test_rights_of_a_level(
    level: Level,
    search: bool | tuple[str, ...],
    write: bool | tuple[str, ...] | None,
    may_search: bool,
    may_write: bool,
) -> None:
    for access in (
        Access(default=level, search=search, write=write),
        Access(levels=MappingProxyType({"e": level}), default="deny", search=search, write=write),
    ):
        assert access.level("e") == level
        assert access.may_search("e") is may_search
        assert access.may_write("e") is may_write
        assert access.writes_tokens("e") is (level == "token")


def test_what_a_role_says_is_granted() -> None:
    text = """\
version: 1
classes: {e: {kind: email}, n: {kind: name}}
roles:
  - {name: r, match: {}, access: {default: mask, e: reveal}, require_purpose: true, search: [n], write: [n], rows: 5}
"""
    access = resolve(load([("p", text)]), **WHO)
    assert (access.level("e"), access.level("n"), access.rows) == ("reveal", "mask", 5)
    assert access.may_search("n") and access.may_write("n") and not access.may_write("e")


@pytest.mark.parametrize(
    ("required", "purpose", "needs"), [(True, "", True), (True, " ", True), (True, "x", False), (False, "", False)]
)
def test_purpose(required: bool, purpose: str, needs: bool) -> None:
    assert Access(require_purpose=required).needs_purpose(purpose) is needs


def test_who_replicates_gets_what_is_stored() -> None:
    access = as_stored(Access("r", "deny", MappingProxyType({"email": "reveal"}), True, True, True, 3))
    assert (access.role, access.level("email"), access.level("other")) == ("r", "token", "token")
    assert not (access.may_search("email") or access.may_write("email") or access.needs_purpose(""))
    assert access.rows is None
