"""The link: what it does with bytes, connections that come and go, answers that come late, and records that don't."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from proxy import tokens
from proxy.errors import Bug
from proxy.net import link as module
from proxy.net.link import HELD_HIGH, LINGER, WRITE_HIGH
from proxy.net.upstream import Upstream
from proxy.net.upstreams import Upstreams
from proxy.observe import REGISTRY
from proxy.session.effects import Pause, Resume, StartTls
from proxy.wire import messages as m
from tests.unit.net.stage import Stage, Transport, turns, until
from tests.unit.session.driver import EMAIL, columns, done, error, kinds, query, ready, row
from tests.vault.kit import asynchronous

INSERT = "insert into customers(id, email) values (1, 'a@b.c')"
SELECT = "select email from customers"


def staged(test: Callable[[Stage], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """With a stage of its own, which must end without a task or a link left."""

    @asynchronous
    async def run() -> None:
        stage = await Stage.open()
        try:
            await test(stage)
        finally:
            await stage.close()
        assert stage.over == [stage.link]

    run.__name__ = test.__name__
    return run


def errors(kind: str) -> float:
    return REGISTRY.get_sample_value("pgveil_errors_total", {"kind": kind}) or 0.0


async def stored(stage: Stage, value: str = "a@b.c") -> bytes:
    """The token of an e-mail address that the vault holds."""
    return (await stage.vault.tokenise([("email", value.encode())]))[0]


def result(token: bytes) -> tuple[bytes, ...]:
    return columns(EMAIL), row(token), done("SELECT 1"), ready()


# ---- connections that come and go


@staged
async def test_with_several_servers_the_start_up_packet_goes_ahead_of_the_rest(stage: Stage) -> None:
    """The server that takes no connections now has seen nothing else, and the link has seen nothing of it."""
    servers = [Upstream(name, 5432, "disable", None, 5.0) for name in ("a", "b")]
    stage.link._upstreams = upstreams = Upstreams(servers)
    stage.startup()
    await until(lambda: stage.net.made)
    first = stage.server.sent
    early = b"p\0\0\0\x05\0"  # a password that nobody has asked for yet
    stage.says(early)
    not_now = m.build_error_response([(b"S", b"FATAL"), (b"C", b"57P03"), (b"M", b"no")])
    stage.server.protocol.data_received(not_now)  # type: ignore[attr-defined]
    await until(lambda: len(stage.net.made) == 2)
    taken = stage.net.made[1]
    assert stage.net.made[0].aborted and taken.sent == first
    answers = m.build_authentication(m.AUTH_OK), m.build_backend_key_data(1, b"1234"), ready()
    taken.protocol.data_received(b"".join(answers))  # type: ignore[attr-defined]
    await until(lambda: upstreams.told()[1]["links"] == 1)
    assert stage.link.key == b"\0\0\0\x011234" and not_now not in stage.client.sent
    assert taken.sent == first + early
    stage.link.abort()
    await until(lambda: stage.over)
    assert upstreams.told()[1]["links"] == 0


@staged
async def test_a_statement_goes_through_and_its_value_becomes_a_token(stage: Stage) -> None:
    await stage.log_in()
    stage.says(query(INSERT))
    await until(lambda: stage.server.sent)
    (sent,) = stage.server.take()
    assert b"a@b.c" not in sent and any(tokens.looks_like(word) for word in sent.split(b"'"))
    stage.replies(done("INSERT 0 1"), ready())
    assert kinds(stage.client.take()) == "CZ"
    stage.link.tick(1.0)
    assert not stage.link._to_server_sent and not stage.link._to_client_sent


@staged
async def test_a_client_that_leaves_while_the_server_is_dialled_leaves_no_connection(stage: Stage) -> None:
    stage.net.shut = True
    stage.startup()
    await until(lambda: stage.net.dialled)
    stage.client.lose()
    await until(lambda: stage.over)
    stage.net.opened.set()
    await turns()
    assert not stage.net.made or stage.server.aborted


@staged
async def test_a_connection_that_is_made_too_late_is_not_kept(stage: Stage) -> None:
    """The client left in the very turn in which the server's connection came up."""
    stage.net.shut = True
    stage.startup()
    await until(lambda: stage.net.dialled)
    stage.client.lose()
    await until(lambda: stage.over)
    late = Transport(stage.link.server)
    stage.link.server.connection_made(late)
    assert late.aborted and late.sent == b""
    await turns()


