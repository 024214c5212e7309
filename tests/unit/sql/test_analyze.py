"""What the corpus can't say: tables that come and go, limits, hostile texts. Ordinary statements are in the corpus."""

from typing import cast

import pytest

from proxy.errors import Bug
from proxy.policy.rules import Policy, Rule, ValueClass
from proxy.sql.analyze import _sorted as sorted_edits
from proxy.sql.analyze import analyse
from proxy.sql.catalog import Catalog, Column, Function, Relation, Snapshot, snapshot
from proxy.sql.plan import Edit, Plan

CLASSES = {"email": ValueClass("email", "email"), "number": ValueClass("number", "text")}
PUBLIC = ("public",)


def column(name: str, number: int, oid: int = 25, typmod: int = -1) -> Column:
    return Column(name, number, oid, "text", typmod)


def rule(table: str, name: str, class_name: str = "email", type_: str | None = None) -> Rule:
    return Rule(None, "public", table, name, class_name, type_)


C = Relation(5, "public", "c", "r", (column("id", 1, 23), column("email", 2), column("note", 3)))
ORDERS = Relation(6, "public", "o", "r", (column("id", 1, 23), column("note", 2)), triggers=(100,))
N = Relation(7, "public", "n", "r", (column("i", 1), column("m", 2), column("t", 3), column("d", 4)))
GONE = Relation(8, "public", "gone", "r", (column("id", 1, 23),))
TRIGGER = Function(100, "public", "copies", "plpgsql", "begin insert into c values (new.id, new.note); end")
RULES = (
    rule("c", "email"),
    rule("gone", "email"),
    rule("later", "email"),
    rule("n", "i", "number", "int4"),
    rule("n", "m", "number", "numeric(10,2)"),
    rule("n", "t", "number"),
    rule("n", "d", "number", "date"),
)
POLICY = Policy(classes=CLASSES, rules=RULES)


def world(*relations: Relation) -> Snapshot:
    return snapshot(Catalog("shop", 180000, relations, (TRIGGER,), {}), POLICY, 1)


WORLD = world(C, ORDERS, N, GONE)


def plan(text: str, path: tuple[str, ...] | None = PUBLIC, within: Snapshot = WORLD, scs: bool = True) -> Plan:
    return analyse(text.encode(), scs, path, within)


def code(text: str, path: tuple[str, ...] | None = PUBLIC, within: Snapshot = WORLD) -> str:
    refusal = plan(text, path, within).refusal
    return "" if refusal is None else refusal.code


# ---- tables that come and go


def test_a_closed_table() -> None:
    assert code("select id from gone") == "policy-drift"
    assert code("insert into gone values (1)") == "policy-drift"
    assert code("alter table gone add column email text") == ""


def test_an_awaited_table_that_is_not_there() -> None:
    assert code("select * from later") == "undefined-table"
    assert code("select * from public.later", None) == "undefined-table"
    assert code("drop table if exists later") == ""


def test_a_table_made_in_the_same_text() -> None:
    made = plan("create table later (id int, email text not null unique); insert into later values (1, 'x')")
    assert made.refusal is None
    assert [value.use for value in made.inputs] == ["write"]
    assert [(r.schema, r.name) for r in made.statements[0].created] == [("public", "later")]
    assert made.barrier


