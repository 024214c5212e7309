"""The policy laid over a catalog: protected, closed, awaited, dependent."""

from dataclasses import replace

import pytest

from proxy.policy.rules import Policy, Rule, ValueClass
from proxy.sql.catalog import Catalog, Column, Function, Relation, Snapshot, snapshot
from proxy.sql.protection import views_over
from proxy.sql.relations import Name

CLASSES = {
    "email": ValueClass("email", "email"),
    "street": ValueClass("street", "address", tokens="random"),
    "birthday": ValueClass("birthday", "date"),
    "login": ValueClass("login", "login", canonicalize=True),
}
TEXT = 25


def column(name: str, number: int = 1, oid: int = TEXT, typmod: int = -1, **more: bool) -> Column:
    return Column(name, number, oid, "text" if oid == TEXT else "some type", typmod, **more)


def table(
    oid: int,
    name: str,
    *columns: Column,
    kind: str = "r",
    schema: str = "public",
    depends_on: tuple[int, ...] = (),
    parents: tuple[int, ...] = (),
    triggers: tuple[int, ...] = (),
    temporary: bool = False,
    arguments: str = "",
    changes: tuple[int, ...] = (),
) -> Relation:
    made = Relation(oid, schema, name, kind, columns, depends_on, parents, temporary, triggers, arguments)
    return replace(made, changes=changes)


def rule(table_: str, column_: str, class_name: str = "email", type_: str | None = None) -> Rule:
    return Rule(None, "public", table_, column_, class_name, type_, file="p.yaml", line=7)


def made(relations: list[Relation], rules: list[Rule], functions: list[Function] | None = None) -> Snapshot:
    catalog = Catalog("shop", 180000, tuple(relations), tuple(functions or ()), {})
    return snapshot(catalog, Policy(classes=CLASSES, rules=tuple(rules)), 3)


C: Name = ("public", "c")


def test_a_protected_column() -> None:
    found = made([table(5, "c", column("id"), column("email", 2))], [rule("c", "email")])
    held = found.column(5, 2)
    assert held is not None
    assert held.label == "public.c.email"
    assert (held.class_name, held.deterministic, held.stored.name, held.facade.name) == ("email", True, "text", "text")
    assert found.column(5, 1) is None
    assert found.protected_tables[C]["email"] is held
    assert (found.version, found.database, dict(found.closed), found.drift) == (3, "shop", {}, ())
    assert found.touches(b"select * from c")


def test_the_policys_type_is_what_clients_see() -> None:
    found = made([table(5, "c", column("born"))], [rule("c", "born", "birthday", "date")])
    held = found.column(5, 1)
    assert held is not None
    assert (held.stored.name, held.facade.name) == ("text", "date")


def test_rules_of_another_database_do_not_count() -> None:
    other = Rule("stock", "public", "c", "email", "email")
    found = made([table(5, "c", column("email"))], [other])
    assert found.column(5, 1) is None
    assert not found.touches(b"select * from c")


def test_what_does_not_match_closes_the_table() -> None:
    cases = {
        "there is no column": column("other"),
        "can't hold a token": column("email", oid=23),
        "too short": column("email", oid=1043, typmod=20 + 4),
        "generated": column("email", generated=True),
        "unequal bytes": column("email", collation_deterministic=False),
    }
    for why, wrong in cases.items():
        found = made([table(5, "c", wrong)], [rule("c", "email")])
        assert why in found.closed[C]
        assert found.touches(b"select * from c")
        (drift,) = found.drift
        assert (drift.file, drift.line, drift.column) == ("p.yaml", 7, "public.c.email")
        assert why in drift.what


def test_a_view_is_no_table_to_protect() -> None:
    found = made([table(5, "c", column("email"), kind="v")], [rule("c", "email")])
    assert "not a table" in found.closed[C]


def test_types_that_hold_a_token() -> None:
    for oid, typmod in ((25, -1), (1043, -1), (1043, 40), (1042, 40), (2950, -1)):
        found = made([table(5, "c", column("email", oid=oid, typmod=typmod))], [rule("c", "email")])
        assert not found.closed


def test_a_nondeterministic_collation_with_a_canonical_class() -> None:
    found = made([table(5, "c", column("login", collation_deterministic=False))], [rule("c", "login", "login")])
    assert not found.closed


def test_an_awaited_table() -> None:
    found = made([], [rule("c", "email")])
    assert list(found.awaited) == [C]
    assert found.touches(b"create table c (id int)")
    created = found.with_relation(table(0, "c", column("email")))
    assert C in created.protected_tables
    assert C not in created.awaited
    wrong = found.with_relation(table(0, "c", column("mail")))
    assert C in wrong.closed


