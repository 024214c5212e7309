"""COPY: what is sent, which fields are whose, how its options are read."""

import pytest

from proxy.sql.catalog import Catalog, snapshot
from proxy.sql.plan import CopyPlan
from proxy.wire.copyrows import CopyFormat
from tests.kit.plans import planned, sent, shown
from tests.unit.session import driver


def copied(text: str) -> CopyPlan:
    plan = planned(text)
    assert plan.refusal is None, plan.refusal
    made = plan.statements[-1].copy
    assert made is not None
    return made


def form(options: str) -> CopyFormat:
    return copied(f"COPY customers (id, email) FROM STDIN {options}").form


def code(text: str) -> str:
    refusal = planned(text).refusal
    return "" if refusal is None else refusal.code


# ---- what is sent ---------------------------------------------------------------------------------------------------


def test_a_list_of_columns_is_put_in() -> None:
    made = sent("COPY public.customers FROM STDIN")
    assert made.startswith("COPY public.customers (") and made.endswith(") FROM STDIN")
    assert sent("COPY customers (id, email) FROM STDIN") == "same"
    assert sent("COPY customers (id) TO STDOUT") == "same"
    assert sent("COPY notes FROM STDIN") == "same"
    assert sent('COPY public /* a */ . "customers" -- b\n FROM STDIN').startswith('COPY public /* a */ . "customers" (')
    assert sent("COPY U&\"!0063ustomers\" UESCAPE '!' FROM STDIN").startswith("COPY U&\"!0063ustomers\" UESCAPE '!' (")


def test_fields_are_those_of_the_list() -> None:
    into = copied("COPY customers (email, id) FROM STDIN")
    assert into.names == ("email", "id") and into.into is not None
    assert [None if held is None else held.class_name for held in into.into] == ["email", None]
    assert shown("COPY customers (id, email) TO STDOUT") == "- email"
    assert shown("COPY (SELECT email, 1 FROM customers) TO STDOUT") == "email -"


def test_what_reads_only() -> None:
    assert planned("COPY (SELECT email FROM customers) TO STDOUT").statements[0].reads
    assert not planned("COPY (DELETE FROM customers RETURNING email) TO STDOUT").statements[0].reads


@pytest.mark.parametrize(
    "text",
    [
        "COPY customers (id) FROM STDIN",
        "COPY customers (id) TO STDOUT",
        "COPY (SELECT id FROM customers) TO STDOUT",
    ],
)
def test_nothing_protected_in_it(text: str) -> None:
    plan = planned(text)
    assert plan.refusal is None and plan.statements[0].copy is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY customers TO '/tmp/x'", "copy-protected"),
        ("COPY customers FROM PROGRAM 'cat'", "copy-protected"),
        ("COPY customers (nosuch) FROM STDIN", "undefined-column"),
        ("COPY (SELECT *, email FROM customers, unknown_table) TO STDOUT", "unsupported-statement"),
        ("COPY customers FROM STDIN (FORMAT odd)", "copy-option"),
        ("COPY customers FROM STDIN (nonsense 1)", "copy-protected"),
        ("COPY customers FROM STDIN (DELIMITER 'ab')", "copy-protected"),
        ("COPY customers FROM STDIN (DELIMITER '\u00fc')", "copy-protected"),
        ("COPY customers FROM STDIN (ENCODING 'euc_jp')", "unsupported-encoding"),
        ("COPY customers TO STDOUT (ENCODING 'sjis')", "unsupported-encoding"),
        ("COPY customers FROM STDIN (ON_ERROR ignore, FREEZE, LOG_VERBOSITY verbose)", ""),
    ],
)
def test_refusals(text: str, expected: str) -> None:
    assert code(text) == expected


# ---- options --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", CopyFormat(dot_ends=False)),
        ("(FORMAT text)", CopyFormat(dot_ends=False)),
        ("(FORMAT binary)", CopyFormat("binary", dot_ends=False)),
        ("BINARY", CopyFormat("binary", dot_ends=False)),
        ("CSV", CopyFormat("csv", b",", b"", dot_ends=False)),
        ("(DELIMITER '|', NULL 'x')", CopyFormat("text", b"|", b"x", dot_ends=False)),
        (
            "(FORMAT csv, QUOTE '''', NULL 'N', DELIMITER ';')",
            CopyFormat("csv", b";", b"N", b"'", b"'", dot_ends=False),
        ),
        (
            r"(FORMAT csv, QUOTE '''', ESCAPE '\', DEFAULT 'D')",
            CopyFormat("csv", b",", b"", b"'", b"\\", default=b"D", dot_ends=False),
        ),
        ("CSV FORCE NOT NULL email", CopyFormat("csv", b",", b"", not_null=frozenset((1,)), dot_ends=False)),
        ("CSV FORCE NULL id, email", CopyFormat("csv", b",", b"", null_quoted=frozenset((0, 1)), dot_ends=False)),
        (
            "(FORMAT csv, FORCE_NOT_NULL *)",
            CopyFormat("csv", b",", b"", not_null=frozenset((0, 1)), dot_ends=False),
        ),
    ],
)
def test_formats(options: str, expected: CopyFormat) -> None:
    assert form(options) == expected


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("HEADER", True),
        ("HEADER true", True),
        ("HEADER false", False),
        ("HEADER 1", True),
        ("HEADER 0", False),
        ("HEADER match", True),
        ("HEADER 'On'", True),
        ("HEADER off", False),
    ],
)
def test_headers(option: str, expected: bool) -> None:
    assert form(f"({option})").header is expected


def test_quotes_on_output() -> None:
    quoted = copied("COPY customers (id, email) TO STDOUT CSV FORCE QUOTE email").form.quoted
    assert quoted == frozenset((1,))
    assert copied("COPY customers (id, email) TO STDOUT CSV FORCE QUOTE *").form.quoted is None


def test_an_encoding_by_any_of_its_names() -> None:
    assert copied("COPY customers FROM STDIN (ENCODING 'iso-8859-1')").encoding == "LATIN1"
    assert copied("COPY customers FROM STDIN").encoding == ""


def test_an_end_marker_ends_csv_before_18() -> None:
    catalog = Catalog("shop", 150000, driver.RELATIONS, (), {"": "public"})
    old = snapshot(catalog, driver.SHOP.policy, 1)
    copy = planned("COPY customers FROM STDIN CSV", within=old).statements[0].copy
    assert copy is not None and copy.form.dot_ends


def test_a_table_whose_columns_are_not_known() -> None:
    refusal = planned("COPY nosuch FROM STDIN WHERE EXISTS (SELECT email FROM customers)").refusal
    assert refusal is not None and refusal.code == "unsupported-statement"
