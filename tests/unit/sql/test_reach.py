"""What runs a function without naming it."""

from proxy.sql.reach import Reached, reached
from proxy.sql.relations import Catalog, Function, Relation


def table(oid: int, name: str, kind: str = "r", **more: tuple[int, ...]) -> Relation:
    return Relation(oid, "public", name, kind, (), **more)


def of(*relations: Relation, unnamed: frozenset[int] = frozenset()) -> Reached:
    functions = (
        Function(1, "public", "sets", "plpgsql", "set role a"),
        Function(2, "public", "calls", "sql", "select sets()"),
        Function(3, "public", "inserts", "sql", "insert into armed"),
        Function(4, "public", "other", "sql", "select 1"),
    )
    catalog = Catalog("shop", 180000, relations, functions, {}, unnamed=unnamed)
    return reached(catalog, lambda function: "set role" in function.source)


def test_by_name() -> None:
    assert of() == Reached(frozenset(("sets", "calls")))
    assert reached(Catalog("shop", 180000, (), (), {}), lambda function: True) == Reached()


def test_behind_tables_and_views() -> None:
    found = of(
        table(10, "view", "v", on_read=(2,)),
        table(11, "upper", "v", depends_on=(10,)),
        table(12, "ruled", depends_on=(10,)),
        table(20, "armed", triggers=(1,)),
        table(21, "defaults", on_write=(1,)),
        table(22, "parent", "p"),
        table(23, "part", parents=(22,), on_write=(2,)),
        table(24, "key", changes=(21,)),
        table(25, "over", "v", depends_on=(20,)),
        table(26, "plain", on_write=(4,), on_read=(4,), triggers=(4,)),
        table(27, "late", on_write=(3,)),
    )
    assert found.names == {"sets", "calls", "inserts", "view", "upper"}
    assert found.writes == {"armed", "defaults", "parent", "part", "key", "over", "late"}
    assert not found.anywhere


def test_behind_what_has_no_name() -> None:
    assert of(unnamed=frozenset((2, 9))).anywhere
    assert not of(unnamed=frozenset((4,))).anywhere
