"""Certificates as files, their faults, new ones in a running process; handshakes of OpenSSL with itself, in memory."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from proxy.config import ClientTls, ServerTls, Tls
from proxy.documents import Faults
from proxy.net.check import check_tls
from proxy.net.link import Link
from proxy.net.tls import Certificates, Identity, contexts
from proxy.observe import REGISTRY
from proxy.session.state import CLOSED
from proxy.wire import messages as m
from tests.kit.certificates import Authority
from tests.unit.net.stage import Shaken, Stage, turns, until
from tests.unit.session.driver import kinds
from tests.vault.kit import asynchronous

OFF = ServerTls(mode="disable")
SSL = m.build_encryption_request(m.SSL_CODE)


def clients(cert: str, key: str, ca: Path | str | None = None, server: ServerTls = OFF) -> Tls:
    return Tls(client=ClientTls(cert=cert, key=key, ca=None if ca is None else str(ca)), server=server)


def identity(tls: Tls) -> Identity:
    found = contexts(tls).client
    assert found is not None
    return found


def faults(tls: Tls) -> list[str]:
    with pytest.raises(Faults) as told:
        contexts(tls)
    assert all(each.advice for each in told.value.faults)
    assert [finding.message for finding in check_tls(tls)] == [each.message for each in told.value.faults]
    return [str(each) for each in told.value.faults]


# ---- files


def test_no_certificate_no_tls() -> None:
    found = contexts(Tls(server=OFF))
    assert found.client is None and found.server is None and check_tls(Tls(server=OFF)) == []


def test_what_clients_are_offered(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("own")
    found = identity(clients(cert, key))
    assert found.context.minimum_version == ssl.TLSVersion.TLSv1_2 and found.context.verify_mode == ssl.CERT_NONE
    assert found.context.options & ssl.OP_NO_RENEGOTIATION and found.context.num_tickets == 0
    assert x509.load_der_x509_certificate(found.certificate).subject.rfc4514_string() == "CN=own"
    assert identity(clients(cert, key, authority.ca)).context.verify_mode == ssl.CERT_OPTIONAL


@pytest.mark.parametrize(
    ("mode", "ca", "verify", "name"),
    [
        ("prefer", False, ssl.CERT_NONE, False),
        ("require", False, ssl.CERT_NONE, False),
        ("require", True, ssl.CERT_REQUIRED, False),  # as libpq has it
        ("verify-ca", False, ssl.CERT_REQUIRED, False),
        ("verify-full", True, ssl.CERT_REQUIRED, True),
    ],
)
def test_tls_to_the_server_as_libpq_has_it(mode: Any, ca: bool, verify: int, name: bool, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("pgveil")
    given = ServerTls(mode=mode, ca=str(authority.ca) if ca else None, cert=cert, key=key)
    context = contexts(Tls(server=given)).server
    assert context is not None and (context.verify_mode, context.check_hostname) == (verify, name)


def test_all_faults_of_all_files_at_once(tmp_path: Path) -> None:
    (tmp_path / "rubbish").write_text("no certificate")
    (tmp_path / "empty").write_text("")
    rubbish, empty, none = (str(tmp_path / each) for each in ("rubbish", "empty", "none"))
    told = faults(clients(none, rubbish, rubbish, ServerTls(mode="require", cert=rubbish, key=none, ca=empty)))
    assert told == [
        f"{none}: 'tls.client.cert' can't be read: No such file or directory (give a PEM file that pgveil may read)",
        f"{rubbish}: 'tls.client.key' holds no private key (it has to be PEM: BEGIN PRIVATE KEY)",
        f"{rubbish}: 'tls.client.ca' holds no certificate (it has to be PEM: BEGIN CERTIFICATE)",
        f"{empty}: 'tls.server.ca' is empty (give the CA's certificate as PEM)",
        f"{rubbish}: 'tls.server.cert' holds no certificate (it has to be PEM: BEGIN CERTIFICATE)",
        f"{none}: 'tls.server.key' can't be read: No such file or directory (give a PEM file that pgveil may read)",
    ]


def test_a_key_that_can_not_be_used(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("own")
    _, other = authority.issue("other")
    (told,) = faults(clients(cert, other))
    assert "KEY_VALUES_MISMATCH" in told and other in told
    cert, key = authority.issue("locked", passphrase=b"x")
    (told,) = faults(clients(cert, key))
    assert told.startswith(f"{key}: 'tls.client.key' has a passphrase")
    (tmp_path / "empty").write_text("")
    (told,) = faults(clients(str(tmp_path / "empty"), str(authority.issue("third")[1])))
    assert "'tls.client.cert' is empty" in told


# ---- new files


def reloads(outcome: str) -> float:
    return REGISTRY.get_sample_value("pgveil_certificate_reloads_total", {"outcome": outcome}) or 0.0


def test_new_certificates_count_when_they_are_whole(tmp_path: Path) -> None:
    cert, key = Authority(tmp_path).issue("own")
    own = Certificates(clients(cert, key, None, ServerTls(mode="require")))
    changed: list[object] = []
    own.changed = changed.append
    before, first = reloads("loaded"), own.client
    own.look()
    Authority(tmp_path).issue("own")
    own.look()
    assert own.client is first, "it may be half of a copy"
    own.look()
    assert own.client is not first and changed == [own.server] and own.server is not None
    second = own.client
    own.look()
    own.look(True)
    assert own.client is second and reloads("loaded") == before + 1


def test_a_bad_one_keeps_the_old_and_shouts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cert, key = Authority(tmp_path).issue("own")
    own = Certificates(clients(cert, key))
    good, before = own.client, reloads("failed")
    saved = Path(cert).read_bytes()
    Path(cert).write_text("half of")
    own.look(True)
    assert own.client is good and own.faults[0].startswith(f"{cert}: ") and reloads("failed") == before + 1
    assert [record.msg for record in caplog.records] == ["certificate-fault"]
    own.look()
    own.look()
    assert reloads("failed") == before + 1, "told once"
    own.look(True)
    assert reloads("failed") == before + 2, "told again to who asks"
    Path(cert).unlink()
    own.look(True)
    assert "can't be read" in own.faults[0] and own.client is good
    Path(cert).write_bytes(saved)
    own.look(True)
    assert own.faults == () and own.client is not None


# ---- a link's handshake


def secure(test: Callable[[Stage], Coroutine[Any, Any, None]]) -> Callable[[Path], None]:
    def run(tmp_path: Path) -> None:
        @asynchronous
        async def inner() -> None:
            stage = await Stage.open(identity=identity(clients(*Authority(tmp_path).issue("own"))))
            try:
                await test(stage)
            finally:
                await stage.close()
            assert stage.over == [stage.link]

        inner()

    run.__name__ = test.__name__
    return run


def peer(file: Path, **subject: str) -> bytes:
    cert, _ = Authority(file).issue("client", **subject)
    return x509.load_pem_x509_certificate(Path(cert).read_bytes()).public_bytes(x509_der())


def x509_der() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


def principal(link: Link) -> str:
    return link.session.state.tls_subject


async def shaken(stage: Stage, certificate: bytes | None = None) -> None:
    stage.net.shaken = Shaken(certificate, "postgresql")
    stage.says(SSL)
    await until(lambda: stage.link._secure)
    await turns(3)
    assert stage.client.sent == b"S" and stage.net.tls == [None]
    stage.client.sent = b""


@secure
async def test_ssl_request_is_answered_and_the_link_goes_on_with_tls(stage: Stage) -> None:
    await shaken(stage)
    assert principal(stage.link) == ""
    await stage.log_in()
    assert stage.net.made and not stage.link.session.bound


def test_the_subject_of_a_certificate(tmp_path: Path) -> None:
    given = peer(tmp_path, O="Example, Ltd", CN="shop")

    @secure
    async def test(stage: Stage) -> None:
        await shaken(stage, given)
        assert principal(stage.link) == "CN=shop,O=Example\\, Ltd"

    test(tmp_path)


@secure
async def test_a_subject_that_can_not_be_read_is_no_subject(stage: Stage) -> None:
    stage.net.shaken = Shaken(b"no certificate", "postgresql")
    stage.says(SSL)
    await until(lambda: stage.over)
    assert stage.client.aborted and stage.link.outcome == "fault"


@secure
async def test_what_comes_with_the_handshakes_end_waits_for_it(stage: Stage) -> None:
    startup = m.build_startup(m.PROTOCOL_3_0, [(b"user", b"shop"), (b"database", b"shop")])
    stage.net.hasty = [startup[:5], startup[5:]]
    await shaken(stage)
    await until(lambda: stage.net.made)
    assert stage.server.sent == startup


@secure
async def test_a_connection_that_is_closed_in_the_handshake(stage: Stage) -> None:
    stage.says(SSL)  # nothing was shaken
    await until(lambda: stage.over)
    assert stage.client.aborted and stage.link.session.state.phase == CLOSED


@secure
async def test_a_handshake_that_fails(stage: Stage) -> None:
    stage.net.tls_error = ssl.SSLError("with a name in it")
    stage.says(SSL)
    await until(lambda: stage.over)
    assert stage.client.aborted and stage.client.sent == b"S" and stage.link.outcome == "fault"


@secure
async def test_a_handshake_that_breaks(stage: Stage) -> None:
    stage.net.tls_error = ZeroDivisionError()
    stage.says(SSL)
    await until(lambda: stage.over)
    assert stage.client.aborted and stage.link.outcome == "failed"


@secure
async def test_nothing_is_said_in_the_middle_of_a_handshake(stage: Stage) -> None:
    stage.net.shaking = asyncio.Event()
    stage.says(SSL)
    assert stage.client.paused, "at once: what follows is no longer ours to read"
    await until(lambda: stage.net.tls)
    stage.link.drain()
    assert stage.client.sent == b"S" and stage.client.aborted
    stage.net.shaking.set()
    await until(lambda: stage.over)


@secure
async def test_a_handshake_ends_with_the_program(stage: Stage) -> None:
    stage.net.shaking = asyncio.Event()
    stage.says(SSL)
    await until(lambda: stage.net.tls)
    await stage.tasks.cancel()
    assert stage.client.aborted and stage.over


@secure
async def test_a_client_that_leaves_as_the_handshake_is_done(stage: Stage) -> None:
    stage.net.shaken = Shaken()
    stage.says(SSL)
    handshake = stage.link._handshake
    assert handshake is not None
    handshake.eof_received()
    handshake.connection_lost(None)
    await until(lambda: stage.over)


@secure
async def test_a_loss_that_comes_late_comes_through(stage: Stage) -> None:
    await shaken(stage)
    handshake = stage.link._handshake
    assert handshake is not None
    handshake.connection_lost(None)
    await until(lambda: stage.over)


@secure
async def test_a_server_with_our_certificate_can_bind_the_channel(stage: Stage) -> None:
    await shaken(stage)
    handshake = stage.link._handshake
    assert handshake is not None
    stage.net.shut = True
    stage.startup()
    await until(lambda: stage.net.dialled)
    stage.net.opened.set()
    await until(lambda: stage.net.made)
    stage.server.shaken = Shaken(handshake.identity.certificate)
    stage.link.connected(stage.link.server)
    assert stage.link.session.bound
    stage.replies(m.build_sasl_mechanisms([b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"]))
    assert kinds(stage.client.take()) == "R"


@secure
async def test_a_plaintext_client_of_a_server_that_offers_tls(stage: Stage) -> None:
    await stage.log_in()
    assert not stage.link.session.bound and not stage.net.tls


@asynchronous
async def test_tls_that_is_not_offered() -> None:
    stage = await Stage.open()
    stage.says(SSL)
    assert stage.client.sent == b"N"
    stage.says(b"\x16\x03\x01\0")  # as a start-up packet it has an impossible length: the end, as from the server
    assert stage.client.sent == b"N" and stage.link.outcome == "fault"
    await stage.close()
