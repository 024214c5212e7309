"""What holds for all values of all kinds."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.policy.rules import KINDS, Kind, ValueClass
from proxy.policy.values import HIDDEN, Rejected, check, fold, mask, normalize

VALUES = st.one_of(
    st.text(),
    st.emails(),
    st.from_regex(r"[+0-9 ()./-]{5,25}", fullmatch=True),
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2})?( BC)?", fullmatch=True),
    st.ip_addresses().map(str),
    st.text("aAßſİıﬁΣσςéＡ\u0301\u0345 .@-", max_size=12),
)
REGIONS = st.sampled_from([None, "US", "DE", "IT", "AR", "MX"])


@pytest.mark.parametrize("kind", KINDS)
@given(value=VALUES, region=REGIONS)
def test_normal_forms_are_idempotent(kind: Kind, value: str, region: str | None) -> None:
    normal = normalize(kind, value, region)
    if normal is not None:
        assert normalize(kind, normal, region) == normal


@given(st.text())
def test_folding_is_blind_to_case(value: str) -> None:
    assert fold(value) == fold(fold(value))
    assert fold(value.casefold()) == fold(value)


@given(value=st.from_regex(r"[+0-9 ()./-]{5,25}( ext [0-9]{1,4})?", fullmatch=True), region=REGIONS)
def test_no_digit_of_the_end_of_a_phone_number_is_lost(value: str, region: str | None) -> None:
    normal = normalize("phone", value, region)
    if normal is not None:
        digits = [c for c in value if c.isdigit()]
        assert digits[-6:] == [c for c in normal if c.isdigit()][-6:]


@pytest.mark.parametrize("kind", KINDS)
@given(value=st.one_of(st.binary(), VALUES.map(str.encode)))
def test_check_is_total_and_idempotent(kind: Kind, value: bytes) -> None:
    assert check(ValueClass("c", kind), value) == value
    strict = check(ValueClass("c", kind, invalid="reject"), value)
    assert isinstance(strict, Rejected) or strict == value
    stored = check(ValueClass("c", kind, canonicalize=True), value)
    assert isinstance(stored, bytes)
    assert check(ValueClass("c", kind, canonicalize=True), stored) == stored


@pytest.mark.parametrize("kind", KINDS)
@given(value=st.one_of(st.binary(), VALUES.map(str.encode)))
def test_masks_are_total(kind: Kind, value: bytes) -> None:
    shown = mask(ValueClass("c", kind), value)
    assert (shown == b"") == (value == b"")
    assert shown.isascii()
    assert mask(ValueClass("c", kind, mask="#"), value) == (b"#" if value else b"")


# Kind -> the shapes that a mask may have; what is caught stands for what may be shown of the value.
SHAPES: dict[Kind, str] = {
    "email": r"([A-Za-z0-9]?)\*\*\*@\*\*\*(?:\.([a-z]{2,6}))?|\*\*\*",
    "phone": r"\*\*\*([0-9]{2})?",
    "card": r"\*\*\*([0-9]{4})?",
    "name": r"(?:([A-Z])\.|\*\*\*)(?: (?:([A-Z])\.|\*\*\*)){0,2}",
    "date": r"([0-9]{4,7})-01-01(?: 00:00:00)?(?:\+00)?(?: BC)?|-?infinity",
    "ip": r"([0-9]+\.[0-9]+)\.\*\.\*|([0-9a-f]+:[0-9a-f]+):\*|\*\*\*",
    "json": r'"\*\*\*"',
}


@pytest.mark.parametrize("kind", KINDS)
@given(value=VALUES.filter(bool))
def test_a_mask_shows_no_more_than_it_promises(kind: Kind, value: str) -> None:
    shown = mask(ValueClass("c", kind), value.encode()).decode()
    assert re.fullmatch(SHAPES.get(kind, re.escape(HIDDEN)), shown)


LOCALS = st.from_regex(r"a[a-z0-9.+]{1,12}", fullmatch=True)
DOMAINS = st.from_regex(r"[a-z0-9-]{1,12}(\.[a-z]{1,8}){0,2}\.com", fullmatch=True)


@given(first=st.tuples(LOCALS, DOMAINS), second=st.tuples(LOCALS, DOMAINS))
def test_masks_of_addresses_that_share_what_is_shown_are_equal(first: tuple[str, str], second: tuple[str, str]) -> None:
    email = ValueClass("c", "email")
    assert mask(email, "@".join(first).encode()) == mask(email, "@".join(second).encode())


@given(first=st.dates(), second=st.dates())
def test_masks_of_dates_of_one_year_are_equal(first: object, second: object) -> None:
    date = ValueClass("c", "date")
    one, two = mask(date, str(first).encode()), mask(date, str(second).encode())
    assert (one == two) == (str(first)[:4] == str(second)[:4])
