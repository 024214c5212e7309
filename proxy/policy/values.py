"""What values of a kind look like: normal forms, validity, masks.

Pure, and total: any text gives an answer, never an exception. Texts are UTF-8.

Transparency first: unless its class says otherwise, a value is stored as it is, byte for byte, whatever it looks like,
as a plaintext database would store it. `invalid: reject` refuses what a kind does not recognise; `canonicalize: true`
stores the normal form.

Normal forms are named and versioned, because the search index holds digests of them: a change is a new version and a
new index. They are idempotent, never decode anything (a %40 stays a %40) and never lose a digit.

email.v1        trimmed, NFC, case folded, domain in ASCII (IDNA). One '@' outside quotes; no blanks.
phone.v1        E.164, an extension as ';ext=…'; a number without '+' needs the region of its class.
login.v1        trimmed, NFKC, case folded.
casefold.v1     NFC, case folded; blanks count. For name, address, text.
date.v1         a calendar date as PostgreSQL writes it in ISO style.
national_id.v1  NFKC, upper case, without blanks, dots, hyphens and slashes.
card.v1         12 to 19 digits without blanks and hyphens, with a correct check digit (Luhn, ISO/IEC 7812-1).
ip.v1           an address or network in RFC 5952 / dotted form.
json.v1         the text itself, if it is JSON.
"""

import ipaddress
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import phonenumbers

from proxy.policy.rules import Kind, ValueClass

FORMS: Final[dict[Kind, str]] = {
    "email": "email.v1",
    "phone": "phone.v1",
    "login": "login.v1",
    "name": "casefold.v1",
    "address": "casefold.v1",
    "text": "casefold.v1",
    "date": "date.v1",
    "national_id": "national_id.v1",
    "card": "card.v1",
    "ip": "ip.v1",
    "json": "json.v1",
}

# Longest text that has a normal form, in characters. RFC 5321 4.5.3.1 bounds an address by 254 octets, E.164 a number
# by 15 digits; the rest is room for spelling. Above it a parser only costs time (IDNA is quadratic).
LONGEST: Final[dict[Kind, int]] = {"email": 320, "phone": 250, "card": 64, "ip": 64, "date": 32}

TEXTS: Final = frozenset(("text", "varchar", "bpchar", "name", "citext"))


@dataclass(frozen=True, slots=True)
class Rejected:
    """reason: what the kind asks for, in words; never the value."""

    reason: str


REASONS: Final[dict[Kind, str]] = {
    "email": "an e-mail address has one @, something before it and a domain behind it",
    "phone": "a phone number has a country code (or its class a region) and a possible length",
    "login": "a login is not blank",
    "name": "a name is text",
    "address": "an address is text",
    "text": "it is text",
    "date": "a date is a day of the calendar, YYYY-MM-DD",
    "national_id": "a national id has letters or digits",
    "card": "a card number has 12 to 19 digits with a correct check digit",
    "ip": "an address is IPv4 or IPv6, with or without a prefix length",
    "json": "it is a JSON text",
}


def check(value_class: ValueClass, canonical: bytes, type_name: str = "text") -> bytes | Rejected:
    """The value to store (or to look for) of one that the column's type calls `canonical`.

    type_name: the type that clients see. Kinds speak about text; of the other types only numeric has a normal form that
    the type itself does not give: the number without trailing zeros.
    """
    if value_class.invalid == "keep" and not value_class.canonicalize:
        return canonical
    text = canonical.decode("utf-8", "replace")
    if type_name not in TEXTS:
        return _plain_number(text).encode() if type_name == "numeric" and value_class.canonicalize else canonical
    normal = normalize(value_class.kind, text, value_class.region)
    if normal is None and value_class.invalid == "reject":
        return Rejected(REASONS[value_class.kind])
    if not value_class.canonicalize:
        return canonical
    # What is not recognised still needs one form for all spellings that the column's type calls equal.
    return (fold(text) if normal is None else normal).encode()


def form(value_class: ValueClass) -> str:
    """What decides which token a value of the class gets, in words. The vault remembers it with the class's first
    value: under another one, equal values would have unequal tokens."""
    if not value_class.deterministic:
        return "random tokens"
    if not value_class.canonicalize:
        return "values as they are"
    region = f", region {value_class.region}" if value_class.kind == "phone" and value_class.region else ""
    return f"normal form {FORMS[value_class.kind]}{region}"


