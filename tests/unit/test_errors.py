"""The kinds of error: what they carry, and that the codes are SQLSTATEs."""

import re

import pytest

from proxy.errors import CODES, Bug, ProtocolFault, Refusal, Unavailable


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_an_sqlstate(code: str) -> None:
    assert re.fullmatch("[0-9A-Z]{5}", CODES[code]) and re.fullmatch("[a-z]+(-[a-z]+)*", code)
    assert Refusal(code, "no").sqlstate == CODES[code]


def test_what_is_not_reachable_says_why_if_that_is_known() -> None:
    assert str(Unavailable("the vault")) == "the vault is not reachable"
    assert str(Unavailable("the vault", "locked")) == "the vault is not reachable: locked"
    assert Unavailable("the vault", "locked").what == "the vault"


def test_who_broke_the_protocol() -> None:
    fault = ProtocolFault("client", "a length of 3")
    assert (fault.side, fault.what, str(fault)) == ("client", "a length of 3", "client: a length of 3")
    assert issubclass(Bug, Exception)
