"""Several servers: which one a link gets, in memory. With real servers: tests/integration/test_upstream.py."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from proxy.errors import Unavailable
from proxy.kinds import Target
from proxy.net.upstream import Upstream
from proxy.net.upstreams import LONGEST_ERROR, Greeting, NotNow, Standing, Upstreams, fits, reason
from proxy.wire import messages as m
from tests.unit.net.stage import Net, Transport, turns, until
from tests.unit.net.test_upstream import Taken
from tests.vault.kit import asynchronous

PRIMARY = Standing(False, False)
READ_ONLY = Standing(False, True)
STANDBY = Standing(True, False)
FIRST = b"start-up"
OK = m.build_authentication(m.AUTH_OK)
NOT_NOW = m.build_report(
    m.ERROR_RESPONSE, [(b"S", b"FATAL"), (b"C", b"57P03"), (b"M", b"the database system is starting up")]
)
WRONG = m.build_report(m.ERROR_RESPONSE, [(b"S", b"FATAL"), (b"C", b"28P01"), (b"M", b"C57P03")])


class Link:
    def __init__(self, key: bytes = b"") -> None:
        self.key = key


class Scene:
    """servers: what each is; one that is not there can't be asked."""

    def __init__(self, target: Target = "any", timeout: float = 5.0, **servers: Standing) -> None:
        self.net = Net()
        self.are = servers
        self.asked: list[str] = []
        self.servers = [Upstream(name, 1, "disable", None, timeout) for name in ("a", "b")]
        self.it = Upstreams(self.servers, target, self.judge)
        self.moves = 0
        self.it.moved = self.move
        self.taken = Taken()

    async def judge(self, server: Upstream) -> Standing:
        self.asked.append(server.host)
        await asyncio.sleep(0)
        if server.host not in self.are:
            raise Unavailable("the server", "no")
        return self.are[server.host]

    def move(self) -> None:
        self.moves += 1

    @property
    def dialled(self) -> str:
        return "".join(str(where[0]) for where in self.net.dialled)

    def begin(self) -> "asyncio.Task[Upstream]":
        return asyncio.get_running_loop().create_task(self.it.connect(self.taken, FIRST))

    async def connect(self, *answers: bytes) -> str:
        """The server that has the link; each of those dialled gives an answer."""
        task = self.begin()
        for answer in answers:
            at = len(self.net.made)
            await until(lambda: len(self.net.made) > at or task.done())  # noqa: B023
            if not task.done():
                says(self.net.made[-1], answer)
        return (await task).host

    def last(self) -> dict[object, object]:
        return {each["server"]: each["last"] for each in self.it.told()}


def says(transport: Transport, data: bytes) -> None:
    assert isinstance(transport.protocol, asyncio.Protocol)
    transport.protocol.data_received(data)


def scene(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    return asynchronous(test)


@pytest.mark.parametrize(
    ("target", "those"),
    [
        ("any", [PRIMARY, READ_ONLY, STANDBY]),
        ("primary", [PRIMARY, READ_ONLY]),
        ("standby", [STANDBY]),
        ("read-write", [PRIMARY]),
        ("read-only", [READ_ONLY, STANDBY]),
    ],
)
def test_which_servers_fit(target: Target, those: list[Standing]) -> None:
    assert [each for each in (PRIMARY, READ_ONLY, STANDBY) if fits(target, each)] == those


def test_words() -> None:
    assert [each.words for each in (PRIMARY, READ_ONLY, STANDBY)] == ["a primary", "a read-only primary", "a standby"]


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (NotNow(), "not-accepting"),
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError(), "refused"),
        (ssl.SSLCertVerificationError(), "tls"),
        (socket.gaierror(), "name"),
        (UnicodeError(), "name"),
        (ConnectionResetError(), "failed"),
    ],
)
def test_reasons(error: Exception, word: str) -> None:
    assert reason(error) == word


# ---- any


@scene
async def test_the_first_that_answers_has_the_link() -> None:
    it = Scene()
    assert await it.connect(OK) == "a"
    assert it.net.made[0].sent == FIRST and it.taken.made == [it.net.made[0]] and it.taken.data == OK
    says(it.net.made[0], b"more")
    assert it.taken.data == OK + b"more" and it.last() == {"a:1": "reached", "b:1": "untried"}
    assert not it.asked and not it.moves


@scene
async def test_one_that_takes_no_connections_now_is_passed_over() -> None:
    it = Scene()
    assert await it.connect(NOT_NOW, OK) == "b"
    assert it.net.made[0].aborted and it.taken.made == [it.net.made[1]] and it.taken.data == OK
    assert it.net.made[1].sent == FIRST and it.last() == {"a:1": "not-accepting", "b:1": "reached"}


