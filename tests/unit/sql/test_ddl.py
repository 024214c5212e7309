"""Definitions that name protected tables: what may pass, what is closed or known after it, what is refused.

Of customers `email` and `born` are protected, `street` with random tokens. events is partitioned, its `who` is
protected, and so is that of its partition events_1. `later` is protected but does not exist.
"""

from dataclasses import replace

import pytest

from proxy.policy.load import load
from proxy.sql.catalog import Column, Function, Relation, Snapshot, snapshot
from proxy.sql.plan import StatementPlan
from tests.kit.catalogs import build
from tests.kit.plans import effects, planned, sent

UNSUPPORTED = "unsupported-statement"
EXPRESSION = "unsupported-expression"
RANDOM = "random-token-equality"
MISMATCH = "class-mismatch"
CLOSED = "changed-in-transaction"

RELATIONS = {
    "public.customers": ["id int4 not null", "email text", "street text", "note text", "born text"],
    "public.orders": ["id int4", "mail text", "note text"],
    "public.folk": ["id int4", "email text"],
    "public.folk_own": {"kind": "r", "columns": ["id int4", "email text"], "parents": ["public.folk"]},
    "public.events": {"kind": "p", "columns": ["id int4", "who text"]},
    "public.events_1": {"kind": "r", "columns": ["id int4", "who text"], "parents": ["public.events"]},
    "public.mails": {"kind": "v", "columns": ["email text"], "depends_on": ["public.customers"]},
    "public.readable": {
        "kind": "v", "columns": ["email text", "note text"], "depends_on": ["public.customers"],
        "definition": " SELECT email, note FROM public.customers;",
    },
    "public.remarks": {"kind": "v", "columns": ["note text"], "depends_on": ["public.orders"]},
    "public.loud": {"kind": "v", "columns": ["note text"], "depends_on": ["public.remarks", "public.orders"]},
    "sales.orders": ["id int4"],
}  # fmt: skip
POLICY = """
version: 1
classes: {email: {kind: email}, street: {kind: address, tokens: random}, day: {kind: date}, low: {kind: text}}
protect:
  public.customers: {email: email, street: street, born: {class: day, type: date}, fax: low}
  public.folk: {email: email}
  public.folk_own: {email: email}
  public.events: {who: email}
  public.later: {email: email, street: street, code: low}
"""
CATALOG = build({"relations": RELATIONS})
# `fax` is a column that comes later: without it the table is closed, but its definition can be changed
WITHOUT_FAX = POLICY.replace(", fax: low", "")
SHOP = snapshot(CATALOG, load([("p.yaml", WITHOUT_FAX)]), 1)
DRIFTED = snapshot(CATALOG, load([("p.yaml", POLICY)]), 1)


def code(text: str, path: tuple[str, ...] | None = ("public",), within: Snapshot = SHOP) -> str:
    """The refusal's code; '' if the text passes as it is."""
    found = sent(text, path, within)
    return "" if found == "same" else found


def last(text: str, path: tuple[str, ...] | None = ("public",), within: Snapshot = SHOP) -> StatementPlan:
    plan = planned(text, path, within)
    assert plan.refusal is None, plan.refusal
    return plan.statements[-1]


def test_a_view_takes_another_name() -> None:
    found = last("alter view mails rename to letters")
    assert found.altered == (("public", "letters"),)
    assert [effect.kind for effect in found.effects] == ["ddl", "dropped"]


def test_a_default_of_a_view() -> None:
    assert code("alter view readable alter email set default 'x'") == UNSUPPORTED
    assert code("alter view mails alter email set default 'x'") == "depends-on-protected"


def test_a_foreign_key_that_has_triggers_run_which_write_to_a_protected_table() -> None:
    key = "alter table orders add foreign key (mail) references {} on update cascade"
    assert last(key.format("sales.orders")).altered == ()
    store = Function(99, "public", "store", "plpgsql", "insert into customers values (new.mail)")
    armed = [replace(r, triggers=(99,)) if r.name == "orders" else r for r in CATALOG.relations]
    within = snapshot(replace(CATALOG, relations=tuple(armed), functions=(store,)), SHOP.policy, 1)
    assert last(key.format("sales.orders"), within=within).altered == (("sales", "orders"),)