def test_a_table_made_in_the_same_transaction() -> None:
    """PEER 15: schema-qualified, other case, later in the transaction."""
    (made,) = plan("CREATE TABLE public.LATER (id int, email varchar(100))").statements[0].created
    overlay = WORLD.with_relation(made)
    later = plan("insert into Later (id, email) values (1, 'x') returning *", within=overlay)
    assert later.refusal is None
    assert [value.column.label for value in later.inputs] == ["public.later.email"]
    outputs = later.statements[0].outputs
    assert outputs is not None
    assert [o is not None for o in outputs] == [False, True]


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("(id int, email varchar(20))", "unsupported-type"),
        ("(id int, email int)", "unsupported-type"),
        ("(id int, email citext)", "unsupported-type"),
        ("(id int, email text default 'x')", "unsupported-statement"),
        ("(id int, email text default null)", ""),
        ("(id int, email text generated always as ('x') stored)", "unsupported-statement"),
        ("(email text, low text generated always as (lower(email)) stored)", "unsupported-expression"),
        ("(email text check (email <> 'x'))", "unsupported-statement"),
        ("(email text check (length(email) > 3))", "unsupported-expression"),
        ("(email text check (email is not null), note text default 'x' check (note <> 'y'))", ""),
        ("(email text, exclude using gist (email with =))", "unsupported-statement"),
        ("(email uuid primary key, x int references o (id))", ""),
        ("(like c)", "unsupported-statement"),
        ("(email text) inherits (o)", "unsupported-statement"),
        ("(id int)", ""),
    ],
)
def test_definitions_of_an_awaited_table(definition: str, expected: str) -> None:
    assert code(f"create table later {definition}") == expected


def test_where_create_table_puts_it() -> None:
    assert code("create table later (email text)", None) == "ambiguous-relation"
    assert plan("create table other (email text)", ("sales",)).refusal is None
    (made,) = plan("create table later (email text)", ("missing", "public")).statements[0].created
    assert (made.schema, made.name) == ("public", "later")
    (temporary,) = plan("create temp table later (email text)").statements[0].created
    assert temporary.temporary


def test_a_temporary_table_shadows() -> None:
    shadow = Relation(0, "pg_temp", "c", "r", (column("email", 1),), temporary=True)
    within = WORLD.with_relation(shadow)
    assert code("select email from c", within=within) == "ambiguous-relation"
    assert code("select email from public.c", within=within) == ""
    assert plan("select email from pg_temp.c", within=within).idle


def test_a_table_that_the_transaction_changed() -> None:
    within = WORLD.closed_by("public", "c", "it was changed in this transaction")
    assert code("select id from c", within=within) == "changed-in-transaction"


def test_triggers_that_write_to_a_protected_table() -> None:
    assert code("insert into o (id, note) values (1, 'x')") == "depends-on-protected"
    assert plan("select * from o").idle


# ---- values of other types


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("5, -5, 5, null", ""),
        ("5.5, 5, 5, null", ""),
        ("1e3, 5, 5, null", ""),
        ("5, -5.25, 1.50, null", ""),
        ("0x10, 1_000, - 7, null", ""),
        ("+5, 1, 1, null", "unsupported-expression"),
        ("true, 1, 1, null", "unsupported-expression"),
        ("b'1', 1, 1, null", "unsupported-expression"),
        ("1, 1, 1, 5", "unsupported-expression"),
        ("1::int, 2::numeric, 3::text, date '2000-01-01'", ""),
        ("'1', '2', '3', '2000-01-01'::date", ""),
        ("1::bigint, 1, 1, null", ""),
        ("1::date, 1, 1, null", "unsupported-expression"),
        ("1, 1, 1, now()", "unsupported-expression"),
    ],
)
def test_numbers_as_values(values: str, expected: str) -> None:
    assert code(f"insert into n values ({values})") == expected


def test_signs() -> None:
    found = plan("insert into n (i, m, t) values (-5, - (7.5), -0)").inputs
    assert [value.negative for value in found] == [True, True, False]
    assert plan("update n set i = - - 5").inputs[0].negative is False


def test_numbers_as_searches() -> None:
    assert code("select 1 from n where i = 5 and m = 1.5") == ""
    assert code("select 1 from n where t = 5") == "unsupported-expression"


# ---- the text


def test_standard_conforming_strings_off() -> None:
    found = plan(r"select id from c where email = 'a\'b' and note = 'c'", scs=False)
    assert found.refusal is None
    assert [value.literal for value in found.inputs] == [0]
    assert code(r"select id from c where email = 'a\'b' and note = 'c'") == "syntax"


def test_parameters_written_with_noughts() -> None:
    found = plan("select 1 from c where note = $01 and email = $1")
    assert found.params is not None
    assert [(use.source, use.input) for use in found.params] == [(1, None), (1, 0)]