@scene
async def test_an_answer_in_pieces() -> None:
    it = Scene()
    task = it.begin()
    await until(lambda: it.net.made)
    for byte in NOT_NOW:
        assert not it.taken.made
        says(it.net.made[0], bytes([byte]))
    says(it.net.made[0], b"and more")  # before it is aborted
    await until(lambda: len(it.net.made) == 2)
    says(it.net.made[1], OK)
    assert (await task).host == "b" and it.net.made[0].aborted


@pytest.mark.parametrize(
    "answer", [WRONG, b"E" + (LONGEST_ERROR + 1).to_bytes(4, "big"), b"Eout of memory\n\0", OK[:1]]
)
def test_every_other_answer_is_the_clients(answer: bytes) -> None:
    @scene
    async def test() -> None:
        it = Scene()
        assert await it.connect(answer) == "a"
        assert it.taken.data == answer

    test()


@scene
async def test_one_that_leaves_without_an_answer_is_passed_over() -> None:
    it = Scene()
    task = it.begin()
    await until(lambda: it.net.made)
    it.net.made[0].lose()
    await until(lambda: len(it.net.made) == 2)
    says(it.net.made[1], OK)
    assert (await task).host == "b" and it.last()["a:1"] == "failed"


@scene
async def test_no_server_at_all() -> None:
    it = Scene()
    it.net.error = ConnectionRefusedError()
    with pytest.raises(Unavailable) as told:
        await it.connect()
    said = "a server for this link is not reachable: a:1: ConnectionRefusedError; b:1: ConnectionRefusedError"
    assert str(told.value) == said and it.dialled == "ab" and not it.taken.made


@scene
async def test_one_that_does_not_answer_is_tried_last_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Scene()
    silent = {"a"}
    dial = Upstream.dial

    async def dials(server: Upstream, protocol: asyncio.Protocol) -> None:
        if server.host in silent:
            raise TimeoutError
        await dial(server, protocol)

    monkeypatch.setattr(Upstream, "dial", dials)
    assert await it.connect(OK) == "b" and it.last()["a:1"] == "timeout"
    silent.clear()
    assert await it.connect(OK) == "b" and [each.host for each in it.it.order] == ["b", "a"]
    monkeypatch.setattr("proxy.net.upstreams.SLOW", 0.0)
    silent.add("b")
    assert await it.connect(OK) == "a" and it.moves == 1  # when there is no other
    assert [each.host for each in it.it.order] == ["a", "b"]


@scene
async def test_one_that_takes_the_packet_and_says_nothing() -> None:
    it = Scene(timeout=0.01)
    with pytest.raises(Unavailable, match="a:1: TimeoutError; b:1: TimeoutError"):
        await it.connect()
    assert [each.aborted for each in it.net.made] == [True, True] and not it.taken.made