def normalize(kind: Kind, value: str, region: str | None = None) -> str | None:
    """The normal form of a value, None if its kind does not recognise it. region: two letters, for phone numbers."""
    if len(value) > LONGEST.get(kind, len(value)):
        return None
    if kind == "phone":
        return _phone(value, region)
    return NORMALIZERS[kind](value)


def fold(value: str) -> str:
    """casefold.v1: canonical caseless matching (Unicode 3.13, D145), brought to NFC, which makes it idempotent."""
    folded = unicodedata.normalize("NFD", value).casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", folded).casefold())


def _login(value: str) -> str | None:
    # Compatibility forms can come out of folding and the other way round: three steps reach the fixed point (D146).
    text = unicodedata.normalize("NFKC", fold(unicodedata.normalize("NFKC", fold(value))))
    return text.strip() or None


LOCAL: Final = re.compile(r'(?:"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])+"|[^\s\x00-\x20\x7f"(),:;<>@\[\\\]]+)')


def _email(value: str) -> str | None:
    text = fold(value.strip()).strip()
    local, at, domain = text.rpartition("@")
    if not at or LOCAL.fullmatch(local) is None or any(c.isspace() for c in domain):
        return None
    ascii_domain = _domain(domain)
    return None if ascii_domain is None else f"{local}@{ascii_domain}"


