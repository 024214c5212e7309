import pytest

from proxy.sql.touch import KEPT, LONGEST, Touch

TOUCH = Touch(["customers", "Odd Table", 'qu"ote', "naïve", "n" * 63, "é" * 31])
NOTHING = Touch([])


@pytest.mark.parametrize(
    "text",
    [
        "select * from customers",
        "SELECT * FROM Customers",
        'select * from "customers"',
        "select * from public.customers;",
        'select * from "Odd Table"',
        'select * from "qu""ote"',
        "select * from naïve",
        "select customers.id from x",
        "select * from/**/customers/**/",
        "select * from " + "n" * 63,
        "select * from " + "n" * 70,
        "select * from " + "é" * 40,
        'select * from U&"\\0063ustomers"',
        'select * from u&"d"',
        "SET search_path = x",
        "  set x = 1",
        "/* app */ SET x = 1",
        "-- app\nreset all",
        "(create",
        ";;discard all",
        "select 1; set x = 1",
        "select 1; -- c\n /* c */ DROP TABLE y",
        "/* a /* b */ c */ set x = 1",
        "select pg_catalog.set_config('a', 'b', false)",
        "show pgveil.purpose",
        "select query_to_xml('…', true, true, '')",
        "select * from ts_stat('…')",
        "select ts_rewrite(a, $1) from x",
        "select * from Crosstab('…') as t(a text)",
        "select * from crosstab3($1)",
        "select * from connectby(t, a, b, c, 0)",
        "select * from xpath_table(a, b, t, x, y)",
        "do $$ begin end $$",
        "explain execute p",
        "fetch 2 from k",
        "rollback to s",
    ],
)
def test_may_touch(text: str) -> None:
    assert TOUCH(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "select 1",
        "",
        "begin",
        "commit",
        "savepoint a",
        "select * from customers_old",
        "select * from mycustomers",
        "select nextval('customers_id_seq')",
        "select * from xcustomers, customersx, customers$",
        "select offset_, settings from reset_log",
        "insert into x values ('a;b')",
        "select 1;",
        "select 1; select 2",
        "update pg_stat_mine set x = 1",
        "select * from app_config, mail_stat, config_stat",
        "select cross_tab, sort_rewrites, connect_by from x",
        "select * from " + "n" * 62,
    ],
)
def test_cannot_touch(text: str) -> None:
    assert not TOUCH(text.encode())


def test_a_text_that_is_not_utf8() -> None:
    assert TOUCH(b"select '\xff' from customers")
    assert not TOUCH(b"select '\xff' from x")


def test_without_names_only_words_count() -> None:
    assert NOTHING(b"set search_path = x")
    assert not NOTHING(b"select * from customers")


def test_names_in_any_text() -> None:
    assert TOUCH.names_in(b"begin update CUSTOMERS set x = 1; end")
    assert not TOUCH.names_in(b"set x = 1")


def test_with_names() -> None:
    assert TOUCH.with_names(["customers"]) is TOUCH
    assert TOUCH.with_names(["fresh"])(b"select * from fresh")
    assert "names" in repr(TOUCH)


def test_what_passed_once_passes_again_whatever_its_numbers() -> None:
    one = Touch(["customers"])
    for text in (b"select * from a1 where b = $1 and c = 17", b"select * from a2 where b = $3 and c = 45"):
        assert not one(text)
    assert len(one._passed) == 1


@pytest.mark.parametrize(
    "text",
    [
        b"select * from a where b = 'ann@x.de'",
        b"select * from a where b = $$ann$$",
        b"select * from a where b = $t$ann$t$",
        b"select 1 /* ann */",
        b"select 1 -- ann",
        b"select 1".ljust(LONGEST + 1),
    ],
)
def test_texts_that_hold_data_are_not_kept(text: bytes) -> None:
    one = Touch(["customers"])
    assert not one(text) and not one(text) and not one._passed


def test_names_with_digits_are_told_apart() -> None:
    for one in (Touch(["t1"]), Touch([], frozenset(("f1",)))):
        assert not one(b"select * from t2, f2()")
        assert one(b"select * from t1, f1()")


def test_texts_that_passed_are_bounded() -> None:
    one = Touch(["customers"])
    for number in range(KEPT + 1):
        assert not one(b"select " + b"x" * number)
    assert len(one._passed) == 1