# ---- CREATE TABLE


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("(id int, email text)", ""),
        ("(id serial primary key, email varchar(50) unique, note text default 'x' not null)", ""),
        ("(id int generated always as identity, email uuid)", ""),
        ("(email text default null)", ""),
        ("(email text default 'x')", UNSUPPORTED),
        ("(email text default null::text)", UNSUPPORTED),
        ("(email text generated always as ('x') stored)", UNSUPPORTED),
        ("(email int generated always as identity)", "unsupported-type"),
        ("(email text generated always as identity)", UNSUPPORTED),
        ("(email varchar(20))", "unsupported-type"),
        ("(email magic)", "unsupported-type"),
        ("(email serial)", "unsupported-type"),
        ("(note text, low text generated always as (lower(note)) stored)", ""),
        ("(email text, low text generated always as (lower(email)) stored)", EXPRESSION),
        ("(email text check (email is not null))", ""),
        ("(email text check (email <> 'x'))", UNSUPPORTED),
        ("(email text, check (email like 'x'))", "search-not-exact"),
        ("(email text, note text default 'x', constraint k check (note <> 'y'))", ""),
        ("(email text, unique (email, id), id int)", ""),
        ("(street text unique)", RANDOM),
        ("(street text primary key)", RANDOM),
        ("(id int, street text, unique (id, street))", RANDOM),
        ("(street text references orders (note) deferrable initially deferred)", MISMATCH),
        ("(email text null, foreign key (email) references orders (note))", MISMATCH),
        ("(email text references folk (email))", ""),
        ("(email text references folk)", ""),
        ("(id int references orders (id), code text, foreign key (id, code) references folk (id, email))", MISMATCH),
        ("(email text unique, note text references later (email))", MISMATCH),
        ("(email text unique, street text, foreign key (street) references later (street))", RANDOM),
        ("(email text references strange (email))", ""),
        ("(email text, exclude using gist (email with =))", UNSUPPORTED),
        ("(like orders)", UNSUPPORTED),
        ("(email text) inherits (orders)", UNSUPPORTED),
        ("of kind", UNSUPPORTED),
        ("partition of events default", UNSUPPORTED),
        ("(email text) partition by list (email)", UNSUPPORTED),
        ("(email text) partition by range (email)", UNSUPPORTED),
        ("(email text) partition by range (lower(email))", EXPRESSION),
        ("(email text) partition by hash (email)", ""),
        ("(email text, id int) partition by range (id, (id + 1))", ""),
    ],
)
def test_create_a_table_that_the_policy_awaits(definition: str, expected: str) -> None:
    assert code(f"create table later {definition}") == expected


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("(like customers)", ""),
        ("(like customers, check (email <> 'x'))", ""),
        ("(x int) inherits (customers)", ""),
        ("(x int check (x > 0), check (note <> 'y')) inherits (orders, customers)", ""),
        ("(check (email <> 'x')) inherits (customers)", UNSUPPORTED),
        ("(check (email like 'x')) inherits (customers)", "search-not-exact"),
        ("(email text default 'x') inherits (customers)", UNSUPPORTED),
        ("(street text unique) inherits (customers)", RANDOM),
        ("(unique (street)) inherits (orders, customers)", RANDOM),
        ("() inherits (mails)", "depends-on-protected"),
        ("partition of events for values from (1) to (2)", ""),
        ("partition of events for values in ('x') partition by list (who)", UNSUPPORTED),
        ("partition of events for values in ('x') partition by hash (who)", ""),
        ("partition of events (who default 'x') default", UNSUPPORTED),
        ("partition of events (who with options default 'x') default", UNSUPPORTED),
        ("partition of events (constraint k check (who <> 'x')) default", UNSUPPORTED),
        ("partition of events (constraint k check (id > 1), id default 3, primary key (id)) default", ""),
        ("(id int references customers (id))", ""),
        ("(mail text references customers (email))", MISMATCH),
        ("(mail text references customers)", ""),
        ("(id int, mail text, foreign key (id, mail) references customers (id, email))", MISMATCH),
        ("(id int references customers (id), street text unique)", ""),
    ],
)
def test_create_a_table_that_names_a_protected_one(definition: str, expected: str) -> None:
    assert code(f"create table made {definition}") == expected