def _domain(domain: str) -> str | None:
    """A-labels, lower case; None if a label can't be one. The codec bounds labels by 63, LONGEST bounds its work."""
    try:
        name = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    labels = name.split(".")
    if any(re.fullmatch(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?", label) is None for label in labels):
        return None
    return name


EXTENSION: Final = ";ext="


def _phone(value: str, region: str | None) -> str | None:
    number = _e164(value, region)
    if number is None or _e164(number, region) != number:
        return None
    # The library takes the first of two numbers and cuts what follows one: the end must be the one that was given.
    digits = "".join(str(unicodedata.digit(c)) for c in value if c.isdigit())
    ending = "".join(c for c in number if c.isdigit())[-6:]
    return number if digits.endswith(ending) else None


def _e164(value: str, region: str | None) -> str | None:
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    text = str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
    return f"{text}{EXTENSION}{number.extension}" if number.extension else text


DATE: Final = re.compile(r"([0-9]{4,7})-([0-9]{2})-([0-9]{2})( BC)?")
MONTHS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _date(value: str) -> str | None:
    found = DATE.fullmatch(value)
    if found is None:
        return None
    year, month, day = int(found[1]), int(found[2]), int(found[3])
    if not (year and 1 <= month <= 12):
        return None
    astronomical = 1 - year if found[4] else year
    leap = astronomical % 4 == 0 and (astronomical % 100 != 0 or astronomical % 400 == 0)
    return value if 1 <= day <= MONTHS[month - 1] + (leap and month == 2) else None


def _national_id(value: str) -> str | None:
    text = re.sub(r"[\s./-]", "", unicodedata.normalize("NFKC", value)).upper()
    text = unicodedata.normalize("NFKC", text).upper()
    return text if any(c.isalnum() for c in text) else None


def _card(value: str) -> str | None:
    digits = re.sub(r"[ -]", "", value.strip())
    return digits if re.fullmatch(r"[0-9]{12,19}", digits) and _luhn(digits) else None


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        double = int(digit) * (1 + place % 2)
        total += double - 9 if double > 9 else double
    return total % 10 == 0


def _ip(value: str) -> str | None:
    text = value.strip()
    try:
        return str(ipaddress.ip_interface(text)) if "/" in text else str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _json(value: str) -> str | None:
    try:
        # Numbers stay text: nothing is computed with them, and a long one would raise.
        json.loads(value, parse_constant=_no_constant, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    return value


NORMALIZERS: Final[dict[Kind, Callable[[str], str | None]]] = {
    "email": _email,
    "login": _login,
    "name": fold,
    "address": fold,
    "text": fold,
    "date": _date,
    "national_id": _national_id,
    "card": _card,
    "ip": _ip,
    "json": _json,
}


def _plain_number(text: str) -> str:
    """A number in PostgreSQL's numeric output without trailing zeros behind the point; NaN and Infinity as they are."""
    if "." not in text:
        return text
    return text.rstrip("0").rstrip(".")


# ---- masks ---------------------------------------------------------------------------------------------------------

HIDDEN: Final = "***"


def mask(value_class: ValueClass, value: bytes) -> bytes:
    """What a principal of level `mask` sees; see PROMISES for what each kind shows. Empty stays empty, as NULL stays
    NULL: both say that nothing was given."""
    if not value:
        return b""
    if value_class.mask is not None:
        return value_class.mask.encode()
    masked = MASKS.get(value_class.kind)
    return HIDDEN.encode() if masked is None else masked(value.decode("utf-8", "replace")).encode()


def _mask_email(value: str) -> str:
    local, at, domain = value.strip().rpartition("@")
    if not at:
        return HIDDEN
    first = local[0] if len(local) > 1 and _plain_letter(local[0]) else ""
    top = domain.rpartition(".")[2]
    # A top-level domain of letters only; a longer or stranger one could be a name by itself.
    ending = f".{top.lower()}" if "." in domain and re.fullmatch(r"[A-Za-z]{2,6}", top) else ""
    return f"{first}{HIDDEN}@{HIDDEN}{ending}"


def _plain_letter(char: str) -> bool:
    return char.isascii() and char.isalnum()


def _ending(value: str, shown: int, least: int) -> str:
    """`***` and the last `shown` ASCII digits, of a value that has `least` of them or more."""
    digits = [c for c in value if c.isdigit()]
    if len(digits) < least or not all(c.isascii() for c in digits[-shown:]):
        return HIDDEN
    return HIDDEN + "".join(digits[-shown:])


def _mask_phone(value: str) -> str:
    return _ending(value, 2, 7)


def _mask_card(value: str) -> str:
    return _ending(value, 4, 12)


def _mask_name(value: str) -> str:
    words = [word for word in value.split() if word]
    if not words:
        return HIDDEN
    initials = [f"{w[0].upper()}." if len(w) > 1 and w[0].isascii() and w[0].isalpha() else HIDDEN for w in words[:3]]
    return " ".join(initials)


MOMENT: Final = re.compile(
    r"([0-9]{4,7})-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)?([+-][0-9:]{2,8})?( BC)?"
)
UNKNOWN_DAY: Final = "0001-01-01"


def _mask_date(value: str) -> str:
    """The first of January of the year, as a value of the type that was given, so that a column shown as a date or
    timestamp still holds one."""
    found = MOMENT.fullmatch(value)
    if found is None:
        return value if value in ("infinity", "-infinity") else UNKNOWN_DAY
    clock = " 00:00:00" if found[2] else ""
    return f"{found[1]}-01-01{clock}{'+00' if found[3] else ''}{found[4] or ''}"


def _mask_ip(value: str) -> str:
    text = value.strip().partition("/")[0].partition("%")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return HIDDEN
    if isinstance(address, ipaddress.IPv4Address):
        return ".".join(str(address).split(".")[:2]) + ".*.*"
    return ":".join(part.lstrip("0") or "0" for part in address.exploded.split(":")[:2]) + ":*"


def _mask_json(_value: str) -> str:
    """Still a JSON text, for columns that are shown as json."""
    return f'"{HIDDEN}"'


MASKS: Final[dict[Kind, Callable[[str], str]]] = {
    "email": _mask_email,
    "phone": _mask_phone,
    "card": _mask_card,
    "name": _mask_name,
    "date": _mask_date,
    "ip": _mask_ip,
    "json": _mask_json,
}

# What the mask of each kind shows, at most. The reference page is made of it, tests/property holds the masks to it.
PROMISES: Final[dict[Kind, str]] = {
    "email": "the first letter or digit (of two characters or more) and the top-level domain: `a***@***.com`",
    "phone": "the last two digits, of seven or more: `***42`",
    "login": "nothing: `***`",
    "name": "the first letters of at most three words, A to Z only: `J. S.`",
    "address": "nothing: `***`",
    "date": "the year, as its first of January: `1987-01-01`; `0001-01-01` for what is no date",
    "national_id": "nothing: `***`",
    "card": "the last four digits, of twelve or more: `***4242`",
    "ip": "the first 16 bits of an IPv4, 32 of an IPv6 address: `203.0.*.*`, `2001:db8:*`",
    "text": "nothing: `***`",
    "json": "nothing: a JSON string of three stars",
}
