"""The exchange of RFC 7677, section 3."""

import base64

import pytest

from tests.kit.scram import Scram

SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def scram(password: str = "pencil") -> Scram:
    return Scram(password, base64.b64decode("rOprNGfwEbeRWgbNEkqO"), "user")


def test_the_example_of_the_standard() -> None:
    client = scram()
    assert client.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert client.final(SERVER_FIRST).endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client.check(SERVER_FINAL)


def test_a_server_that_does_not_know_the_password_is_found_out() -> None:
    client = scram("pen")
    client.final(SERVER_FIRST)
    with pytest.raises(ValueError):
        client.check(SERVER_FINAL)


def test_a_nonce_that_is_not_ours_is_found_out() -> None:
    with pytest.raises(ValueError):
        scram().final(b"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1")