def test_parameters_that_the_text_leaves_out() -> None:
    found = plan("select 1 from c where email = $3")
    assert found.param_count == 3
    assert found.params is not None
    assert [(use.source, use.input) for use in found.params] == [(1, None), (2, None), (3, 0)]


def test_a_syntax_error_points_into_the_clients_text() -> None:
    text = "select 'a long literal', $$another$$ from where c"
    refusal = plan(text).refusal
    assert refusal is not None
    assert refusal.position == text.index("where") + 1
    quoted = plan("select 'secret' 5 'x' from c").refusal
    assert quoted is not None
    assert "secret" not in quoted.message


@pytest.mark.parametrize(
    "text",
    [
        "create table plain(a int) partition by magic (a)",
        "set search_path = b; create aggregate plain (a = b = z)",
    ],
)
def test_what_is_not_understood_and_names_nothing_is_the_servers_to_judge(text: str) -> None:
    """PEER-FAILURES 8. Should it take it, anything may have changed."""
    found = plan(text)
    assert found.refusal is None and not found.edits and found.barrier
    assert [effect.kind for effect in found.statements[0].effects] == ["unknown-setting", "ddl"]


@pytest.mark.parametrize(
    "text", ["create c magic", "create x magic; execute p", "create x as fetch from k", "do magic"]
)
def test_what_is_not_understood_and_may_reach_something_is_refused(text: str) -> None:
    assert code(text) == "syntax"


def settings(text: str) -> list[tuple[str, str | None]]:
    return [(e.kind, e.value) for statement in plan(text).statements for e in statement.effects]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select set_config('search_path', 'a', false)", [("set", "a")]),
        ("select pg_catalog.set_config('search_path', 'a', false) as x", [("set", "a")]),
        ("select case when now() > 'x' then set_config('search_path', 'a', false) end", [("unknown-setting", None)]),
        ("select coalesce('x', set_config('search_path', 'a', false))", [("unknown-setting", None)]),
        ("select set_config('search_path', 'a', false), generate_series(1, 0)", [("unknown-setting", None)]),
        ("select set_config('search_path', 'a', false) where now() > 'x'", [("unknown-setting", None)]),
        ("select set_config('search_path', set_config('role', 'x', false), false)", [("unknown-setting", None)]),
        ("select id, set_config('search_path', 'a', false) from c", [("unknown-setting", None)]),
        ("select set_config('datestyle', 'ISO', false) where now() > 'x'", [("set", None)]),
    ],
)
def test_what_set_config_sets_is_known_only_if_it_is_called_once_for_certain(
    text: str, expected: list[tuple[str, str | None]]
) -> None:
    assert set(settings(text)) == set(expected)


SALES = Relation(9, "sales", "c", "r", (column("id", 1, 23), column("email", 2)))
TWO = world(C, ORDERS, N, GONE, SALES)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("select 1", "tokenised"),
        ("set search_path = sales", "forwarded"),
        ("set search_path = sales, public", "forwarded"),
        ("set search_path = nowhere, public", "tokenised"),
        ("set search_path = '$user', public", "ambiguous-relation"),
        ("set search_path = 'publİc'", "undefined-table"),
        ("select set_config('search_path', 'publİc', false)", "ambiguous-relation"),
        ("create function f() returns int language plpgsql as 'begin set role x; end'", "ambiguous-relation"),
        ("reset search_path", "ambiguous-relation"),
        ("set role x", "ambiguous-relation"),
        ("reset all", "ambiguous-relation"),
        ("select set_config('search_path', 'sales', false)", "forwarded"),
        ("select set_config('search_path', $1, false)", "ambiguous-relation"),
        ("set search_path = sales; rollback", "ambiguous-relation"),
        ("begin; commit", "tokenised"),
        ("set search_path = sales; savepoint s; set search_path = public; rollback to s", "ambiguous-relation"),
        ("set search_path = public, pg_catalog", "unsupported-statement"),
        ("set search_path = pg_catalog, public", "tokenised"),
        ("create temp table c (email text)", "ambiguous-relation"),
        ("create temp table c (email text); commit", "ambiguous-relation"),
        ("alter table c drop column note", "changed-in-transaction"),
        ("alter table c drop column note; commit", "changed-in-transaction"),
        ("alter table c drop column note; rollback", "ambiguous-relation"),
    ],
)
def test_what_a_text_changes_counts_for_its_later_statements(before: str, expected: str) -> None:
    found = plan(f"{before}; insert into c (email) values ('x')", within=TWO)
    if found.refusal is not None:
        assert found.refusal.code == expected
    else:
        assert ("tokenised" if found.inputs else "forwarded") == expected


