"""Normal forms, validity and masks, by example; tests/property/test_values.py has what holds for all values."""

import pytest

from proxy.policy.rules import KINDS, Kind, ValueClass
from proxy.policy.values import FORMS, PROMISES, REASONS, Rejected, check, form, mask, normalize


@pytest.mark.parametrize(
    ("kind", "value", "normal"),
    [
        ("email", " Ann.Lee+Shop@Example.COM ", "ann.lee+shop@example.com"),
        ("email", "a%40b@x.org", "a%40b@x.org"),
        ("email", "jo\u0308rg@m\u00fcnchen.de", "j\u00f6rg@xn--mnchen-3ya.de"),
        ("email", "a@XN--MNCHEN-3YA.de", "a@xn--mnchen-3ya.de"),
        ("email", '"a b@c"@x.de', '"a b@c"@x.de'),
        ("email", "a.@docomo.ne.jp", "a.@docomo.ne.jp"),
        ("email", "root@localhost", "root@localhost"),
        ("email", "", None),
        ("email", "ann", None),
        ("email", "@x.de", None),
        ("email", "a@", None),
        ("email", "a@b@c.de", None),
        ("email", "a b@c.de", None),
        ("email", "a@b c.de", None),
        ("email", "a@b..de", None),
        ("email", "a@-b.de", None),
        ("email", "a@b.de.", None),
        ("email", f"a@{'x' * 64}.de", None),
        ("email", f"{'a' * 400}@x.de", None),
        ("email", "a@[127.0.0.1]", None),
        ("login", " Ａnn ", "ann"),
        ("login", "STRASSE", "strasse"),
        ("login", "straße", "strasse"),
        ("login", "  ", None),
        ("name", "Ｊohn ", "ｊohn "),
        ("name", "E\u0301mile", "\u00e9mile"),
        ("text", "", ""),
        ("date", "1987-05-06", "1987-05-06"),
        ("date", "2000-02-29", "2000-02-29"),
        ("date", "1900-02-29", None),
        ("date", "0001-02-29 BC", "0001-02-29 BC"),
        ("date", "0002-02-29 BC", None),
        ("date", "10000-01-31", "10000-01-31"),
        ("date", "0000-01-01", None),
        ("date", "1987-13-01", None),
        ("date", "1987-04-31", None),
        ("date", "1987-04-00", None),
        ("date", "6.5.1987", None),
        ("date", "infinity", None),
        ("national_id", " 85.01.01-123/45 ", "850101123" + "45"),
        ("national_id", "ab 12", "AB12"),
        ("national_id", " - ", None),
        ("card", "4242 4242-4242 4242", "4242424242424242"),
        ("card", "4242424242424241", None),
        ("card", "42", None),
        ("card", "４242424242424242", None),
        ("ip", " 2001:DB8:0::1 ", "2001:db8::1"),
        ("ip", "10.0.0.1/8", "10.0.0.1/8"),
        ("ip", "10.0.0.256", None),
        ("json", '{"a": 1.0}', '{"a": 1.0}'),
        ("json", "9" * 5000, "9" * 5000),
        ("json", "NaN", None),
        ("json", "{", None),
        ("json", "[" * 100_000, None),
    ],
)
def test_normal_forms(kind: Kind, value: str, normal: str | None) -> None:
    assert normalize(kind, value) == normal
    if normal is not None:
        assert normalize(kind, normal) == normal


@pytest.mark.parametrize(
    ("value", "region", "normal"),
    [
        ("+1 (650) 253-0000", None, "+16502530000"),
        ("650 253 0000", None, None),
        ("650.253.0000", "US", "+16502530000"),
        ("030/1234567", "DE", "+49301234567"),
        ("0044 20 7946 0018", "DE", "+442079460018"),
        ("+44 (0)20 7946 0018", None, "+442079460018"),
        ("+39 06 6982 1234", None, "+390669821234"),
        ("650 253 0000 ext. 123", "US", "+16502530000;ext=123"),
        ("+16502530000;ext=007", None, "+16502530000;ext=007"),
        ("\u0660\u0663\u0660 1234567", "DE", "+49301234567"),
        ("+1 650 253 0000 / 650 253 0001", "US", None),
        ("650 253 0000 call after 5", "US", None),
        ("110", "DE", None),
        ("+1 650", None, None),
        ("", "US", None),
        ("ann", "US", None),
        ("+1" + "0" * 300, None, None),
    ],
)
def test_phone_numbers(value: str, region: str | None, normal: str | None) -> None:
    assert normalize("phone", value, region) == normal
    if normal is not None:
        assert normalize("phone", normal, region) == normal