def test_a_new_table_in_the_place_of_a_dropped_one() -> None:
    found = made([table(5, "c", column("email"))], [rule("c", "email")])
    again = found.with_relation(table(0, "c", column("x"), column("email", 2)))
    assert again.protected_tables[C]["email"].attnum == 2
    assert again.by_name["c"] == (again.relations[C],)


def test_a_new_table_without_rules() -> None:
    found = made([], [rule("c", "email")]).with_relation(table(0, "x", column("email")))
    assert not found.protected_tables


def test_a_temporary_table_takes_no_rules() -> None:
    found = made([table(5, "c", column("email"), temporary=True)], [rule("c", "email")])
    assert C in found.awaited
    shadowed = found.with_relation(table(0, "c", column("email"), schema="pg_temp", temporary=True))
    assert not shadowed.protected_tables


def test_closed_by_a_transaction() -> None:
    found = made([table(5, "c", column("email"))], [rule("c", "email")]).closed_by("public", "fresh_view", "why")
    assert found.closed[("public", "fresh_view")] == "why"
    assert found.touches(b"select * from fresh_view")


def test_partitions_have_their_parents_rules() -> None:
    parent = table(5, "c", column("id"), column("email", 2), kind="p")
    child = table(6, "c1", column("email", 1), column("id", 2), kind="p", parents=(5,))
    grandchild = table(7, "c2", column("id"), column("email", 2), parents=(6,))
    found = made([grandchild, child, parent], [rule("c", "email")])
    assert [found.column(6, 1), found.column(7, 2)] != [None, None]
    held = found.column(7, 2)
    assert held is not None
    assert held.label == "public.c2.email"


def test_a_child_protected_otherwise_is_closed() -> None:
    parent = table(5, "c", column("email"), kind="p")
    child = table(6, "c1", column("email"), parents=(5,))
    found = made([parent, child], [rule("c", "email"), rule("c1", "email", "street")])
    assert "otherwise" in found.closed[("public", "c1")]


def test_a_child_may_have_the_same_rules() -> None:
    parent = table(5, "c", column("email"), kind="p")
    child = table(6, "c1", column("email"), parents=(5,))
    found = made([parent, child], [rule("c", "email"), rule("c1", "email")])
    assert not found.closed
    assert found.column(6, 1) is not None


def test_a_child_without_the_column_is_closed() -> None:
    """Not to be had in a database: the catalog was read while it changed."""
    found = made([table(5, "c", column("email")), table(6, "c1", column("x"), parents=(5,))], [rule("c", "email")])
    assert "otherwise" in found.closed[("public", "c1")]


@pytest.mark.parametrize("seen", ["c", "c1", "c2", "c11"])
def test_rows_without_tokens_in_one_table_of_a_family_are_in_all(seen: str) -> None:
    """A parent's rows lie in its children: one that was seen through any of them."""
    family = [
        table(5, "c", column("email"), column("name", 2)),
        table(6, "c1", column("email"), column("name", 2), parents=(5,)),
        table(7, "c2", column("email"), column("name", 2), parents=(5, 99)),
        table(8, "c11", column("email"), column("name", 2), parents=(6,)),
        table(9, "d", column("email")),
    ]
    rules = (rule("c", "email"), rule("c", "name", "street"), rule("d", "email"))
    catalog = Catalog("shop", 180000, tuple(family), (), {})
    labels = frozenset((f"public.{seen}.email", "public.gone.email"))
    found = snapshot(catalog, Policy(classes=CLASSES, rules=rules), 1, labels)
    mixed = [
        column_.label for table_ in found.protected_tables.values() for column_ in table_.values() if column_.mixed
    ]
    assert sorted(mixed) == [f"public.{name}.email" for name in ("c", "c1", "c11", "c2")]


def test_children_of_a_closed_table_are_closed() -> None:
    found = made([table(5, "c", column("x")), table(6, "c1", column("x"), parents=(5,))], [rule("c", "email")])
    assert "its parent" in found.closed[("public", "c1")]


def test_an_unprotected_parent_reads_its_childs_rows() -> None:
    found = made([table(5, "all"), table(6, "c", column("email"), parents=(5,))], [rule("c", "email")])
    assert "public.c" in found.protection.dependents[("public", "all")]


def test_views_on_views_depend() -> None:
    relations = [
        table(5, "c", column("email")),
        table(8, "v2", kind="v", depends_on=(7,)),
        table(7, "v1", kind="m", depends_on=(5,)),
        table(9, "other", kind="v", depends_on=(99,)),
    ]
    found = made(relations, [rule("c", "email")])
    assert set(found.protection.dependents) == {("public", "v1"), ("public", "v2")}
    assert found.touches(b"select * from v2")