def test_what_is_made_is_known_to_later_statements() -> None:
    text = "create table later (id bigserial, email varchar(99), street text, code text)"
    plan = last(text)
    assert (plan.tables, plan.altered) == (("public.later",), ())
    (made,) = plan.created
    assert made.columns == (
        Column("id", 1, 0, "int8", -1),
        Column("email", 2, 1043, "varchar", 103),
        Column("street", 3, 25, "text", -1),
        Column("code", 4, 25, "text", -1),
    )
    assert sent(f"{text}; insert into later values (1, 'a')", within=SHOP).endswith("(id, email) values (1, ‹email a›)")


@pytest.mark.parametrize(
    ("text", "path", "made"),
    [
        ("create table later (email text)", ("public",), "public.later r"),
        ("create table later (email text) partition by hash (email)", ("public",), "public.later p"),
        ("create table later (email text)", ("missing", "public", "sales"), "public.later r"),
        ("create table public.later (email text)", None, "public.later r"),
        ("create table later (email int)", ("sales", "public"), "sales.later r"),
        ("create temp table later (email int)", ("public",), "pg_temp.later r"),
        ("create table later (email int)", ("pg_temp", "public"), "pg_temp.later r"),
    ],
)
def test_where_a_table_is_made(text: str, path: tuple[str, ...] | None, made: str) -> None:
    (found,) = last(text, path).created
    assert f"{found.schema}.{found.name} {found.kind}" == made
    assert found.temporary is (found.schema == "pg_temp")


def test_if_it_exists_it_stays_as_it_is() -> None:
    """Not what the statement says of its columns: they may be others, and hold values that are no tokens."""
    text = "create table if not exists customers (id int, email text, street text, born text)"
    assert last(text).created == ()
    before = snapshot(CATALOG, load([("p.yaml", WITHOUT_FAX)]), 1, frozenset(("public.customers.email",)))
    assert code(f"{text}; select id from customers where email = 'x'", within=before) == "plaintext-rows"
    assert len(last(text.replace("customers", "later").replace("street", "code text, street")).created) == 1


@pytest.mark.parametrize(
    ("collation", "closed"),
    [('"C"', False), ('pg_catalog."default"', False), ("nocase", True), ('public."de-x"', True)],
)
def test_a_collation_that_only_the_catalog_knows_closes_the_table(collation: str, closed: bool) -> None:
    """It may call unequal bytes equal (CREATE COLLATION … deterministic = false), as tokens don't."""
    text = f"create table later (email text collate {collation}, street text, code text, note text collate nocase)"
    found = last(text)
    assert (found.created == (), found.altered) == ((True, (("public", "later"),)) if closed else (False, ()))
    assert code(f"{text}; select 1 from later where email is null") == (CLOSED if closed else "")


def test_children_are_closed_until_the_catalog_is_read() -> None:
    assert code("create table made (x int) inherits (customers); insert into made (note) values ('x')") == CLOSED
    assert code("create table made partition of events default; select * from made") == CLOSED
    assert last("create table made (like customers)").altered == ()