def test_by_default_every_value_is_kept_as_it_is() -> None:
    for kind in KINDS:
        assert check(ValueClass("c", kind), b"\xff any Thing ") == b"\xff any Thing "


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("email", b" A@B.de", b" A@B.de"),
        ("date", b"1987-05-06", b"1987-05-06"),
        ("text", b"", b""),
        ("name", b"X", b"X"),
    ],
)
def test_reject_changes_nothing(kind: Kind, value: bytes, kept: bytes) -> None:
    assert check(ValueClass("c", kind, invalid="reject"), value) == kept


@pytest.mark.parametrize(
    ("kind", "value"),
    [("email", b"ann"), ("email", b""), ("phone", b"x"), ("date", b"x"), ("card", b"1"), ("login", b" ")],
)
def test_reject_names_what_is_asked_for(kind: Kind, value: bytes) -> None:
    answer = check(ValueClass("c", kind, invalid="reject", canonicalize=True), value)
    assert answer == Rejected(REASONS[kind])


def test_canonicalize_stores_the_normal_form() -> None:
    email = ValueClass("c", "email", canonicalize=True)
    assert check(email, b"Ann@X.de") == b"ann@x.de"
    # No e-mail address, but citext calls the spellings equal, so they must be one value.
    assert check(email, b"ANN") == check(email, b"ann") == b"ann"
    assert check(ValueClass("c", "phone", region="US", canonicalize=True), b"650 253 0000") == b"+16502530000"


@pytest.mark.parametrize(
    ("value", "stored"),
    [(b"1.50", b"1.5"), (b"100", b"100"), (b"10.00", b"10"), (b"0.00", b"0"), (b"NaN", b"NaN"), (b"-0.10", b"-0.1")],
)
def test_numbers_lose_their_trailing_zeros(value: bytes, stored: bytes) -> None:
    assert check(ValueClass("c", "text", canonicalize=True), value, "numeric") == stored
    assert check(ValueClass("c", "text", invalid="reject"), value, "numeric") == value


def test_other_types_have_their_own_form() -> None:
    assert check(ValueClass("c", "email", canonicalize=True, invalid="reject"), b"1987-05-06", "date") == b"1987-05-06"


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("email", "ann@example.com", "a***@***.com"),
        ("email", "a@example.com", "***@***.com"),
        ("email", "émile@example.com", "***@***.com"),
        ("email", "ann@example.photography", "a***@***"),
        ("email", "ann@localhost", "a***@***"),
        ("email", "ann", "***"),
        ("phone", "+1 650 253 0042", "***42"),
        ("phone", "110", "***"),
        ("phone", "030 12345٤٢", "***"),
        ("login", "ann", "***"),
        ("name", "John smith", "J. S."),
        ("name", "A B", "*** ***"),
        ("name", "Émile Zola van der Meer", "*** Z. V."),
        ("name", "王小明", "***"),
        ("name", " ", "***"),
        ("address", "1 Main St", "***"),
        ("date", "1987-05-06", "1987-01-01"),
        ("date", "0044-03-15 BC", "0044-01-01 BC"),
        ("date", "1987-05-06 12:30:00.5+02", "1987-01-01 00:00:00+00"),
        ("date", "1987-05-06 12:30:00", "1987-01-01 00:00:00"),
        ("date", "infinity", "infinity"),
        ("date", "in May", "0001-01-01"),
        ("national_id", "123-45-6789", "***"),
        ("card", "4242 4242 4242 4242", "***4242"),
        ("card", "4242", "***"),
        ("ip", "203.0.113.7", "203.0.*.*"),
        ("ip", "2001:db8::1", "2001:db8:*"),
        ("ip", "::1", "0:0:*"),
        ("ip", "10.0.0.0/8", "10.0.*.*"),
        ("ip", "localhost", "***"),
        ("text", "anything", "***"),
        ("json", "{}", '"***"'),
    ],
)
def test_masks(kind: Kind, value: str, shown: str) -> None:
    assert mask(ValueClass("c", kind), value.encode()).decode() == shown


def test_a_class_may_have_its_own_mask() -> None:
    fixed = ValueClass("c", "email", mask="(hidden)")
    assert mask(fixed, b"ann@x.de") == b"(hidden)"
    assert mask(fixed, b"") == b""


def test_every_kind_has_a_form_a_reason_and_a_promise() -> None:
    assert set(FORMS) == set(REASONS) == set(PROMISES) == set(KINDS)


def test_what_decides_a_token_in_words() -> None:
    assert form(ValueClass("c", "phone")) == form(ValueClass("c", "email", invalid="reject")) == "values as they are"
    assert form(ValueClass("c", "phone", canonicalize=True, region="US")) == "normal form phone.v1, region US"
    assert form(ValueClass("c", "email", canonicalize=True, region="US")) == "normal form email.v1"
    assert form(ValueClass("c", "email", tokens="random")) == "random tokens"