def test_functions_that_name_something_protected() -> None:
    functions = [
        Function(100, "public", "f", "sql", "select email from C where id = $1"),
        Function(101, "public", "g", "plpgsql", "begin perform f(1); end"),
        Function(102, "public", "h", "sql", "select 1 from customers"),
    ]
    found = made([table(5, "c", column("email"))], [rule("c", "email")], functions)
    assert set(found.protection.functions) == {("public", "f"), ("public", "g")}
    assert [oid in found.protection.reaching for oid in (100, 101, 102)] == [True, True, False]


@pytest.mark.parametrize(
    "source",
    [
        'select * from U&"\\0063"',
        "select query_to_xml(a, true, true, b)",
        "select * from crosstab(a) as t(b text)",
        "perform ts_stat(a)",
        "begin execute a; end",
        "begin execute 'select ' || a; end",
        "plpy.execute(a)",
    ],
)
def test_functions_whose_text_may_be_anything(source: str) -> None:
    functions = [
        Function(100, "public", "f", "plpgsql", source),
        Function(101, "public", "g", "sql", "select f()"),
        Function(102, "public", "h", "sql", "select 1"),
    ]
    found = made([table(5, "c", column("email"))], [rule("c", "email")], functions)
    assert set(found.protection.functions) == {("public", "f"), ("public", "g")}
    assert made([table(5, "c", column("email"))], [], functions).protection.functions == {}


@pytest.mark.parametrize(
    ("source", "settles"),
    [
        ("begin perform set_config('app.tenant', $1, true); end", False),
        ("begin perform SET_CONFIG ( 'App.user_id.x' , $1, true); end", False),
        ("begin perform set_config('pgveil.purpose', $1, true); end", True),
        ("begin perform set_config('role', $1, true); end", True),
        ("begin perform set_config('app.' || $1, $1, true); end", True),
        ("begin perform set_config('app.a', 'x', true), set_config($1, $2, true); end", True),
        ("perform set_config('search_path', a, false)", True),
        ("set local search_path to a", True),
        ("SET SESSION ROLE a", True),
        ("reset all", True),
        ("discard all", True),
        ("update t set roles = 1; set work_mem = '1MB'", False),
    ],
)
def test_functions_that_change_what_names_mean(source: str, settles: bool) -> None:
    functions = [
        Function(100, "public", "f", "plpgsql", source),
        Function(101, "public", "g", "sql", "select f()"),
        Function(102, "public", "h", "sql", "select 1"),
    ]
    found = made([table(5, "c", column("email"))], [rule("c", "email")], functions)
    assert found.protection.settling.names == ({"f", "g"} if settles else set())
    assert found.touches(b"select g()") == settles
    assert made([table(5, "c", column("email"))], [], functions).protection.settling.names == frozenset()


@pytest.mark.parametrize(("arguments", "refused"), [("c", True), ("a C b", True), ("cc", False), ("", False)])
def test_triggers_that_hand_a_protected_name_to_what_builds_statements(arguments: str, refused: bool) -> None:
    """CREATE TRIGGER … EXECUTE FUNCTION audit('c'): the function can't be called, its triggers on other tables run."""
    audit = Function(100, "public", "audit", "plpgsql", "begin execute format('…', tg_argv[0]); end")
    relations = [
        table(5, "c", column("email"), triggers=(100,), arguments="c"),
        table(6, "o", column("mail"), triggers=(99, 100), arguments=arguments),
        table(7, "p", column("mail"), triggers=(99,), arguments="c"),
    ]
    found = made(relations, [rule("c", "email")], [audit])
    assert set(found.protection.writes) == ({("public", "o")} if refused else set())
    if refused:
        assert found.protection.writes[("public", "o")].endswith("audit, which builds statements")


@pytest.mark.parametrize(
    "source", ["insert into c values (1)", "update c set later = 1", "execute a", "select * from c"]
)
def test_triggers_that_may_write_to_a_table_that_is_awaited(source: str) -> None:
    relations = [table(5, "d", column("email")), table(6, "o", column("mail"), triggers=(100,))]
    rules = [rule("d", "email"), rule("c", "later")]
    found = made(relations, rules, [Function(100, "public", "f", "plpgsql", source + " -- c")])
    assert set(found.protection.writes) == {("public", "o")}