# ---- ALTER TABLE


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("alter email set not null, alter note set statistics 5", ""),
        ("enable row level security", ""),
        ("validate constraint k, drop constraint k", ""),
        ("alter email drop default", ""),
        ("alter email set default null", ""),
        ("alter email set default 'x'", UNSUPPORTED),
        ("alter note set default 'x'", ""),
        ("add column x text default 'x' check (x <> 'y')", ""),
        ("add column x text, add check (x <> 'y')", ""),
        ("add column x text check (x <> email)", MISMATCH),
        ("add column x text generated always as (lower(email)) stored", EXPRESSION),
        ("add check (email <> 'x')", UNSUPPORTED),
        ("add check (email is not null) not valid", ""),
        ("add unique (email)", ""),
        ("add unique (street)", RANDOM),
        ("add primary key (id, street)", RANDOM),
        ("add unique using index k", ""),
        ("add foreign key (email) references orders (mail)", MISMATCH),
        ("add foreign key (email) references folk (email)", ""),
        ("add foreign key (born) references folk (email)", MISMATCH),
        ("add column x text references folk (email)", MISMATCH),
        ("add foreign key (id) references folk (id)", ""),
        ("add exclude using gist (note with =)", UNSUPPORTED),
        ("drop column email", ""),
        ("drop column if exists x cascade", ""),
        ("alter email type varchar(50)", ""),
        ("alter email type varchar(20)", "unsupported-type"),
        ("alter email type citext", "unsupported-type"),
        ("alter email type text using lower(email)", UNSUPPORTED),
        ("alter email type text using email::text", ""),
        ("alter email type varchar(60) using email::varchar(60)", UNSUPPORTED),
        ("alter email type text using email::varchar(60)", UNSUPPORTED),
        ("alter email type text using email::citext", UNSUPPORTED),
        ("alter email type text using note::text", UNSUPPORTED),
        ("alter email type text using lower(email)::text", UNSUPPORTED),
        ("alter born type text using born::text", UNSUPPORTED),
        ("alter note type text using upper(note)", ""),
        ("alter note type text using upper(email)", EXPRESSION),
        ("alter note type int", ""),
        ("disable rule r", UNSUPPORTED),
        ("of kind", UNSUPPORTED),
    ],
)
def test_alter_a_protected_table(command: str, expected: str) -> None:
    assert code(f"alter table customers {command}") == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("add column fax text", ""),
        ("add column fax varchar(20)", "unsupported-type"),
        ("add column fax text default 'x'", UNSUPPORTED),
        ("add column fax text default null", ""),
        ("add column fax text unique", ""),
    ],
)
def test_add_a_column_that_the_policy_awaits(command: str, expected: str) -> None:
    assert code(f"alter table customers {command}", within=DRIFTED) == expected
    assert code("select id from customers", within=DRIFTED) == "policy-drift"


def test_a_partition_is_protected_as_its_parent() -> None:
    assert code("alter table events_1 alter who set default 'x'") == UNSUPPORTED
    assert code("alter table events_1 add check (who <> 'x')") == UNSUPPORTED
    assert code("alter table events_1 alter id set default 5") == ""


@pytest.mark.parametrize(
    ("text", "altered"),
    [
        ("alter table customers add column x int", ""),
        ("alter table customers add column x int, drop column note", "customers mails readable"),
        ("alter table folk add column x int", "folk"),
        ("alter table folk_own add column x int", "folk_own"),
        ("alter table events add column x int", "events"),
        ("alter table customers drop column note", "customers mails readable"),
        ("alter table customers alter note type int", "customers mails readable"),
        ("alter table customers alter note set default 'x', add check (id > 0)", ""),
        ("alter table events attach partition orders for values in ('x')", "events orders remarks loud"),
        ("alter table orders inherit customers", "orders customers mails readable remarks loud"),
        ("alter table customers inherit orders", "customers orders mails readable remarks loud"),
        ("alter table folk_own no inherit folk", "folk_own folk"),
        ("alter table events detach partition orders", "events orders remarks loud"),
        ("alter table customers rename note to remark", "customers"),
        ("alter table customers rename constraint a to b", ""),
        ("alter table orders rename to later", "later"),
        ("alter view readable alter note set default 'x'", "readable"),
        ("alter view mails alter email drop default", "mails"),
    ],
)
def test_what_is_closed_after_it(text: str, altered: str) -> None:
    """Until the catalog is read: both sides of an inheritance hold other rows than before, and so do views on them."""
    found = last(text)
    assert found.altered == tuple(("public", name) for name in altered.split())
    assert [effect.kind for effect in found.effects] == ["ddl"]


@pytest.mark.parametrize(
    "text",
    [
        "alter table events detach partition events_1",
        "alter table events detach partition events_1 concurrently",
        "alter table events detach partition events_1 finalize",
        "alter table events_1 no inherit events",
    ],
)
def test_a_child_that_would_lose_its_protection_is_refused(text: str) -> None:
    refusal = planned(text, within=SHOP).refusal
    assert refusal is not None
    assert (refusal.code, refusal.column) == (UNSUPPORTED, "public.events_1.who")
    assert code("alter table folk_own no inherit folk") == ""


