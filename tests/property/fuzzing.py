"""Any bytes from either side, cut anywhere, answers and failures in between: a session raises nothing, ever.

    python -m tests.property.fuzzing --seconds 600 [--seed N]     CPU seconds; kept is what reaches new lines

What it wants to refuse it refuses, what can't be read ends the link; an exception would be a Bug that ends it unheard.
Invariants looked at behind every event: what is closed says nothing more; a side that was closed is closed once.
"""

import argparse
import random
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import Any, Final

from proxy.errors import Bug, Refusal
from proxy.session.effects import Analyse, Close, Find, LoadCatalog, Reveal, Tokenise
from proxy.session.limits import Limits
from tests.kit.mutation import Input, corpus, mutate
from tests.unit.session import driver

TRANSCRIPTS: Final = Path(__file__).parents[1] / "transcripts"
PURE: Final = tuple(f"/proxy/{name}" for name in ("wire/", "session/", "sql/", "policy/", "tokens.py"))
# Said of a server that does not do as PostgreSQL does, which is what one of these is.
LIES: Final = ("a statement that was bound to fail succeeded", "a message that was bound to fail succeeded")
FAILING: Final = (Tokenise, Reveal, Analyse, LoadCatalog)
GONE: Final = Refusal("vault-unavailable", "the vault is not reachable")
LIMITS: Final = Limits(waiting=20_000, result=20_000, statement=50_000, statements=50, message=50_000, idle=1e6)
CANARY: Final = b"c@nary.de"
USERS: Final = ("shop", "support", "viewer", "capped", "nobody")


class Link(driver.Link):
    """Of the driver; answers wait, one part of what is outside may fail, and more is asked than the driver knows."""

    def __init__(self, user: str, ready: bool) -> None:
        super().__init__(user, ready=ready, limits=LIMITS)
        self.vault.token("email", CANARY)

    def reply(self, request: object) -> object:
        if type(request) in self.fail or isinstance(request, Analyse | LoadCatalog | Reveal | Tokenise | Find):
            return super().reply(request)
        return None


def tokens(data: bytes) -> bytes:
    """The places of tokens in the corpus, filled with those of the driver's vault."""
    for number in range(1, 4):
        if b"@token%d" % number in data:
            data = data.replace(b"@token%d" % number, driver.Vault().token("email", CANARY))
    return data


def play(one: Input, user: str = "shop", held: bool = True, raw: bool = False) -> Link:
    """Run it. raw: from the first byte of the start-up on. Raises what should not be."""
    link = Link(user, not raw)
    link.held = (Tokenise, Find, Reveal, Analyse, LoadCatalog) if held else ()
    try:
        _play(link, one)
    except Bug as bug:
        if str(bug) not in LIES:
            raise
    return link


def _play(link: Link, one: Input) -> None:
    for kind, data in one:
        _event(link, kind, data)
        _look(link)
    link.held = ()
    link.release()
    _look(link)
    link.session.client_eof()
    link.session.server_eof()
    link.drain()
    link.session.release()


def _event(link: Link, kind: str, data: bytes | int) -> None:
    if kind == "c" and isinstance(data, bytes):
        link.client(tokens(data))
    elif kind == "s" and isinstance(data, bytes):
        link.server(tokens(data))
    elif kind == "a" and isinstance(data, int):
        link.release(data)
    elif kind in ("C", "S"):
        (link.session.client_eof if kind == "C" else link.session.server_eof)()
        link.drain()
    elif kind in ("f", "e"):
        link.session.client_full(kind == "f")
        link.drain()
    elif kind == "x" and isinstance(data, int):
        link.fail = {FAILING[data]: GONE}
    elif kind == "t":
        link.session.tick(5.0)
        link.drain()


def _look(link: Link) -> None:
    closed = [event.side for event in link.events if isinstance(event, Close)]
    assert closed in ([], ["client"], ["client", "server"], ["server", "client"]), f"closed: {closed}"
    if len(closed) == 2:
        before = len(link.to_server) + len(link.to_client)
        link.drain()
        assert len(link.to_server) + len(link.to_client) == before, "something is said behind the end"


def seeds() -> list[Input]:
    found = corpus(TRANSCRIPTS)
    greeting = Link("shop", True).greeting()
    start = driver.m.build_startup(driver.m.PROTOCOL_3_0, [(b"user", b"shop"), (b"database", b"shop")])
    found += [(("c", start), ("s", greeting), ("a", 9), ("c", driver.query("select email from customers")))]
    found += [(("c", driver.m.build_encryption_request(driver.m.SSL_CODE)), ("c", start), ("s", greeting))]
    return found


# ---- what is reached -----------------------------------------------------------------------------------------------


class Reached:
    """Lines of the pure half that were run; `new` since it was last asked."""

    def __init__(self) -> None:
        self.lines: set[tuple[str, int]] = set()
        self._mine: dict[Any, bool] = {}

    def __enter__(self) -> "Reached":
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, arg: object) -> Any:
        code = frame.f_code
        mine = self._mine.get(code)
        if mine is None:
            mine = self._mine[code] = any(name in code.co_filename for name in PURE)
        return self._line if mine else None

    def _line(self, frame: FrameType, event: str, arg: object) -> Any:
        self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


# ---- a long run ----------------------------------------------------------------------------------------------------


def tried(one: Input, dice: random.Random) -> dict[str, Any]:
    """How to play it. What begins with a packet that has no type begins with the start-up."""
    first = one[0][1] if one else b""
    raw = (isinstance(first, bytes) and first[:1] == b"\0") or dice.random() < 0.05
    return {"user": dice.choice(USERS), "held": dice.random() < 0.6, "raw": raw}


def _late(*_: object) -> None:
    raise TimeoutError("an input takes more than ten seconds")


def main() -> int:
    parser = argparse.ArgumentParser(description="fuzz sessions")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(10**9)))
    given = parser.parse_args()
    print(f"PGVEIL_FUZZ_SEED={given.seed}", flush=True)
    dice = random.Random(given.seed)
    signal.signal(signal.SIGALRM, _late)
    kept = seeds()
    first, runs, found, told = len(kept), 0, 0, 0.0
    places: set[str] = set()
    reached = Reached()
    while (spent := time.process_time()) < given.seconds:
        one = kept[runs] if runs < first else mutate(dice.choice(kept), kept, dice)
        how = tried(one, dice)
        before = len(reached.lines)
        signal.alarm(10)
        try:
            with reached:
                play(one, **how)
        except Exception as error:
            place = "".join(traceback.format_tb(error.__traceback__)[-1:])
            if place not in places:
                places.add(place)
                found += 1
                print(
                    f"--- {type(error).__name__}: {error}\n{traceback.format_exc()[-1500:]}\n{how} {one!r}"[:6000],
                    flush=True,
                )
        signal.alarm(0)
        runs += 1
        if len(reached.lines) > before and runs > first:
            kept.append(one)
        if spent - told > 30:
            told = spent
            print(
                f"{spent:.0f} s: {runs} inputs, {len(reached.lines)} lines, {len(kept)} kept, {found} found", flush=True
            )
    print(f"{runs} inputs, {len(reached.lines)} lines, {len(kept)} kept, {found} found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