def test_triggers_that_may_write_to_a_protected_table() -> None:
    functions = [
        Function(100, "public", "copies", "plpgsql", "update c set email = new.mail"),
        Function(101, "public", "counts", "plpgsql", "update c set orders = orders + 1"),
    ]
    relations = [
        table(5, "c", column("email"), triggers=(100,)),
        table(6, "o", column("mail"), triggers=(100,)),
        table(7, "p", column("mail"), triggers=(101,)),
    ]
    found = made(relations, [rule("c", "email")], functions)
    assert set(found.protection.writes) == {("public", "o")}


def test_what_writes_on_to_a_table_with_such_a_trigger() -> None:
    """Rows for a view, a parent or a referencing table end up where the trigger is; so do a function's."""
    functions = [
        Function(100, "public", "copies", "plpgsql", "insert into c values (new.mail)"),
        Function(101, "public", "adds", "sql", "insert into o values ($1)"),
        Function(102, "public", "counts", "sql", "select count(*) from o"),
        Function(103, "public", "above", "sql", "select adds($1)"),
    ]
    relations = [
        table(5, "c", column("email")),
        table(6, "o", column("mail"), triggers=(100,), parents=(7,)),
        table(7, "whole", column("mail")),
        table(8, "v", column("mail"), kind="v", depends_on=(7,)),
        table(9, "named", column("mail"), changes=(6,)),
        table(10, "chained", column("mail"), triggers=(101,)),
        table(11, "other", column("mail"), triggers=(102,)),
    ]
    found = made(relations, [rule("c", "email")], functions).protection
    assert set(found.writes) == {("public", name) for name in ("o", "whole", "v", "named", "chained")}
    assert found.writes[("public", "v")].endswith("public.whole")
    assert set(found.functions) == {("public", name) for name in ("copies", "adds", "above")}


def test_views_whose_definitions_are_read() -> None:
    relations = [
        table(9, "above", column("mail"), kind="v", depends_on=(7,)),
        table(5, "c", column("email")),
        table(6, "part", column("email"), parents=(5,)),
        table(7, "v", column("mail"), kind="v", depends_on=(6,)),
        table(8, "kept", column("mail"), kind="m", depends_on=(5,)),
        table(10, "other", column("mail"), kind="v", depends_on=(11,)),
        table(11, "o", column("mail")),
    ]
    assert sorted(views_over(relations, {("public", "c")})) == [7, 9]
    assert views_over(relations, set()) == []


def test_nothing_protected() -> None:
    found = made([table(5, "c", column("email"), triggers=(1,))], [])
    assert not found.protection.names()


@pytest.mark.parametrize(("strategy", "closed"), [("r", True), ("l", True), ("h", False)])
def test_a_table_partitioned_by_values_is_closed(strategy: str, closed: bool) -> None:
    """Rows would lie where their tokens say, and its partitions' bounds are values in clear."""
    columns = (column("id"), column("email", 2))
    parent = replace(table(5, "c", *columns, kind="p"), key=(strategy, (2,)))
    child = table(6, "c1", *columns, parents=(5,))
    found = made([parent, child], [rule("c", "email")])
    assert (C in found.closed, ("public", "c1") in found.closed, bool(found.drift)) == (closed, closed, closed)
    below = replace(table(6, "c1", *columns, kind="p", parents=(5,)), key=(strategy, (2,)))
    found = made([replace(parent, key=("l", (1,))), below], [rule("c", "email")])
    assert (C in found.closed, ("public", "c1") in found.closed) == (False, closed)


def test_without_a_table() -> None:
    found = made([table(5, "c", column("email")), table(6, "c1", column("email"), parents=(5,))], [rule("c", "email")])
    gone = found.without("public", "c")
    assert C in gone.awaited and C not in gone.protected_tables
    child = found.without("public", "c1")
    assert ("public", "c1") not in child.protected_tables and not child.awaited
    assert found.without("public", "other").protection is found.protection


def test_tokens_of_others_in_one_table_of_a_family_are_in_all() -> None:
    family = (
        table(5, "c", column("email")),
        table(6, "c1", column("email"), parents=(5,)),
        table(9, "d", column("email")),
    )
    catalog = Catalog("shop", 180000, family, (), {})
    policy = Policy(classes=CLASSES, rules=(rule("c", "email"), rule("d", "email")))
    found = snapshot(
        catalog, policy, 1, frozenset(("public.c.email",)), {"public.c1.email": "others", "public.x.y": "z"}
    )
    columns = [held for table_ in found.protected_tables.values() for held in table_.values()]
    assert {held.table: (held.mixed, held.foreign) for held in columns} == {
        "c": (True, "others"),
        "c1": (True, "others"),
        "d": (False, ""),
    }