def test_which_table_is_attached_has_to_be_certain() -> None:
    assert code("alter table public.events attach partition orders default", None) == "ambiguous-relation"
    assert code("alter table public.events attach partition sales.orders default", None) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("alter table later add column x int", ""),
        ("alter table later add check (email <> 'x')", "undefined-table"),
        ("alter table customers add column x int; alter table customers add column y int", ""),
        ("alter table customers rename email to x; alter table customers add check (x <> 'a')", CLOSED),
        (
            "alter table customers add x int; alter table customers add y int generated always as (x) stored",
            "",
        ),
        ("alter table orders add foreign key (mail) references customers (email), add check (note <> 'x')", MISMATCH),
        ("alter table orders add foreign key (id) references customers (id), add check (note <> 'x')", ""),
        ("alter table strange add foreign key (mail) references customers (email), add check (note <> 'x')", MISMATCH),
        ("alter table strange add foreign key (id) references customers (id), add check (note <> 'x')", ""),
        ("alter table later add foreign key (email) references customers (email)", ""),
    ],
)
def test_constraints_on_columns_that_are_not_known(text: str, expected: str) -> None:
    assert code(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "alter table customers rename to people",
        "alter table later rename to people",
        "alter schema public rename to private",
        "alter table customers set schema sales",
        "create rule r as on insert to customers do nothing",
        "create policy p on customers using (email = 'a')",
        "create statistics s on id, note from customers",
        "create schema x create view v as select email from public.customers",
        "create foreign table later (email text) server s",
    ],
)
def test_what_else_reaches_one_is_refused(text: str) -> None:
    assert code(text) == UNSUPPORTED


# ---- CREATE INDEX, VIEW, TABLE AS


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("(email)", ""),
        ("using hash (email)", ""),
        ("(note, email text_pattern_ops) include (born) where note is not null", ""),
        ("using gin (note)", ""),
        ("using brin (email)", UNSUPPORTED),
        ("(lower(note))", ""),
        ("(lower(email))", EXPRESSION),
        ("(note) where email = 'x'", UNSUPPORTED),
        ("(note) where email like 'x'", "search-not-exact"),
        ("(street)", ""),
    ],
)
def test_create_index(index: str, expected: str) -> None:
    assert code(f"create index on customers {index}") == expected


LATER = "create table later (id int, email text, street text, code text); "
ADDED = "alter table customers add x int default 5, add if not exists note text; "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ADDED + "update customers set x = 6 where x = 5", ""),
        (ADDED + "select y from customers", "undefined-column"),
        (ADDED + "alter table customers add y int; select x, y from customers", ""),
        (ADDED + "commit; select x from customers", CLOSED),
        (ADDED + "alter table customers drop note; select x from customers", CLOSED),
        (LATER + "alter table later add note text; select note from later", ""),
        ("create table later (id int); alter table later add email varchar(20)", "unsupported-type"),
        (
            LATER.replace("code text", "n int") + "alter table later add code text collate de; select * from later",
            CLOSED,
        ),
        ("alter table customers add fax text; select id from customers", CLOSED),
    ],
)
def test_a_table_that_has_got_columns(text: str, expected: str) -> None:
    assert code(text, within=SHOP if "fax" not in text else DRIFTED) == expected


def test_a_new_table_that_gets_a_protected_column() -> None:
    text = (
        LATER.replace("code text", "n int") + "alter table later add code text; select * from later where code is null"
    )
    assert [output.column.name for output in last(text).outputs or () if output] == ["email", "street", "code"]


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ("index on folk (email, new)", ""),
        ("index on folk using hash (email)", ""),
        ("unique index on folk (email)", ""),
        ("index on folk using gin (email)", CLOSED),
        ("index on folk (id) where id > 3", CLOSED),
        ("index on folk ((new))", CLOSED),
        ("unique index on customers (id)", CLOSED),
        ("unique index on later (id)", CLOSED),
    ],
)
def test_index_on_a_table_that_the_transaction_altered(index: str, expected: str) -> None:
    within = SHOP
    for table in ("folk", "customers", "later"):
        within = within.closed_by("public", table, "changed")
    assert code(f"create {index}", within=within) == expected


def test_unique_index_on_an_altered_table_with_values_from_before() -> None:
    folk = SHOP.protection.columns["public", "folk"]
    mixed = {**SHOP.protection.columns, ("public", "folk"): {"email": replace(folk["email"], mixed=True)}}
    before = replace(SHOP, protection=replace(SHOP.protection, columns=mixed)).closed_by("public", "folk", "changed")
    assert code("create unique index on folk (email)", within=before) == CLOSED
    assert code("create index on folk (email)", within=before) == ""