def test_a_table_made_in_a_transaction_that_the_text_ends_is_not_counted_on() -> None:
    made = "create table later (id int, email text)"
    assert code(f"{made}; insert into later values (1, 'x')") == ""
    assert code(f"{made}; commit; insert into later values (1, 'x')") == "changed-in-transaction"


@pytest.mark.parametrize(
    "text",
    [
        "select email from c where email = 'x'",
        "copy c (email) from stdin",
        "declare k cursor for select email from c",
        "create table t as select id from c where email = 'x'",
        "alter table c add check (note = 'x')",
    ],
)
def test_operators_of_another_schema_may_mean_anything(text: str) -> None:
    """An operator = of schema public is found first where search_path has pg_catalog behind it."""
    assert code(text) == code(text, ("pg_catalog", "public")) == ""
    assert code(text, ("public", "pg_catalog")) == "unsupported-statement"
    assert code(text.replace("c", "z"), ("public", "pg_catalog")) in ("", "syntax")


@pytest.mark.parametrize(
    ("text", "outputs", "hold"),
    [
        ("declare k cursor for select id, email from c", [None, "public.c.email"], False),
        ("declare k no scroll cursor with hold for select email from c where email = $1", ["public.c.email"], True),
        ("declare k cursor for select id from c", None, False),
        ("declare k binary cursor for select id from c", None, False),
    ],
)
def test_cursors(text: str, outputs: list[str | None] | None, hold: bool) -> None:
    (found,) = plan(text).statements
    assert found.cursor is not None and found.tables == ("public.c",)
    shown = found.cursor.outputs
    assert (None if shown is None else [o and o.column.label for o in shown]) == outputs
    assert found.cursor.hold is hold
    assert [(e.kind, e.name) for e in found.effects] == [("declare", "k")]
    assert plan(text).barrier


@pytest.mark.parametrize(
    "text",
    [
        "declare k cursor for select *, email from c, unknown",
        "declare k binary cursor for select email from c",
        "declare k cursor for select lower(email) from c",
        "select *, email from c, unknown",
    ],
)
def test_rows_that_can_not_be_followed(text: str) -> None:
    assert code(text) == "unsupported-expression"


def test_copy() -> None:
    (into,) = plan("copy c (id, email) from stdin").statements
    assert into.copy is not None and into.copy.into is not None
    assert [column and column.label for column in into.copy.into] == [None, "public.c.email"]
    (other,) = plan("copy z from stdin").statements
    assert (other.copy, other.tables) == (None, ())


@pytest.mark.parametrize("text", ["update c set (email, note) = row('a', 'b', {})"])
def test_a_value_that_nobody_read_is_refused(text: str) -> None:
    """The default is refusal: what is not known to be harmless may be personal data."""
    for value in ("'c'", "$1"):
        assert code(text.format(value)) == "unclassified-literal"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("select id from c where note = $2", 2),
        ("create table t as select id from c where email = $1 and note = $3", 3),
        ("declare k cursor for select email from c where id = $1", 1),
        ("select $2", 2),
        ("prepare p as select $4", 0),
        ("create function f(int) returns int language sql return $1", 0),
    ],
)
def test_the_clients_parameters_are_counted(text: str, count: int) -> None:
    assert plan(text).param_count == count


