"""Policy files, sound and with one fault, that the tests of several modules are held to."""

from pathlib import Path

SHOP = (Path(__file__).parents[3] / "policies" / "shop.yaml").read_text()

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

HEAD = "version: 1\nclasses: {e: {kind: email}, n: {kind: text}}\n"

# text -> the one fault of one file by itself: line, words of its message or advice. schema: the JSON Schema sees it.
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
    ("", HEAD + "protect:\n  s.t:\n    a: {class: e, type: box}", 5, "no type that"),
    ("", HEAD + "protect:\n  s.t:\n    a: {class: e, type: varchar(0)}", 5, "modifiers"),
    ("", HEAD + "protect:\n  s.t:\n    a: {class: e, type: date(3)}", 5, "modifiers"),
    ("schema", HEAD + "protect:\n  s.t:\n    a: {class: e, type: [date]}", 5, "must be a text"),
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
    ("schema", HEAD + "roles:\n  - {name: a, match: {}, rows: 0}", 4, "from 1 to"),
    ("schema", HEAD + "roles:\n  - {name: a, match: {}, rows: many}", 4, "from 1 to"),
    ("schema", HEAD + "roles:\n  - {name: a, match: {}, search: all}", 4, "true or false"),
    ("schema", HEAD + "records:\n  a: {keys: {x: {kind: name}}}", 4, "can't be 'name'"),
    ("schema", HEAD + "records:\n  a: {keys: {x: {}}}", 4, "has no kind"),
]
