"""Policies as they are read: what they mean, and every way in which they can be wrong."""

from pathlib import Path

import pytest
import yaml

from proxy.policy.load import PolicyFaults, load
from proxy.policy.rules import Match, RecordKey, RecordRule, RoleRule, Rule, ValueClass
from proxy.policy.schema import json_schema
from tests.unit.policy.json_schema import valid

SHOP = Path(__file__).parents[3] / "policies" / "shop.yaml"

WHOLE = """\
version: 1
classes:
  email: {kind: email, search: [normalized, pattern]}
  phone: {kind: phone, region: DE, search: normalized, invalid: reject}
  street: {kind: address, tokens: random, mask: "(street)"}
  amount: {kind: text, canonicalize: true}
  birthday: {kind: date}
protect:
  public.customers:
    email: email
    born: {class: birthday, type: DATE}
    paid: {class: amount, type: numeric}
    due: {class: birthday, type: timestamp (3) with time zone, write_tokens: true}
  shop.public."odd.name":
    "Street ": street
roles:
  - {name: shop, match: {user: [shop, "shop-*"], client: [10.0.0.0/8, unix]}, access: {default: reveal}}
  - name: support
    match: {database: s, application_name: a, tls_subject: "CN=*"}
    access: {email: mask, default: token}
    require_purpose: true
    search: [email]
    write: [email]
    rows: 10
  - {name: rest, match: {}, search: true, write: false}
records:
  user: {schema: user.json, keys: {email: {kind: email, unique: true}, login: {kind: login}}}
"""


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
    policy = load([("shop.yaml", SHOP.read_text())])
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


HEAD = "version: 1\nclasses: {e: {kind: email}, n: {kind: text}}\n"

