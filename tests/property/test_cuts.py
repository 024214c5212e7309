"""A client that is gone at any byte: the server gets whole messages or none of it."""

import random
from pathlib import Path

import pytest

from proxy.session.effects import Find, Tokenise
from proxy.session.session import Session
from tests.kit import messages, scene
from tests.kit.notation import parse
from tests.kit.playbook import Table, start
from tests.kit.questions import make_token
from tests.kit.transcript import read

SHOP = scene.answerer(Path(__file__).parents[1] / "transcripts" / "scenes" / "shop.yaml")
PLAYED = read("policy shop\nuser shop\n")
SCRIPTS = {
    "unprotected": """Parse "s" "INSERT INTO notes VALUES ($1, $2)" 0
        Bind "" "s" [] ['1', 'x'] []
        Execute "" 0
        Sync""",
    "protected": """Parse "s" "INSERT INTO customers(id, email) VALUES ($1, $2)" 0
        Bind "" "s" [] ['1', 'a@b.c'] []
        Execute "" 0
        Sync""",
    "copy": """Query "COPY notes FROM STDIN"
        CopyData '1\\tx\\n'
        CopyDone""",
}


def answer(request: object) -> object:
    if isinstance(request, Tokenise | Find):
        return tuple(make_token(item.canonical.decode()) for item in request.items)
    return SHOP(request)


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_peer_66_a_client_cut_at_every_byte(script: str) -> None:
    lines = script.splitlines()
    sent = b"".join(messages.build(parse(line), back=False) for line in lines)
    whole = 0
    for at in range(len(sent) + 1):
        table = Table(Session(), answer, "whole", random.Random(0))
        start(table, PLAYED)
        table.feed("client", sent[:at])
        table.end("client")
        frames, rest = messages.split_frames(table.ends["server"].data)
        assert rest == b"", f"cut at {at}: half a message went on"
        assert len(frames) <= len(lines) + 1
        assert b"a@b.c" not in table.ends["server"].data
        whole = max(whole, len(frames))
    assert whole >= len(lines)
