"""Settings under the rules of SET: transactions, LOCAL, DEFAULT, and what the server reports."""

import pytest

from proxy.session.settings import UNKNOWN, Followed, Settings


def test_a_commit_keeps_and_a_rollback_brings_back() -> None:
    one = Followed("d")
    one.set("x", False)
    one.end(True)
    one.set("y", False)
    assert one.touched
    one.end(False)
    assert (one.value, one.touched) == ("x", False)


def test_local_ends_with_the_transaction() -> None:
    one = Followed("d")
    one.set("x", False)
    one.set("y", True)
    assert one.value == "y"
    one.end(True)
    assert one.value == "x"


def test_default_and_lost() -> None:
    one = Followed("d")
    one.set("x", False)
    one.set(None, False)
    assert one.value == "d"
    one.lose()
    one.end(True)
    assert one.value == UNKNOWN
    one.end(False)
    assert one.value == UNKNOWN


@pytest.mark.parametrize(
    ("client", "server", "codec"),
    [
        ("UTF8", "UTF8", ""),
        ("utf8", "UTF8", ""),
        ("LATIN1", "UTF8", "iso8859-1"),
        ("SQL_ASCII", "UTF8", ""),
        ("SQL_ASCII", "SQL_ASCII", ""),
        ("SQL_ASCII", "LATIN1", None),
        ("SJIS", "UTF8", None),
    ],
)
def test_codecs(client: str, server: str, codec: str | None) -> None:
    settings = Settings()
    settings.report("client_encoding", client)
    settings.report("server_encoding", server)
    if codec:
        assert settings.codec and "é".encode(settings.codec) == "é".encode(codec)
        assert settings.literal_reading.client_encoding == "" != settings.reading.client_encoding
    else:
        assert settings.codec == codec


def test_reading_follows_reports() -> None:
    settings = Settings()
    assert settings.reading is settings.reading is settings.literal_reading
    settings.report("DateStyle", "SQL, DMY")
    settings.report("TimeZone", "Asia/Tokyo")
    assert (settings.reading.date_style, settings.reading.time_zone) == ("SQL, DMY", "Asia/Tokyo")
    assert settings.conforming
    settings.report("standard_conforming_strings", "off")
    assert not settings.conforming


def test_a_path_that_is_no_list_is_not_known() -> None:
    settings = Settings()
    settings.move_path('a, "b', False)
    assert settings.path() is None


def test_a_report_of_the_path_counts_from_ready_for_query_on() -> None:
    settings = Settings()
    settings.report("search_path", "a")
    settings.move_path("b", False)
    assert settings.path() == ("b",) and settings.moving
    settings.report("search_path", "b, c")
    settings.ready(False)
    assert settings.path() == ("b", "c")
    settings.end(True)
    settings.ready(True)
    assert settings.path() == ("b", "c") and not settings.moving


def test_a_reading_setting_is_unreported_until_ready_for_query_and_again_when_its_transaction_ends() -> None:
    settings = Settings()
    settings.move_reading()
    settings.ready(False)
    assert not settings.unreported and settings.moving
    settings.end(False)
    assert settings.unreported and not settings.moving


def test_when_anything_may_have_been_set_nothing_is_known() -> None:
    settings = Settings()
    settings.move_path("a", False)
    settings.purpose.set("support", False)
    settings.end(True)
    settings.ready(True)
    assert (settings.path(), settings.declared_purpose) == (("a",), "support")
    settings.lose()
    assert (settings.path(), settings.declared_purpose) == (None, "")
    assert settings.unreported and settings.moving
    settings.end(False)
    assert (settings.path(), settings.declared_purpose) == (("a",), "support"), "undone by the rollback"
    settings.lose()
    settings.end(True)
    settings.report("search_path", "b")
    settings.ready(True)
    assert settings.path() == ("b",), "the server says what it is (version 18)"
    assert settings.declared_purpose == "", "nobody does"


@pytest.mark.parametrize(("encoding", "bytes_"), [("UTF8", True), ("LATIN1", False), ("SQL_ASCII", False)])
def test_escapes_are_bytes_of_utf8_only_where_the_servers_encoding_is_that(encoding: str, bytes_: bool) -> None:
    settings = Settings()
    assert settings.byte_escapes
    settings.report("server_encoding", encoding)
    assert settings.byte_escapes is bytes_