@staged
async def test_a_link_that_is_closed_while_it_dials_takes_the_connection_down(stage: Stage) -> None:
    stage.net.shut = True
    stage.startup()
    await until(lambda: stage.net.dialled)
    stage.client.stuck = True
    stage.link.drain()
    assert error(stage.client.take()[0])[b"C"] == b"57P01"
    stage.net.opened.set()
    await until(lambda: stage.net.made)
    assert stage.server.aborted and stage.server.sent == b""
    stage.client.lose()
    await until(lambda: stage.over)


@staged
async def test_a_server_that_can_not_be_reached_is_told_and_ends_the_link(stage: Stage) -> None:
    stage.net.error = ConnectionRefusedError()
    stage.startup()
    await until(lambda: stage.client.sent)
    told = error(stage.client.take()[0])
    assert told[b"C"] == b"57P03" and b"ConnectionRefusedError" in told[b"M"]
    await until(lambda: stage.over)


@staged
async def test_a_dial_that_breaks_ends_the_link(stage: Stage) -> None:
    stage.net.error = KeyError("secret")
    before = errors("KeyError")
    stage.startup()
    await until(lambda: stage.over)
    assert stage.client.aborted and errors("KeyError") == before + 1


@staged
async def test_what_is_written_while_the_server_is_dialled_is_bounded(stage: Stage) -> None:
    stage.net.shut = True
    stage.startup()
    await until(lambda: stage.net.dialled)

    answer = b"p" + (60_004).to_bytes(4, "big") + bytes(60_000)
    stage.says(answer * (WRITE_HIGH // 60_000 + 1))
    assert stage.client.paused
    stage.net.opened.set()
    await until(lambda: stage.net.made)
    assert not stage.client.paused and len(stage.server.sent) > WRITE_HIGH


@staged
async def test_the_client_leaves_and_the_server_session_ends(stage: Stage) -> None:
    await stage.log_in()
    stage.link.client.eof_received()
    await until(lambda: stage.over)
    assert stage.server.closing


@staged
async def test_the_server_leaves_and_its_last_words_arrive(stage: Stage) -> None:
    await stage.log_in()
    last = m.build_error_response([(b"S", b"FATAL"), (b"C", b"57P01"), (b"M", b"bye")])
    stage.replies(last)
    stage.server.lose()
    await until(lambda: stage.over)
    assert stage.client.take() == [last]


@staged
async def test_a_peer_that_takes_nothing_is_cut_off(stage: Stage) -> None:
    await stage.log_in()
    stage.client.stuck = True
    stage.server.lose()
    await until(lambda: stage.client.closing)
    linger = stage.link.client._linger
    assert linger is not None and 0 < linger.when() - asyncio.get_running_loop().time() <= LINGER
    await turns()
    assert not stage.over
    linger._run()
    await until(lambda: stage.over)
    assert stage.client.aborted and linger.cancelled()


@staged
async def test_a_terminate_closes_both_ends(stage: Stage) -> None:
    await stage.log_in()
    stage.says(m.build_terminate())
    stage.client.lose()
    await until(lambda: stage.over)
    assert stage.server.closing


# ---- flow


@staged
async def test_one_side_that_takes_nothing_stops_the_other(stage: Stage) -> None:
    await stage.log_in()
    stage.link.client.pause_writing()
    assert stage.server.paused and not stage.client.paused
    stage.link.client.resume_writing()
    stage.link.server.pause_writing()
    assert not stage.server.paused and stage.client.paused
    stage.link.server.resume_writing()
    assert not stage.client.paused


@staged
async def test_values_are_fetched_when_the_client_takes_them(stage: Stage) -> None:
    token = await stored(stage)
    await stage.log_in()
    stage.says(query("select email from customers"))
    await until(lambda: stage.server.sent)
    stage.link.client.pause_writing()
    stage.replies(*result(token))
    await turns()
    assert kinds(stage.client.take()) == "T"
    stage.link.client.resume_writing()
    await until(lambda: stage.client.sent)
    await turns()
    assert kinds(stage.client.take()) == "DCZ"


@staged
async def test_reading_goes_on_when_every_reason_is_gone(stage: Stage) -> None:
    await stage.log_in()
    half = stage.link.server
    half.stop("writes")
    half.stop("session")
    half.go("writes")
    half.go("writes")
    assert stage.server.paused
    half.go("session")
    assert not stage.server.paused
    half.go("session")
    stage.server.closing = True
    half.stop("writes")
    half.go("writes")
    half.close()
    stage.server.closing = False


@staged
async def test_nothing_is_written_to_a_connection_that_closes(stage: Stage) -> None:
    await stage.log_in()
    stage.link.server.close()
    stage.link.server.write(b"nobody")
    assert stage.link.client.eof_received() is False
    stage.link.client.write(b"nobody")


@staged
async def test_a_stop_before_the_connection_is_there_counts_when_it_is(stage: Stage) -> None:
    stage.net.shut = True
    stage.startup()
    stage.link.client.pause_writing()
    stage.net.opened.set()
    await until(lambda: stage.net.made and stage.server.paused)
    stage.link.client.resume_writing()
    assert not stage.server.paused


@staged
async def test_a_stop_that_is_over_before_it_could_count(stage: Stage) -> None:
    stage.startup()
    stage.link.client.pause_writing()
    await until(lambda: stage.net.made)
    stage.link.client.resume_writing()
    await turns()
    assert not stage.server.paused


@staged
async def test_the_session_may_stop_a_side(stage: Stage) -> None:
    await stage.log_in()
    for side, end in (("client", stage.client), ("server", stage.server)):
        stage.link.session.state.effects.append(Pause(side))  # type: ignore[arg-type]
        stage.link.perform()
        assert end.paused
        stage.link.session.state.effects.append(Resume(side))  # type: ignore[arg-type]
        stage.link.perform()
        assert not end.paused


# ---- questions


@staged
async def test_a_client_that_leaves_while_the_vault_is_asked(stage: Stage) -> None:
    await stage.log_in()
    stage.store.slow = True
    stage.says(query(INSERT))
    await until(lambda: stage.store.waiting)
    stage.client.lose()
    await until(lambda: stage.over)
    assert stage.server.closing and stage.server.sent == b""
    stage.store.go()
    await until(lambda: not stage.tasks._running)


@staged
async def test_a_client_that_leaves_while_values_are_read_is_no_audit_event(stage: Stage) -> None:
    token = await stored(stage)
    stage.vault._cache.forget([token])
    await stage.log_in()
    stage.says(query(SELECT))
    await until(lambda: stage.server.sent)
    stage.store.slow = True
    stage.replies(*result(token))
    await until(lambda: stage.store.waiting)
    stage.client.lose()
    await until(lambda: stage.over)
    stage.store.slow = False
    stage.store.go()
    await until(lambda: not stage.tasks._running)
    assert not stage.store.rows and b"a@b.c" not in stage.client.sent


@staged
async def test_a_vault_that_is_gone_refuses_and_the_link_goes_on(stage: Stage) -> None:
    await stage.log_in()
    stage.store.gone = True
    stage.says(query(INSERT))
    await until(lambda: stage.server.sent)
    stage.server.take()
    stage.replies(m.build_error_response([(b"S", b"ERROR"), (b"C", b"0A000"), (b"M", b"x")]), ready())
    frames = stage.client.take()
    assert kinds(frames) == "EZ" and error(frames[0])[b"C"] == b"57P03"


@staged
async def test_an_answer_at_hand_that_fails_refuses(stage: Stage) -> None:
    """A row of the vault that does not open, found in the cache."""
    token = await stored(stage)
    await stage.log_in()
    entry = stage.vault._cache.get(token)
    assert entry is not None
    broken = type(entry)(entry.token, "phone", entry.key_id, entry.version, entry.created, entry.mac, entry.sealed)
    stage.vault._cache.forget([token])
    stage.vault._cache.add([(token, broken)])
    stage.says(query(SELECT))
    await until(lambda: stage.server.sent)
    stage.replies(*result(token))
    await until(lambda: stage.client.sent)
    assert b"a@b.c" not in stage.client.sent and b"57P03" in stage.client.sent


@staged
async def test_an_answer_that_breaks_ends_this_link_with_its_text_told_to_nobody(
    stage: Stage,
) -> None:
    await stage.log_in()
    stage.store.fault = Bug("a@b.c")
    stage.says(query(INSERT))
    await until(lambda: stage.over)
    assert stage.client.aborted and stage.client.sent == b""


@staged
async def test_a_session_that_breaks_ends_this_link(stage: Stage) -> None:
    await stage.log_in()
    before = errors("ZeroDivisionError")

    def broken(data: object = None) -> None:
        raise ZeroDivisionError("a@b.c")

    stage.link.run(broken)
    stage.says(query("select 1"))
    stage.link.tick(1.0)
    assert stage.server.sent == b"" and errors("ZeroDivisionError") == before + 1
    await until(lambda: stage.over)


@staged
async def test_tls_that_nobody_asked_for_is_a_bug(stage: Stage) -> None:
    await stage.log_in()
    stage.link.session.state.effects.append(StartTls("client"))
    stage.link.run(stage.link.perform)
    stage.link.session.state.effects.append("nonsense")  # type: ignore[arg-type]
    stage.link.run(stage.link.session.tick, 0.0)
    await until(lambda: stage.over)


# ---- the gate


@staged
async def test_nothing_is_shown_before_its_record_is_durable(stage: Stage) -> None:
    token = await stored(stage)
    await stage.log_in()
    stage.says(query(SELECT))
    await until(lambda: stage.server.sent)
    stage.store.slow = True
    stage.replies(*result(token))
    await until(lambda: stage.store.waiting)
    assert b"a@b.c" not in stage.client.sent and not stage.store.rows
    stage.store.go()
    await until(lambda: b"a@b.c" in stage.client.sent)
    assert stage.store.rows and kinds(stage.client.take()) == "TDCZ"


@staged
async def test_gates_open_in_order(stage: Stage) -> None:
    await stage.log_in()
    first, second = module.Gate(), module.Gate()
    stage.link._queue += [first, b"one", second, b"two"]
    stage.link._queued = 6
    second.open = True
    stage.link._drain()
    assert stage.client.sent == b""
    first.open = True
    stage.link._drain()
    assert stage.client.sent == b"onetwo" and stage.link._queued == 0


@staged
async def test_much_behind_a_gate_stops_the_server(stage: Stage) -> None:
    await stage.log_in()
    gate = module.Gate()
    stage.link._queue.append(gate)
    stage.link._to_client(bytes(HELD_HIGH + 1))
    assert stage.server.paused and stage.client.sent == b""
    gate.open = True
    stage.link._drain()
    assert not stage.server.paused and len(stage.client.sent) == HELD_HIGH + 1


@staged
async def test_a_record_that_can_not_be_written_shows_nothing(stage: Stage) -> None:
    token = await stored(stage)
    await stage.log_in()
    stage.says(query(SELECT))
    await until(lambda: stage.server.sent)
    stage.store.gone = True
    stage.replies(*result(token))
    await until(lambda: stage.over)
    assert b"a@b.c" not in stage.client.sent
    assert error(stage.client.take()[-1])[b"C"] == b"57P03"


@staged
async def test_a_record_that_breaks_shows_nothing_and_ends_the_link(stage: Stage) -> None:
    token = await stored(stage)
    await stage.log_in()
    stage.says(query(SELECT))
    await until(lambda: stage.server.sent)
    stage.store.fault = Bug("no")
    stage.replies(*result(token))
    await until(lambda: stage.over)
    assert b"a@b.c" not in stage.client.sent


@staged
async def test_a_server_that_leaves_behind_a_result_closes_when_it_is_shown(stage: Stage) -> None:
    token = await stored(stage)
    await stage.log_in()
    stage.says(query(SELECT))
    await until(lambda: stage.server.sent)
    stage.store.slow = True
    stage.replies(*result(token))
    stage.server.lose()
    await until(lambda: stage.store.waiting)
    assert not stage.client.closing
    stage.store.go()
    await until(lambda: stage.over)
    assert b"a@b.c" in stage.client.sent


@staged
async def test_a_record_that_fails_behind_the_servers_end_shows_nothing(stage: Stage) -> None:
    token = await stored(stage)
    await stage.log_in()
    stage.says(query(SELECT))
    await until(lambda: stage.server.sent)
    stage.store.slow = stage.store.gone = True
    stage.replies(*result(token))
    stage.server.lose()
    await until(lambda: stage.store.waiting)
    stage.store.go()
    await until(lambda: stage.over)
    assert b"a@b.c" not in stage.client.sent


# ---- cancel


@pytest.mark.parametrize("leaves", [False, True])
def test_a_cancel_request_ends_when_the_server_has_taken_it(leaves: bool) -> None:
    @staged
    async def test(stage: Stage) -> None:
        packet = m.build_cancel_request(1, b"1234")
        stage.says(packet)
        await until(lambda: stage.net.made)
        await turns()
        assert stage.server.sent == packet and not stage.client.closing
        if leaves:
            stage.client.lose()
            await until(lambda: stage.over)
        stage.server.lose()
        await until(lambda: stage.over)

    test()


@staged
async def test_a_cancel_request_while_the_server_is_down_closes(stage: Stage) -> None:
    stage.net.error = ConnectionRefusedError()
    stage.says(m.build_cancel_request(1, b"1234"))
    await until(lambda: stage.over)
    assert stage.client.sent == b""


# ---- sockets


class Socket:
    """A socket as far as options go."""

    def __init__(self, family: int, gone: bool = False) -> None:
        self.family = family
        self.gone = gone
        self.options: list[tuple[int, int, int]] = []

    def setsockopt(self, *option: int) -> None:
        if self.gone:
            raise OSError(22, "Invalid argument")
        self.options.append(option)  # type: ignore[arg-type]


def test_the_kernel_looks_after_silent_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def kept(family: int, gone: bool = False) -> list[tuple[int, int, int]]:
        transport = Transport(asyncio.Protocol())
        transport._extra["socket"] = found = Socket(family, gone)
        module._keep_alive(transport)
        return found.options

    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in kept(socket.AF_INET6)
    assert kept(socket.AF_UNIX) == [] and kept(socket.AF_INET, gone=True) == []
    monkeypatch.setattr(module, "KEEPALIVE", (("TCP_OF_ANOTHER_SYSTEM", 1),))
    assert len(kept(socket.AF_INET)) == 1


# ---- a link's share


@staged
async def test_a_link_asks_for_no_more_than_its_share_at_once(stage: Stage) -> None:
    """What is beyond waits in the link, not in the vault's queue before other links."""
    await stage.log_in()
    stage.store.slow = True
    most = module.VALUES_AT_ONCE // module.VALUES_EACH
    stage.says(*[query(INSERT.replace("a@b.c", f"u{number}@b.c")) for number in range(most + 3)])
    await until(lambda: len(stage.link._unasked) == 3 and stage.store.waiting)
    assert stage.link._asked == module.VALUES_AT_ONCE and stage.server.sent == b""
    stage.store.slow = False
    stage.store.go()
    await until(lambda: kinds(stage.server.take()) and not stage.link._asked)
    assert len(stage.store.entries) == most + 3 and not stage.link._unasked


@staged
async def test_what_a_link_that_ended_would_have_asked_is_not_asked(stage: Stage) -> None:
    await stage.log_in()
    stage.store.slow = True
    most = module.VALUES_AT_ONCE // module.VALUES_EACH
    stage.says(*[query(INSERT.replace("a@b.c", f"u{number}@b.c")) for number in range(most + 3)])
    await until(lambda: stage.link._unasked and stage.store.waiting)
    stage.client.lose()
    await until(lambda: stage.over)
    stage.store.slow = False
    stage.store.go()
    await until(lambda: not stage.link._asked)
    assert len(stage.store.entries) == most and not stage.link._unasked


def test_one_question_larger_than_a_share_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VALUES_AT_ONCE", 10)

    @staged
    async def test(stage: Stage) -> None:
        await stage.log_in()
        stage.says(query("insert into customers(id, email) values (1, 'a@b.c'), (2, 'b@b.c')"))
        await until(lambda: stage.server.sent)
        assert len(stage.store.entries) == 2

    test()


@staged
async def test_records_that_wait_are_written_together_and_open_their_gates_in_order(stage: Stage) -> None:
    token = await stored(stage)
    await stage.log_in()
    stage.says(*[query(SELECT)] * 150)
    await until(lambda: stage.server.sent.count(b"select email") == 150)
    stage.store.slow = True
    for _ in range(150):
        stage.replies(*result(token))
        await turns(2)
    await until(lambda: len(stage.link._shut) == 3 and len(stage.store.waiting) == 1)
    assert [len(gate.events) for gate in stage.link._shut] == [module.EVENTS_AT_ONCE, module.EVENTS_AT_ONCE, 21]
    assert b"a@b.c" not in stage.client.sent
    stage.store.go()
    await until(lambda: stage.client.sent.count(b"a@b.c") == 1)
    while stage.link._recording:
        await until(lambda: stage.store.waiting or not stage.link._recording)
        if stage.store.waiting:
            stage.store.go()
    assert stage.client.sent.count(b"a@b.c") == 150
    assert kinds(stage.client.take()) == "TDCZ" * 150


@staged
async def test_nothing_stands_behind_a_gate_that_was_given_up(stage: Stage) -> None:
    token = await stored(stage)
    await stage.log_in()
    stage.says(query(SELECT), query(SELECT), query(SELECT))
    await until(lambda: stage.server.sent.count(b"select email") == 3)
    stage.store.slow = stage.store.gone = True
    stage.replies(*result(token))
    await until(lambda: stage.store.waiting)
    stage.replies(*result(token))
    await until(lambda: stage.link._shut)
    (waiting,) = stage.link._shut
    stage.link._withhold()
    stage.replies(*result(token))
    await until(lambda: len(stage.link._shut) == 2)
    assert waiting.open and stage.link._shut[1] in stage.link._queue
    stage.store.slow = False
    stage.store.go()
    await until(lambda: stage.over)
    assert b"a@b.c" not in stage.client.sent


@staged
async def test_a_long_pipeline_goes_on_by_turns(stage: Stage) -> None:
    token = await stored(stage)
    await stage.log_in()
    stage.says(query(SELECT))
    await until(lambda: stage.server.take())
    stage.replies(columns(EMAIL), done("SELECT 0"), ready())
    stage.says(*[query(SELECT)] * 200)
    sent = stage.server.sent.count(b"select email")
    assert 0 < sent < 200
    await until(lambda: stage.server.sent.count(b"select email") == 200)
    stage.replies(*[b"".join(result(token))] * 200)
    assert stage.client.sent.count(b"a@b.c") < 200
    await until(lambda: stage.client.sent.count(b"a@b.c") == 200)
