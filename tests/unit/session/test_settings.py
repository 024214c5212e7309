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


# ---- who it is ------------------------------------------------------------------------------------------------------


def roles(*moves: tuple[str, str | None]) -> tuple[str, ...] | None:
    one = Settings()
    one.user = "ann"
    one.search_path.report('"$user"')
    for name, value in moves:
        one.move_role(name, value, False)
    return one.path()


@pytest.mark.parametrize(
    ("moves", "path"),
    [
        ([], ("ann",)),
        ([("role", "bob")], ("bob",)),
        ([("role", "bob"), ("role", "none")], ("ann",)),
        ([("role", "bob"), ("role", "NONE")], ("ann",)),
        ([("role", "bob"), ("role", None)], ("ann",)),
        ([("session_authorization", "bob")], ("bob",)),
        ([("session_authorization", "bob"), ("role", "none")], None),
        ([("session_authorization", "bob"), ("session_authorization", None)], ("ann",)),
        ([("session_authorization", "none")], ("none",)),
    ],
)
def test_user_is_who_the_session_is_now(moves: list[tuple[str, str | None]], path: tuple[str, ...] | None) -> None:
    assert roles(*moves) == path


def test_a_role_is_set_under_the_rules_of_set() -> None:
    one = Settings()
    one.user = "ann"
    one.search_path.report('"$user"')
    one.move_role("role", "bob", True)
    assert one.moving and one.path() == ("bob",)
    one.end(True)
    assert not one.moving and one.path() == ("ann",)
    one.move_role("role", "bob", False)
    one.end(False)
    assert one.path() == ("ann",)
    one.lose()
    one.search_path.report("a, public")
    assert one.path() == ("a", "public"), "a path without $user does not depend on it"


def test_whose_rights_count() -> None:
    one = Settings()
    assert one.current_role is None
    one.user = "ann"
    assert one.current_role == "ann"
    one.move_role("role", "ben", False)
    assert one.current_role == "ben"
    one.lose()
    assert one.current_role is None
