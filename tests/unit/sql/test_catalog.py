import pytest

from proxy.policy.rules import NOTHING
from proxy.sql.catalog import Catalog, snapshot, split_path

PATHS = {"": '"$user", public', "ann": "sales"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"$user", public', ("bob", "public")),
        ("Public,SALES", ("public", "sales")),
        ('"Mixed Case", "a""b"', ("Mixed Case", 'a"b')),
        ("", ()),
        ('""', ()),
        ("  a  ", ("a",)),
    ],
)
def test_split_path(text: str, names: tuple[str, ...]) -> None:
    assert split_path(text, "bob") == names


@pytest.mark.parametrize("text", ['"a', "a b", "a,", "a,,b c", "Äb", "b, É", "x" * 64, '"' + "ä" * 32 + '"'])
def test_split_path_of_no_list(text: str) -> None:
    with pytest.raises(ValueError):
        split_path(text, "bob")


def test_search_path_of_a_user() -> None:
    found = snapshot(Catalog("shop", 180000, (), (), PATHS), NOTHING, 1)
    assert found.search_path_of("ann") == "sales"
    assert found.search_path_of("bob") == '"$user", public'
    bare = snapshot(Catalog("shop", 180000, (), (), {}), NOTHING, 1)
    assert bare.search_path_of("bob") == '"$user", public'


def test_who_starts_as_another_role() -> None:
    some = snapshot(Catalog("shop", 180000, (), (), {}, frozenset(("ann",))), NOTHING, 1)
    assert some.switches_role("ann") and not some.switches_role("bob")
    everyone = snapshot(Catalog("shop", 180000, (), (), {}, frozenset(("",))), NOTHING, 1)
    assert everyone.switches_role("bob")