@pytest.mark.parametrize(
    ("text", "effects", "reads"),
    [
        ("select id into ids from c", ["ddl"], False),
        ("select id into ids from z", ["ddl-elsewhere"], False),
        ("select email from c", [], True),
        ("select email, f(id) from c", [], False),
        ("insert into c (id) values (1)", [], False),
    ],
)
def test_what_a_query_leaves_behind(text: str, effects: list[str], reads: bool) -> None:
    (found,) = plan(text).statements
    assert ([effect.kind for effect in found.effects], found.reads) == (effects, reads)


def test_a_text_that_runs_a_text() -> None:
    assert code("select query_to_xml('select * from c', true, true, '')") == "unsupported-expression"
    assert code("select query_to_xml($1, true, true, '')") == "unsupported-expression"
    assert plan("select query_to_xml('select 1', true, true, '')").pinned == (0, 1)


def test_functions_that_may_set_something() -> None:
    function = Function(101, "public", "moves", "plpgsql", "begin set role x; end")
    within = snapshot(Catalog("shop", 180000, (C,), (function,), {}), POLICY, 1)
    for text, kinds in (
        ("select moves()", ["unknown-setting"]),
        ("select public.moves() from c", ["unknown-setting"]),
        ("select upper('x')", []),
        ("create or replace function moves() returns int language sql as 'select 1'", ["ddl-elsewhere"]),
    ):
        (found,) = plan(text, within=within).statements
        assert [effect.kind for effect in found.effects] == kinds, text
    assert code("prepare p as select moves()", within=within) == "unsupported-statement"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("select 'é', nothing from c", "nothing"),
        ("select nothing, 'é' from c", "nothing"),
        ("select 'é' = $$é$$, c.nothing from c", "c.nothing"),
        ("select 'é' 'x' from c", "'x'"),
        ("select 1 'é' from c", "'é'"),
        ("select from where c", "where"),
    ],
)
def test_an_error_stands_where_the_client_wrote_it(text: str, at: str) -> None:
    refusal = plan(text).refusal
    assert refusal is not None and refusal.position == text.index(at) + 1


@pytest.mark.parametrize(
    "text",
    [
        "select email from c",
        "select * from c; select 1",
        "insert into c(id, email) values (1, 'a'), (2, 'b')",
        "select id from c where email in ('a', 'b', 'c')",
    ],
)
def test_reading_ends_when_nobody_waits_for_the_plan(text: str) -> None:
    """Whenever that is; until then it goes on."""
    looks = 0

    def looked(most: int) -> bool:
        nonlocal looks
        looks += 1
        return looks > most

    expected = analyse(text.encode(), True, PUBLIC, WORLD)
    assert expected.refusal is None
    for most in range(100):
        looks = 0
        found = analyse(text.encode(), True, PUBLIC, WORLD, lambda most=most: looked(most))  # type: ignore[misc]
        if found == expected:
            break
        assert found.refusal is not None and found.refusal.message == "the statement takes too long to be understood"
    assert 2 < most < 99, "looked at for each expression, star and statement"


def test_an_error_in_the_reading_never_means_forward() -> None:
    refusal = analyse(b"select 1", True, PUBLIC, cast(Snapshot, None)).refusal
    assert refusal is not None
    assert (refusal.code, refusal.message) == ("unsupported-statement", "the statement can't be read (AttributeError)")
    with pytest.raises(Bug):
        sorted_edits([Edit((0, 1), (0, 5)), Edit((0, 4), (0, 6))])


def test_a_refusal_holds_for_texts_with_the_same_number() -> None:
    assert plan("select id, email from c order by 2").pinned == (0,)


def test_refusals_hold_no_values() -> None:
    for text in (
        "select upper(email) from c where note = 'secret'",
        "insert into c (email) values (lower('secret'))",
        "select 'secret' from c where email like 'secret'",
        "select email from c where email = 'secret'::citext",
        "select email from c where 'secret' 'secret'",
    ):
        refusal = plan(text).refusal
        assert refusal is not None
        assert "secret" not in f"{refusal.message}{refusal.detail}{refusal.hint}"


def test_nothing_at_all() -> None:
    for text in ("", ";", "-- x", "; ;"):
        assert plan(text) == Plan()