# text -> the one fault: line and what its message or advice says. `schema`: the JSON Schema sees it too.
WRONG = [
    ("schema", "classes: {}", 1, "no version"),
    ("schema", "version: 2", 1, "version 1 only"),
    ("schema", "version: 1\nfoo: 1", 2, "unknown key 'foo'"),
    ("schema", "version: 1\nprotects: {}", 2, "did you mean protect?"),
    ("", "version: 1\nversion: 1", 2, "'version' stands twice"),
    ("", "version: 1\na: [", 2, "no YAML"),
    ("", "version: 1\n---\nversion: 1", 2, "no YAML"),
    ("", "a: \x01", 0, "no YAML"),
    ("", "[" * 3000, 0, "no YAML"),
    ("schema", "[1]", 1, "must be a mapping"),
    ("", "version: 1\n? [a]\n: b", 2, "plain word"),
    ("schema", "version: 1\nclasses:\n  default: {kind: text}", 3, "named 'default'"),
    ("schema", "version: 1\nclasses:\n  a b: {kind: text}", 3, "can't be the name"),
    ("schema", "version: 1\nclasses:\n  a: {}", 3, "has no kind"),
    ("schema", "version: 1\nclasses:\n  a: email", 3, "must be a mapping"),
    ("schema", "version: 1\nclasses:\n  a: {kind: mail}", 3, "did you mean email?"),
    ("schema", "version: 1\nclasses:\n  a: {kind: }", 3, "must be a text"),
    ("schema", "version: 1\nclasses:\n  a: {kind: text, tokens: none}", 3, "can't be 'none'"),
    ("schema", "version: 1\nclasses:\n  a: {kind: text, canonicalize: 1}", 3, "true or false"),
    ("schema", "version: 1\nclasses:\n  a: {kind: text, canonicalize: 'true'}", 3, "true or false"),
    ("", "version: 1\nclasses:\n  a: {kind: phone, region: XX}", 3, "is no region"),
    ("schema", "version: 1\nclasses:\n  a: {kind: phone, region: [DE]}", 3, "must be a text"),
    ("", "version: 1\nclasses:\n  a: {kind: email, region: DE}", 3, "only kind phone"),
    ("", 'version: 1\nclasses:\n  a: {kind: text, mask: "\\n"}', 3, "printable"),
    ("schema", f"version: 1\nclasses:\n  a: {{kind: text, mask: {'x' * 65}}}", 3, "printable"),
    ("", "version: 1\nclasses:\n  a: {kind: text, tokens: random, search: casefold}", 3, "random tokens"),
    ("", "version: 1\nclasses:\n  a: {kind: name, search: normalized}", 3, "no normalized search"),
    ("", "version: 1\nclasses:\n  a: {kind: date, search: pattern}", 3, "pattern search"),
    ("", "version: 1\nclasses:\n  a: {kind: json, canonicalize: true}", 3, "no normal form"),
    ("schema", HEAD + "protect: []", 3, "must be a mapping"),
    ("schema", HEAD + "protect:\n  customers: {a: e}", 4, "write schema.table"),
    ("schema", HEAD + "protect:\n  a.b.c.d: {a: e}", 4, "write schema.table"),
    ("schema", HEAD + 'protect:\n  a."b: {a: e}', 4, "quoted"),
    ("schema", HEAD + 'protect:\n  a.b"c": {a: e}', 4, "quotes around a whole part"),
    ("schema", HEAD + 'protect:\n  a."": {a: e}', 4, "empty part"),
    ("schema", HEAD + "protect:\n  a.: {a: e}", 4, "no table name"),
    ("", HEAD + f"protect:\n  s.{'x' * 64}: {{a: e}}", 4, "longer than 63"),
    ("", HEAD + f"protect:\n  s.{'é' * 32}: {{a: e}}", 4, "longer than 63"),
    ("", HEAD + f"protect:\n  s.t:\n    {'x' * 64}: e", 5, "longer than 63"),
    ("schema", HEAD + "protect:\n  s.t:\n    a: {type: date}", 5, "has no class"),
    ("schema", HEAD + "protect:\n  s.t:\n    a: ", 5, "must be a text"),
    ("schema", HEAD + "protect:\n  s.t:\n    a: {class: e, typ: date}", 5, "did you mean type?"),
    ("", HEAD + "protect:\n  s.t:\n    a: emial", 5, "unknown class 'emial'"),
    ("", HEAD + "protect:\n  s.t:\n    a: {class: e, type: box}", 5, "no type that"),
    ("", HEAD + "protect:\n  s.t:\n    a: {class: e, type: varchar(0)}", 5, "modifiers"),
    ("", HEAD + "protect:\n  s.t:\n    a: {class: e, type: date(3)}", 5, "modifiers"),
    ("schema", HEAD + "protect:\n  s.t:\n    a: {class: e, type: [date]}", 5, "must be a text"),
    ("", HEAD + "protect:\n  s.t:\n    a: {class: n, type: numeric}", 5, "without a scale"),
    ("", HEAD + "protect:\n  s.t: {a: e}\n  d.s.t: {a: e}", 5, "protected twice"),
    ("", HEAD + 'protect:\n  s.t: {a: e}\n  s."t": {a: e}', 5, "protected twice, also in p:4"),
    ("schema", HEAD + "protect:\n  s.t:\n    a: [e]", 5, "must be a mapping"),
    ("schema", HEAD + "records:\n  a: {keys: {x: email}}", 4, "must be a mapping"),
    ("schema", HEAD + "roles: {a: 1}", 3, "must be a list"),
    ("schema", HEAD + "roles:\n  - {match: {}}", 4, "has no name"),
    ("schema", HEAD + "roles:\n  - {name: [], match: {}}", 4, "must be a text"),
    ("schema", HEAD + "roles:\n  - {name: a b, match: {}}", 4, "can't be the name"),
    ("schema", HEAD + "roles:\n  - {name: a}", 4, "`match: {}` matches everyone"),
    ("schema", HEAD + "roles:\n  - {name: a, match: {usr: a}}", 4, "did you mean user?"),
    ("schema", HEAD + "roles:\n  - {name: a, match: {user: []}}", 4, "names nothing"),
    ("", HEAD + "roles:\n  - {name: a, match: {client: 10.0.0.1/8}}", 4, "did you mean 10.0.0.0/8?"),
    ("", HEAD + "roles:\n  - {name: a, match: {client: localhost}}", 4, "CIDR"),
    ("schema", HEAD + "roles:\n  - {name: a, match: {}, access: reveal}", 4, "must be a mapping"),
    ("schema", HEAD + "roles:\n  - {name: a, match: {}, access: {e: see}}", 4, "can't be 'see'"),
    ("", HEAD + "roles:\n  - {name: a, match: {}, access: {f: mask}}", 4, "unknown class 'f'"),
    ("schema", HEAD + "roles:\n  - {name: a, match: {}, rows: 0}", 4, "from 1 to"),
    ("schema", HEAD + "roles:\n  - {name: a, match: {}, rows: many}", 4, "from 1 to"),
    ("schema", HEAD + "roles:\n  - {name: a, match: {}, search: all}", 4, "true or false"),
    ("", HEAD + "roles:\n  - {name: a, match: {}, search: [f]}", 4, "unknown class 'f'"),
    ("", HEAD + "roles:\n  - {name: a, match: {}, access: {e: deny}, write: [e]}", 4, "which the role is denied"),
    ("", HEAD + "roles:\n  - {name: a, match: {user: a}}\n  - {name: a, match: {user: b}}", 5, "stands twice"),
    ("", HEAD + "roles:\n  - {name: a, match: {}}\n  - {name: b, match: {user: b}}", 5, "never reached"),
    ("schema", HEAD + "records:\n  a: {keys: {x: {kind: name}}}", 4, "can't be 'name'"),
    ("schema", HEAD + "records:\n  a: {keys: {x: {}}}", 4, "has no kind"),
]


@pytest.mark.parametrize(("seen_by", "text", "line", "says"), WRONG, ids=[f"{w[2]}-{w[3]}" for w in WRONG])
def test_one_fault(seen_by: str, text: str, line: int, says: str) -> None:
    found = faults(text)
    assert len(found) == 1, found
    assert found[0][0] == line
    assert says in found[0][1]
    if seen_by:
        assert not valid(json_schema(), yaml.safe_load(text))


@pytest.mark.parametrize("text", [WHOLE, SHOP.read_text()])
def test_the_schema_accepts_what_is_sound(text: str) -> None:
    assert valid(json_schema(), yaml.safe_load(text))


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
