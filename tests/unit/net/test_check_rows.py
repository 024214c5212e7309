import re

import pytest

from proxy import tokens
from proxy.net.check_rows import CONTROLS, TOKEN

GOOD = tokens.deterministic(b"key", b"tag", b"value")


@pytest.mark.parametrize(
    "text",
    [
        GOOD.decode(),
        tokens.random(b"tag", b"\xff" * 12).decode(),
        GOOD.decode().upper(),
        GOOD.decode() + " ",
        GOOD.decode()[:-1],
        "0190a3b4-0000-4000-8000-000000000000",
        "0190a3b4-0000-8000-c000-000000000000",
        "{" + GOOD.decode() + "}",
        *CONTROLS,
    ],
)
def test_the_pattern_asked_of_the_server_is_that_of_tokens(text: str) -> None:
    assert bool(re.search(TOKEN, text)) is tokens.looks_like(text.encode())