def test_long_statements() -> None:
    many = " or ".join(f"email = 'x{i}'" for i in range(3000))
    assert len(plan(f"select id from c where {many}").inputs) == 3000
    listed = ", ".join(f"'x{i}'" for i in range(5000))
    assert len(plan(f"select id from c where email in ({listed})").inputs) == 5000
    assert plan(f"insert into c (id, email) values (1, '{'x' * 1_000_000}')").refusal is None


@pytest.mark.parametrize(
    "text",
    [
        "select 1" + "+1" * 5000 + " from c",
        "select 1" + "+1" * 100_000 + " from c",
        "select id from c where " + "(id = 1 or " * 2000 + "email = 'x'" + ")" * 2000,
        " union ".join(["select id from c"] * 3000),
    ],
)
def test_deep_statements_are_refused(text: str) -> None:
    assert code(text) == "statement-too-large"


def test_bytes_that_are_no_utf8_never_get_out() -> None:
    for raw in (b"select \xff from c", b"select '\xff' from c", b"\xff\xfe", b"select 1 from c where email = '\xc3'"):
        analyse(raw, True, PUBLIC, WORLD)


def test_every_truncation_has_an_answer() -> None:
    text = (
        b"with x as (insert into c (email) values ('a', $1) returning *) select c.email::text from c, x where (1, $2)"
    )
    for end in range(len(text)):
        found = analyse(text[:end], True, PUBLIC, WORLD)
        assert found.refusal is None or found.refusal.message


# ---- EXPLAIN


@pytest.mark.parametrize(
    ("text", "inputs", "effects"),
    [
        ("explain select id from c where email = $1 and id = $2", "search", ""),
        ("explain (analyze 'on', format 'json') insert into c(email) values ('a@x')", "write", ""),
        ("explain analyze (select id from c where email = 'a@x')", "search", ""),
        ("explain select id into made from c", "", "ddl"),
    ],
)
def test_explain_takes_its_statement_s_rights_and_shows_none_of_its_values(
    text: str, inputs: str, effects: str
) -> None:
    found = plan(text)
    (statement,) = found.statements
    assert (statement.tag, statement.outputs, statement.tables) == ("explain", None, ("public.c",))
    assert " ".join(place.use for place in found.inputs) == inputs
    assert " ".join(effect.kind for effect in statement.effects) == effects
    assert statement.reads is (not effects and inputs != "write")


# ---- PREPARE and EXECUTE


def test_prepare_and_what_executes() -> None:
    found = plan("prepare p(text) as select email from c where email = $1")
    assert (found.inputs, found.params, found.param_count) == ((), None, 0)
    made = found.statements[0].prepared
    assert made is not None and made.touches and [place.param for place in made.inputs] == [1]
    assert (made.tag, made.tables, made.reads) == ("select", ("public.c",), True)
    assert code("prepare p as select email from c; select 1") == "unsupported-statement"
    assert code("prepare p as select *, email from c, nosuch") == "unsupported-expression"
    assert plan("execute p('a')").statements[0].execution is not None


def test_a_path_behind_ddl_that_moves_names() -> None:
    two = world(C, Relation(77, "other", "c", "r", C.columns))
    assert code("set search_path = public; insert into c (id) values (1)", within=two) == ""
    for text, expected in (("revoke usage on schema other from x", "ambiguous-relation"), ("drop schema other", "")):
        assert code(f"{text}; insert into c (id) values (1)", within=two) == expected


def test_functions_that_move_schemas() -> None:
    function = Function(900, "public", "shuffles", "plpgsql", "alter schema a rename to b")
    within = snapshot(Catalog("shop", 180000, (C,), (function,), {}), WORLD.policy, 1)
    kinds = [effect.kind for effect in plan("select shuffles()", within=within).statements[0].effects]
    assert kinds == ["unknown-setting", "ddl", "moved"]
    assert code("select shuffles(); select id from c", within=within) == "changed-in-transaction"
    truncate = plan("truncate c", within=within)
    assert truncate.statements[0].effects == ()
