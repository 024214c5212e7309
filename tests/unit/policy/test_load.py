"""Policies as they are read, all files together: what they mean, and how they can be wrong only together."""

import pytest

from proxy.policy.load import PolicyFaults, load
from proxy.policy.rules import Match, RecordKey, RecordRule, RoleRule, Rule, ValueClass
from tests.unit.policy.cases import HEAD, SHOP, WHOLE


def test_a_whole_policy() -> None:
    policy = load([("p.yaml", WHOLE)])
    assert policy.classes["email"] == ValueClass("email", "email", search=("normalized", "pattern"))
    assert policy.classes["phone"] == ValueClass(
        "phone", "phone", region="DE", search=("normalized",), invalid="reject"
    )
    assert policy.classes["street"] == ValueClass("street", "address", tokens="random", mask="(street)")
    assert not policy.classes["street"].deterministic and policy.classes["email"].deterministic
    assert policy.rules == (
        Rule(None, "public", "customers", "email", "email", None, False, "p.yaml", 10),
        Rule(None, "public", "customers", "born", "birthday", "date", False, "p.yaml", 11),
        Rule(None, "public", "customers", "paid", "amount", "numeric", False, "p.yaml", 12),
        Rule(None, "public", "customers", "due", "birthday", "timestamptz(3)", True, "p.yaml", 13),
        Rule("shop", "public", "odd.name", "Street ", "street", None, False, "p.yaml", 15),
    )
    assert policy.rules[0].label == "public.customers.email"
    assert [r.column for r in policy.rules_for("other")] == ["email", "born", "paid", "due"]
    assert len(policy.rules_for("shop")) == 5
    shop, support, rest = policy.roles
    assert shop.match == Match(user=("shop", "shop-*"), client=("10.0.0.0/8", "unix"))
    assert (shop.default, dict(shop.access), shop.search, shop.write, shop.rows) == ("reveal", {}, False, None, None)
    assert support == RoleRule(
        "support",
        Match(database=("s",), application_name=("a",), tls_subject=("CN=*",)),
        "token",
        support.access,
        True,
        ("email",),
        ("email",),
        10,
        "p.yaml",
        18,
    )
    assert dict(support.access) == {"email": "mask"}
    assert (rest.search, rest.write, rest.match) == (True, False, Match())
    keys = (RecordKey("email", "email", True), RecordKey("login", "login"))
    assert policy.records == (RecordRule("user", keys, "user.json", "p.yaml", 27),)


@pytest.mark.parametrize("sources", [[], [("a", "")], [("a", "# only a comment\n"), ("b", "---\n")]])
def test_nothing_is_protected_by_nothing(sources: list[tuple[str, str]]) -> None:
    policy = load(sources)
    assert (policy.rules, policy.roles, dict(policy.classes)) == ((), (), {})


def test_the_example_shop_is_sound() -> None:
    policy = load([("shop.yaml", SHOP)])
    assert {rule.label for rule in policy.rules} == {
        *(f"public.customers.{name}" for name in ("email", "full_name", "phone", "street", "born")),
        "public.newsletter.email",
    }


def test_files_are_taken_together() -> None:
    one = "version: 1\nclasses: {a: {kind: text}}\nroles: [{name: x, match: {user: x}}]"
    two = "version: 1\nclasses: {a: {kind: text}}\nprotect: {s.t: {c: a}}\nroles: [{name: y, match: {}}]"
    policy = load([("1", one), ("2", two)])
    assert [role.name for role in policy.roles] == ["x", "y"]
    assert policy.rules[0].class_name == "a"


def test_digest_is_of_the_meaning() -> None:
    base = load([("p", WHOLE)]).digest
    assert load([("other", "# moved\n\n" + WHOLE)]).digest == base
    assert load([("p", WHOLE.replace("rows: 10", "rows: 11"))]).digest != base
    two = "version: 1\nclasses: {a: {kind: text}}\nprotect: {s.t: {c: a, d: a}}\nroles: [%s]"
    roles = ["{name: x, match: {user: x}}", "{name: y, match: {user: y}}"]
    first, second = (load([("p", two % ",".join(order))]).digest for order in (roles, roles[::-1]))
    assert first != second
    swapped = two.replace("c: a, d: a", "d: a, c: a")
    assert load([("p", swapped % ",".join(roles))]).digest == first


def test_words_that_yaml_reads_as_something_else() -> None:
    policy = load([("p", "version: 1\nclasses: {on: {kind: text}}\nprotect: {s.t: {yes: on, null: on, 1: on}}")])
    assert [(r.column, r.class_name) for r in policy.rules] == [("yes", "on"), ("null", "on"), ("1", "on")]


def faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(PolicyFaults) as caught:
        load([("p", text)])
    assert str(caught.value).count("\n") == len(caught.value.faults) - 1
    return [(fault.line, f"{fault.message} ({fault.advice})") for fault in caught.value.faults]


