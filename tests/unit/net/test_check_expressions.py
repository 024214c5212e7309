import pytest

from proxy.net.check_expressions import Use, assigns, is_safe, uses

NAMES = ("email", "Odd name", "phone")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(id > 0)", {}),
        ("(email IS NOT NULL)", {"email": "null"}),
        ("((email)::text IS NULL)", {"email": "null"}),
        ("((email)::text ~~ '%@%'::text)", {"email": "value"}),
        ("((email IS NULL) OR (email ~~ '%@%'::text))", {"email": "value"}),
        ("((email)::text = (phone)::text)", {"email": "equality", "phone": "equality"}),
        ("(email IS DISTINCT FROM phone)", {"email": "equality", "phone": "equality"}),
        ("(email <> phone)", {"email": "equality", "phone": "equality"}),
        ("(email < phone)", {"email": "value", "phone": "value"}),
        ("(email = CURRENT_USER)", {"email": "value"}),
        ('(length("Odd name") < 9)', {"Odd name": "value"}),
        ("('email'::text = note)", {}),
        ("(people.* IS NOT NULL)", {"email": "null", "Odd name": "null", "phone": "null"}),
        ("to_jsonb(people.*)", {"email": "value", "Odd name": "value", "phone": "value"}),
        ("(EXISTS ( SELECT 1 FROM public.other o WHERE (o.email = 'x'::text)))", {"email": "value"}),
        ("lower(email), phone", {"email": "value", "phone": "value"}),
        # What can't be read counts for all that it names.
        ("email @@@@ ((", {"email": "value"}),
    ],
)
def test_uses(expression: str, expected: dict[str, Use]) -> None:
    assert uses(expression, NAMES) == expected


def test_nothing_is_asked_of_nothing() -> None:
    assert uses("no sql (", ()) == {}
    assert uses("email", ()) == {}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("((email)::text ~~ '%@%'::text)", True),
        ("((email)::character varying(60) ~ '^x'::text)", True),
        ("(length(lower(email)) = ANY (ARRAY[1, 2]))", True),
        ("CASE WHEN (id > 0) THEN (email IS NULL) ELSE COALESCE(email, 'x'::text) <> ''::text END", True),
        ("(public.valid(email))", False),
        ("((email)::public.citext = 'x'::public.citext)", False),
        ("(email OPERATOR(public.=) 'x'::text)", False),
        ("(pg_catalog.pg_read_file(email) IS NULL)", False),
        ("(pg_sleep(9) IS NULL)", False),
        ("(lo_export(1, email) = 1)", False),
        ("(EXISTS ( SELECT 1 FROM other))", False),
        ("(people.* IS NULL)", False),
        ("no sql (", False),
        ("1; SELECT 2", False),
    ],
)
def test_is_safe(expression: str, expected: bool) -> None:
    assert is_safe(expression) is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("BEGIN NEW.email := lower(NEW.email); RETURN NEW; END", True),
        ("BEGIN new . email = 'x'; RETURN NEW; END", True),
        ("BEGIN IF true THEN NEW.email = 'x'; END IF; END", True),
        ('BEGIN NEW."email" := 1; END', True),
        ("BEGIN SELECT a INTO NEW.email FROM t; END", True),
        ("BEGIN SELECT a INTO STRICT NEW.email FROM t; END", True),
        ("BEGIN IF NEW.email = 'x' THEN RETURN NULL; END IF; END", False),
        ("BEGIN NEW.emails := 1; END", False),
        ("BEGIN OLD.email := 1; END", False),
    ],
)
def test_assigns(source: str, expected: bool) -> None:
    assert assigns(source, "email") is expected