def test_create_unique_index() -> None:
    """Tokens have to be equal where values are."""
    assert code("create unique index on customers (email, id)") == ""
    assert code("create unique index on customers (id, street)") == RANDOM
    before = snapshot(CATALOG, load([("p.yaml", WITHOUT_FAX)]), 1, frozenset(("public.customers.email",)))
    assert code("create unique index on customers (email)", within=before) == "plaintext-rows"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("create view v as select email from customers", ""),
        ("create or replace temp view v (a) as select * from customers", ""),
        ("create view v as select lower(email) from customers", EXPRESSION),
        ("create view v as select id from customers where email = 'x'", UNSUPPORTED),
        ("create view v as select id from customers where note = 'x'", ""),
        ("create view later as select 1 as email from customers", UNSUPPORTED),
        ("create materialized view v as select email from customers", ""),
        ("create materialized view v as select id from customers where email = 'x'", UNSUPPORTED),
        ("create materialized view later as select 1 as email", UNSUPPORTED),
        ("create table v as select id from customers", ""),
        ("create table v as select email from customers", "unprotected-target"),
        ("create table v as execute p", ""),
        ("create table later as execute p", UNSUPPORTED),
        ("create table later as select 1 as id", UNSUPPORTED),
        ("create table later as select email from customers", "unprotected-target"),
    ],
)
def test_create_from_a_query(text: str, expected: str) -> None:
    assert code(text) == expected


def test_a_table_of_a_search() -> None:
    """Its rows are no definition: what was looked for is in none of them."""
    text = "create table v as select id from customers where email = {}"
    assert sent(text.format("'x'"), within=SHOP) == text.format("‹email x›")
    assert sent("create materialized view v as select id from customers where email = 'x'", within=SHOP) == UNSUPPORTED


def test_a_new_view_is_closed_until_the_catalog_shows_what_it_reads() -> None:
    for kind in ("view", "materialized view", "temp view"):
        assert code(f"create {kind} v as select email from customers; select * from v") == CLOSED


def test_views_over_a_view_that_comes_to_read_it_are_closed_too() -> None:
    text = "create or replace view remarks as select email as note from customers"
    assert code(f"{text}; select note from loud") == CLOSED
    assert last(text).altered == (("public", "remarks"), ("public", "loud"))


def test_a_temporary_view_that_the_catalog_shows_is_not_read() -> None:
    [customers] = SHOP.by_name["customers"]
    view = Relation(1, "pg_temp_3", "v", "v", customers.columns[:2], depends_on=(customers.oid,), temporary=True)
    catalog = replace(CATALOG, relations=(*CATALOG.relations, view))
    within = snapshot(catalog, load([("p.yaml", WITHOUT_FAX)]), 1)
    assert code("select * from v", within=within) == "depends-on-protected"
    assert code("select * from sales.v", within=within) == ""


def test_a_refusal_names_the_column_whose_value_it_was() -> None:
    refusal = planned("create view v as select id from customers where email = 'secret'", within=SHOP).refusal
    assert refusal is not None
    assert (refusal.column, "secret" in refusal.message) == ("public.customers.email", False)


def test_effects() -> None:
    assert effects("create index on customers (email)", within=SHOP) == ""
    assert effects("create table later (email text)", within=SHOP) == "ddl"
    assert effects("alter table customers alter note set default 'x'", within=SHOP) == "ddl"


@pytest.mark.parametrize(("strategy", "expected"), [("l", UNSUPPORTED), ("r", UNSUPPORTED), ("h", "")])
def test_bounds_are_values_where_the_key_is_protected(strategy: str, expected: str) -> None:
    relations = [replace(r, key=(strategy, (2,))) if r.name == "events" else r for r in CATALOG.relations]
    within = snapshot(replace(CATALOG, relations=tuple(relations)), SHOP.policy, 1)
    assert code("alter table events attach partition orders for values in ('x')", within=within) == expected


def test_a_column_made_longer_with_a_cast_of_itself() -> None:
    """As Django's migrations do it. Cut short, the values would have to be."""
    relations = RELATIONS | {"public.customers": ["id int4", "email varchar(60)", "street text", "born text"]}
    made = snapshot(build({"relations": relations}), load([("p.yaml", WITHOUT_FAX)]), 1)
    text = "alter table customers alter email type {0} using email::{0}"
    assert [code(text.format(f"varchar({n})"), within=made) for n in (60, 150, 59)] == ["", "", UNSUPPORTED]
    assert code(text.format("text"), within=made) == ""
