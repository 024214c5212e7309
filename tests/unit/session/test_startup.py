"""What the StartupMessage says of settings, and which links are none of ours."""

import pytest

from proxy.session.settings import UNKNOWN, Settings
from proxy.session.startup import (
    believes_unbound,
    default_path,
    distrust,
    is_command,
    is_logical,
    is_physical,
    note_startup,
    split_options,
    without_channel_binding,
)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", []),
        ("-c a=b -cc.d=e --f-g=h-i", [("a", "b"), ("c.d", "e"), ("f_g", "h-i")]),
        ("-c work-mem=1", [("work_mem", "1")]),
        (r"-c pgveil.purpose=a\ b\\c", [("pgveil.purpose", r"a b\c")]),
        ("-c Search_Path=x,y -c search_path=z", [("search_path", "x,y"), ("search_path", "z")]),
        ("-c a=", [("a", "")]),
        ("-c a=\u00a0-cb=c", [("a", "\u00a0-cb=c")]),
        ("-c\va=b\f-cc=d", [("a", "b"), ("c", "d")]),
    ],
)
def test_peer_failure_73_options(options: str, found: list[tuple[str, str]]) -> None:
    assert split_options(options) == (found, True)


@pytest.mark.parametrize(
    "options", ["-c", "-c noequals", "--also", "-d 5 loose", "-D -csearch_path=x", "-ecsearch_path=x", "-S 4", "x"]
)
def test_options_that_are_not_all_understood(options: str) -> None:
    """A switch may take what follows as its argument: nothing is certain, the catalog's path does not count."""
    assert split_options(options)[1] is False
    settings = started(user="u", options="-c search_path=a " + options)
    default_path(settings, "d", False)
    assert settings.path() is None and settings.role.value == UNKNOWN
    settings.report("search_path", "b")
    default_path(settings, "d", False)
    assert settings.path() == ("b",)


def started(*more: tuple[str, str], **params: str) -> Settings:
    settings = Settings()
    note_startup(settings, (*params.items(), *more))
    return settings


def test_settings_as_parameters_win_over_options() -> None:
    settings = started(
        ("Search_Path", '"$user", b'), user="u", options="-c search_path=a -c search_path=c -c pgveil.purpose=p"
    )
    assert (settings.path(), settings.purpose.value) == (("u", "b"), "p")


def test_of_what_is_given_twice_the_last_counts() -> None:
    assert started(("SEARCH_PATH", "b"), ("search_path", "c"), search_path="a").path() == ("c",)
    assert started(("search_path", "b"), ("SEARCH_PATH", "c")).path() == ("c",)


def test_the_default_path_counts_where_none_was_given() -> None:
    settings = started(user="u")
    default_path(settings, 'a, "b""c", "$user"', False)
    assert settings.path() == ("a", 'b"c', "u")
    settings.search_path.set(None, False)
    assert settings.path() == ("a", 'b"c', "u")
    given = started(user="u", search_path="x")
    default_path(given, "a", False)
    assert given.path() == ("x",)
    assert Settings().search_path.value == UNKNOWN and Settings().path() is None


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"role": "tenant"}, ("tenant", "public")),
        ({"options": "-c role=tenant"}, ("tenant", "public")),
        ({"options": "-c session_authorization=tenant"}, None),
        ({}, ("u", "public")),
    ],
)
def test_who_a_session_starts_as(params: dict[str, str], path: tuple[str, ...] | None) -> None:
    """ "$user" is the current user (namespace.c recomputeNamespacePath)."""
    settings = started(user="u", **params)
    default_path(settings, '"$user", public', False)
    assert settings.path() == path
    settings.move_role("role", "other", False)
    settings.move_role("role", None, False)
    assert settings.path() == path, "RESET ROLE goes back to it"


def test_a_session_that_the_catalog_starts_as_another_role() -> None:
    settings = started(user="u")
    default_path(settings, '"$user", public', True)
    assert settings.path() is None
    settings = started(user="u", role="x")
    default_path(settings, '"$user"', True)
    assert settings.path() == ("x",), "the client's wins"


@pytest.mark.parametrize("text", ["Äb", "x" * 64, '"' + "ä" * 32 + '"', '"'])
def test_a_path_that_only_the_server_can_read(text: str) -> None:
    assert started(user="u", search_path=text).path() is None


def test_without_options_nothing_is_known_and_no_purpose_is_declared() -> None:
    settings = started(user="u", database="d")
    assert (settings.path(), settings.declared_purpose, settings.user) == (None, "", "u")


def test_a_path_that_the_server_reports_wins_over_the_default() -> None:
    """From version 18 on it is reported, whoever set it: role, database, options."""
    settings = started(user="u", options="-c search_path=a")
    settings.report("search_path", "b, c")
    default_path(settings, "d", False)
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


@pytest.mark.parametrize(
    ("flag", "expected"), [(b"y,,", True), (b"n,,", False), (b"p=tls-server-end-point,,", False), (b"", False)]
)
def test_clients_that_could_bind_and_take_the_server_for_one_that_cannot(flag: bytes, expected: bool) -> None:
    first = flag and flag + b"n=,r=y,y"
    assert believes_unbound(b"SCRAM-SHA-256\0" + len(first).to_bytes(4, "big") + first) is expected


def test_replication_of_a_database_has_commands_of_its_own() -> None:
    assert is_logical(((b"user", b"x"), (b"replication", b"Database")))
    assert not is_logical(((b"user", b"database"), (b"replication", b"true")))


@pytest.mark.parametrize(
    "text",
    [
        b"IDENTIFY_SYSTEM",
        b" \n start_replication SLOT \"people\" LOGICAL 0/0 (publication_names 'people');\n",
        b'CREATE_REPLICATION_SLOT "people" LOGICAL pgoutput',
        b"READ_REPLICATION_SLOT people",
        b"DROP_REPLICATION_SLOT people WAIT;",
    ],
)
def test_commands_of_replication(text: bytes) -> None:
    assert is_command(text)


@pytest.mark.parametrize(
    "text",
    [
        b"SHOW people",
        b"INSERT INTO people VALUES ('IDENTIFY_SYSTEM')",
        b"IDENTIFY_SYSTEM; INSERT INTO people VALUES ('a@x.de')",
        b"IDENTIFY_SYSTEMS people",
        b"/* */ IDENTIFY_SYSTEM",
    ],
)
def test_what_may_be_a_statement_is_no_command(text: bytes) -> None:
    assert not is_command(text)


def test_what_a_pooler_may_have_dropped_is_not_believed() -> None:
    settings = started(user="u", options="-c search_path=a -c role=r -c pgveil.purpose=p")
    distrust(settings)
    default_path(settings, "d", False)
    assert settings.path() is None and settings.current_role is None and settings.declared_purpose == "p"
    settings = started(user="u")
    distrust(settings)
    default_path(settings, "d", False)
    assert settings.path() == ("d",) and settings.current_role == "u"
