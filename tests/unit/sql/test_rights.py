"""Which schemas of a search_path count for whom. Held against real servers in tests/integration/test_catalog.py."""

import pytest

from proxy.sql.rights import schemas

FOUND = schemas(
    grants=[("public", ""), ("a", "ann"), ("b", "group"), ("c", None), ("b", "ben")],
    roles=[("ann", False), ("ben", False), ("cy", False), ("root", True), ("reader", False), ("group", False)],
    members=[("ann", "group"), ("cy", "ann"), ("group", "cy"), ("reader", "pg_read_all_data")],
)


def test_what_each_role_may_use() -> None:
    assert FOUND.names == {"public", "a", "b", "c"} and FOUND.everyone == {"public"}
    assert FOUND.roles["ann"] == {"public", "a", "b"}, "of its own and of its group"
    assert FOUND.roles["ben"] == {"public", "b"}
    assert FOUND.roles["cy"] == FOUND.roles["group"] == {"public", "a", "b"}, "through others, in a circle"
    assert FOUND.roles["root"] == FOUND.roles["reader"] == FOUND.names


@pytest.mark.parametrize(
    ("path", "role", "expected"),
    [
        (("c", "a", "public"), "ann", ("a", "public")),
        (("c", "gone", "public"), "ben", ("gone", "public")),
        (("c", "public"), "root", ("c", "public")),
        (("pg_temp", "public"), "ben", ("pg_temp", "public")),
        (("pg_temp_3", "public"), "root", None),
        (("gone", "public"), None, ("gone", "public")),
        (("a", "public"), None, None),
        (("a", "public"), "made since", None),
    ],
)
def test_a_path(path: tuple[str, ...], role: str | None, expected: tuple[str, ...] | None) -> None:
    assert FOUND.looked_into(path, role) == expected