# text -> the one fault, which takes all files together to see: line and what its message or advice says
WRONG_TOGETHER = [
    (HEAD + "protect:\n  s.t:\n    a: emial", 5, "unknown class 'emial'"),
    (HEAD + "protect:\n  s.t:\n    a: {class: n, type: numeric}", 5, "without a scale"),
    (HEAD + "protect:\n  s.t: {a: e}\n  d.s.t: {a: e}", 5, "protected twice"),
    (HEAD + 'protect:\n  s.t: {a: e}\n  s."t": {a: e}', 5, "protected twice, also in p:4"),
    (HEAD + "roles:\n  - {name: a, match: {}, access: {f: mask}}", 4, "unknown class 'f'"),
    (HEAD + "roles:\n  - {name: a, match: {}, search: [f]}", 4, "unknown class 'f'"),
    (HEAD + "roles:\n  - {name: a, match: {}, access: {e: deny}, write: [e]}", 4, "which the role is denied"),
    (HEAD + "roles:\n  - {name: a, match: {user: a}}\n  - {name: a, match: {user: b}}", 5, "stands twice"),
    (HEAD + "roles:\n  - {name: a, match: {}}\n  - {name: b, match: {user: b}}", 5, "never reached"),
]


@pytest.mark.parametrize(("text", "line", "says"), WRONG_TOGETHER, ids=[f"{w[1]}-{w[2]}" for w in WRONG_TOGETHER])
def test_one_fault(text: str, line: int, says: str) -> None:
    found = faults(text)
    assert len(found) == 1, found
    assert found[0][0] == line
    assert says in found[0][1]


MASKED = """\
version: 1
classes: {b: {%s}, other: {kind: text}}
protect:
  s.t: {born: {class: b, type: "%s"}}
roles: [{name: r, match: {user: x}, access: {%s}}]
"""


@pytest.mark.parametrize(
    ("class_says", "type_name", "access", "sound"),
    [
        ("kind: date", "date", "b: mask", True),
        ("kind: date", "timestamp(3)", "default: mask", True),
        ("kind: date, mask: 1900-01-01", "date", "b: mask", True),
        ("kind: text, mask: 1900-01-01", "date", "b: mask", True),
        ("kind: text", "integer", "b: mask", True),
        ("kind: text", "date", "b: token, default: mask", True),
        ("kind: text", "date", "other: mask", True),
        ("kind: text", "date", "b: mask", False),
        ("kind: text", "timestamptz(3)", "default: mask", False),
        ("kind: date, mask: hidden", "date", "b: mask", False),
    ],
)
def test_a_masked_date_is_a_date(class_says: str, type_name: str, access: str, sound: bool) -> None:
    text = MASKED % (class_says, type_name, access)
    if sound:
        load([("p", text)])
    else:
        found = faults(text)
        assert len(found) == 1 and found[0][0] == 4 and "the mask of its class is no date" in found[0][1]


def test_all_faults_of_all_files_at_once() -> None:
    with pytest.raises(PolicyFaults) as caught:
        load(
            [
                ("b", "versoin: 1"),
                ("a", HEAD + "protect: {s.t: {c: x}}\nrecords: {r: {}}"),
                ("c", HEAD + "records: {r: {}}"),
            ]
        )
    assert [(f.file, f.line) for f in caught.value.faults] == [("b", 1), ("b", 1), ("a", 3), ("c", 3)]


def test_a_class_that_is_another_one_elsewhere() -> None:
    with pytest.raises(PolicyFaults, match="another one in a:2"):
        load([("a", HEAD), ("b", "version: 1\nclasses: {e: {kind: email, tokens: random}}")])


def test_a_column_twice_over_two_files() -> None:
    with pytest.raises(PolicyFaults, match="protected twice, also in a:3"):
        load([("a", HEAD + "protect: {s.t: {c: e}}"), ("b", "version: 1\nprotect: {s.t: {c: e}}")])


def test_the_same_table_of_two_databases() -> None:
    assert len(load([("a", HEAD + "protect: {x.s.t: {c: e}, y.s.t: {c: e}}")]).rules) == 2


def test_faults_of_roles_leave_a_policy_whose_columns_can_be_checked() -> None:
    rest = "  - {name: rest, match: {}, search: true, write: false}\n"
    twice = WHOLE.replace(rest, rest + "  - {name: late, match: {user: x}, access: {default: reveal}}\n")
    with pytest.raises(PolicyFaults, match="never reached") as caught:
        load([("p.yaml", twice)])
    assert caught.value.rest is not None and caught.value.rest.rules == load([("p.yaml", WHOLE)]).rules
    with pytest.raises(PolicyFaults) as caught:
        load([("p.yaml", twice.replace("    email: email\n", "    email: nosuch\n", 1))])
    assert caught.value.rest is None