@scene
async def test_a_link_that_ends_meanwhile_leaves_nothing_open() -> None:
    it = Scene()
    task = it.begin()
    await until(lambda: it.net.made)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert it.net.made[0].aborted and not it.taken.made and len(it.net.made) == 1
    it.net.shut = True  # not even connected
    task = it.begin()
    await until(lambda: len(it.net.dialled) == 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@scene
async def test_an_answer_in_the_moment_of_the_time_out() -> None:
    """The link has the connection already: no other server may get it too."""
    it = Scene()
    task = it.begin()
    await until(lambda: it.net.made)
    says(it.net.made[0], OK)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not it.net.made[0].aborted
    greeting = Greeting(it.taken, FIRST)
    greeting.connection_made(it.net.made[0])
    greeting.data_received(OK)
    greeting.connection_lost(None)  # too late to be of interest
    assert greeting.handed and greeting.done.result() is None


@scene
async def test_a_time_out_in_that_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Scene()

    async def dial(greeting: Greeting) -> None:
        greeting.connection_made(Transport(greeting))
        greeting.data_received(OK)
        raise TimeoutError

    monkeypatch.setattr(Upstream, "dial", lambda _self, greeting: dial(greeting))
    assert (await it.begin()).host == "a" and it.taken.data == OK


@scene
async def test_a_single_server_is_not_waited_for() -> None:
    net = Net()
    only = Upstreams([Upstream("a", 1, "disable", None, 5.0)])
    taken = Taken()
    assert (await only.connect(taken, b"")).host == "a" and taken.made == net.made and not only.greets
    assert net.made[0].sent == b""
    net.error = OSError()
    with pytest.raises(Unavailable, match="server a:1 is not reachable: OSError"):
        await only.connect(Taken(), b"")


@scene
async def test_a_single_server_may_be_unfit() -> None:
    Net()
    only = Upstreams([Upstream("a", 1, "disable", None, 5.0)], "primary")
    with pytest.raises(Unavailable, match="what it is can't be asked"):
        await only.connect(Taken(), b"")


# ---- others


@pytest.mark.parametrize(
    ("target", "servers", "goes", "asked"),
    [
        ("primary", {"a": STANDBY, "b": PRIMARY}, "b", "ab"),
        ("primary", {"a": PRIMARY, "b": PRIMARY}, "a", "a"),
        ("primary", {"b": PRIMARY}, "b", "ab"),
        ("read-write", {"a": READ_ONLY, "b": PRIMARY}, "b", "ab"),
        ("standby", {"a": PRIMARY, "b": STANDBY}, "b", "ab"),
        ("prefer-standby", {"a": PRIMARY, "b": STANDBY}, "b", "ab"),
        ("prefer-standby", {"a": PRIMARY, "b": PRIMARY}, "a", "ab"),
    ],
)
def test_a_link_goes_to_the_first_that_fits(
    target: Target, servers: dict[str, Standing], goes: str, asked: str
) -> None:
    @scene
    async def test() -> None:
        it = Scene(target, **servers)
        assert await it.connect(OK) == goes
        assert it.dialled == goes and "".join(it.asked) == asked

    test()


@scene
async def test_none_fits() -> None:
    it = Scene("primary", a=STANDBY)
    with pytest.raises(Unavailable) as told:
        await it.connect()
    assert "a:1: is a standby; b:1: what it is can't be asked" in str(told.value)
    assert it.last() == {"a:1": "unfit", "b:1": "unjudged"} and not it.dialled


@scene
async def test_what_a_server_is_counts_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Scene("primary", a=PRIMARY, b=STANDBY)
    tasks = [it.begin() for _ in range(3)]
    await until(lambda: len(it.net.made) == 3)
    for made in it.net.made:
        says(made, OK)
    await asyncio.gather(*tasks)
    assert it.asked == ["a"]
    it.are = {"a": STANDBY, "b": PRIMARY}
    assert await it.connect(OK) == "a"  # nobody knows yet
    monkeypatch.setattr("proxy.net.upstreams.STANDING", 0.0)
    assert await it.connect(OK) == "b" and it.moves == 1


@scene
async def test_what_a_server_was_counts_no_more_when_it_can_not_be_reached() -> None:
    it = Scene("primary", a=PRIMARY)
    it.net.error = ConnectionRefusedError()
    with pytest.raises(Unavailable):
        await it.connect()
    it.net.error = None
    assert await it.connect(OK) == "a" and it.asked == ["a", "b", "a"]


@scene
async def test_one_that_does_not_say_what_it_is_is_tried_last_for_a_while() -> None:
    it = Scene("primary", b=PRIMARY)
    judge = it.judge

    async def silent(server: Upstream) -> Standing:
        if server.host == "a":
            raise TimeoutError
        return await judge(server)

    it.it = Upstreams(it.servers, "primary", silent)
    assert await it.connect(OK) == "b" and [each.host for each in it.it.order] == ["b", "a"]


# ---- the rest


@scene
async def test_links_are_counted_and_cancelled_where_they_are() -> None:
    it = Scene()
    one, two = Link(b"pid1key1"), Link(b"pid2key2")
    it.it.serve(one, it.servers[0])
    it.it.serve(two, it.servers[1])
    assert [each["links"] for each in it.it.told()] == [1, 1]
    cancel = asyncio.get_running_loop().create_task(it.it.cancel(b"lengcodepid2key2"))
    await until(lambda: it.net.made)
    await turns(5)
    it.net.made[0].lose()
    await cancel
    assert it.dialled == "b"
    it.it.leave(two)
    it.it.leave(two)
    assert [each["links"] for each in it.it.told()] == [1, 0]


@scene
async def test_a_key_of_nobody_goes_to_all() -> None:
    it = Scene()
    cancel = asyncio.get_running_loop().create_task(it.it.cancel(b"lengcodepid2key2"))
    await until(lambda: len(it.net.made) == 2)
    for made in it.net.made:
        made.lose()
    await cancel
    assert it.dialled == "ab"


@scene
async def test_new_certificates_are_for_all() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    it = Scene()
    it.it.renew(context)
    assert all(each._context is context for each in it.servers)
