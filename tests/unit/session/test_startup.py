"""What the StartupMessage says of settings, and which links are none of ours."""

import pytest

from proxy.session.settings import UNKNOWN, Settings
from proxy.session.startup import default_path, is_physical, note_startup, split_options, without_channel_binding


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", {}),
        ("-c a=b -cc.d=e --f-g=h", {"a": "b", "c.d": "e", "f_g": "h"}),
        (r"-c pgveil.purpose=a\ b\\c", {"pgveil.purpose": r"a b\c"}),
        ("-c Search_Path=x,y -c search_path=z", {"search_path": "z"}),
        ("-c", {}),
        ("-c noequals --also", {}),
        ("-d 5 loose", {}),
        ("-c a=", {"a": ""}),
    ],
)
def test_peer_failure_73_options(options: str, found: dict[str, str]) -> None:
    assert split_options(options) == found


def test_settings_as_parameters_win_over_options() -> None:
    settings = Settings()
    note_startup(
        settings, {"user": "u", "options": "-c search_path=a -c pgveil.purpose=p", "Search_Path": '"$user", b'}
    )
    assert (settings.path(), settings.purpose.value) == (("u", "b"), "p")


def test_the_default_path_counts_where_none_was_given() -> None:
    settings = Settings()
    default_path(settings, ("a", 'b"c'))
    assert settings.path() == ("a", 'b"c')
    default_path(settings, ("x",))
    assert settings.path() == ("a", 'b"c')
    settings.search_path.set(None, False)
    assert settings.path() == ("a", 'b"c')
    assert Settings().search_path.value == UNKNOWN and Settings().path() is None


def test_without_options_nothing_is_known_and_no_purpose_is_declared() -> None:
    settings = Settings()
    note_startup(settings, {"user": "u", "database": "d"})
    assert (settings.path(), settings.declared_purpose, settings.user) == (None, "", "u")


def test_a_path_that_the_server_reports_wins_over_the_default() -> None:
    """From version 18 on it is reported, whoever set it: role, database, options."""
    settings = Settings()
    note_startup(settings, {"user": "u", "options": "-c search_path=a"})
    settings.report("search_path", "b, c")
    default_path(settings, ("d",))
    assert settings.path() == ("b", "c")


@pytest.mark.parametrize("value", [b"true", b"ON", b"1", b"y"])
def test_physical(value: bytes) -> None:
    assert is_physical(((b"replication", value),))
    assert not is_physical(((b"replication", b"database"), (b"replication", value)))


@pytest.mark.parametrize("value", [b"", b"0", b"database", b"o", b"Database"])
def test_not_physical(value: bytes) -> None:
    assert not is_physical(((b"replication", value),))
    assert not is_physical(((b"user", b"true"),))


def test_mechanisms() -> None:
    assert without_channel_binding([b"A-PLUS", b"A", b"B"]) == [b"A", b"B"]
