"""The reference pages say what the tables in the code say."""

import pytest

from proxy.policy import parse, schema
from tests.docs.reference import MADE, PAGES


@pytest.mark.parametrize("name", MADE)
def test_page_is_made_from_the_code(name: str) -> None:
    assert (PAGES / name).read_text(encoding="utf-8") == MADE[name](), "run: python -m tests.docs.reference"


def test_every_policy_key_is_documented() -> None:
    known = {
        *parse.TOP_KEYS,
        *(f"class.{key}" for key in parse.CLASS_KEYS),
        *(f"column.{key}" for key in parse.COLUMN_KEYS),
        *(f"role.{key}" for key in parse.ROLE_KEYS),
        *(f"match.{key}" for key in parse.MATCH_KEYS),
        *(f"record.{key}" for key in parse.RECORD_KEYS),
        *(f"key.{key}" for key in parse.RECORD_KEY_KEYS),
    }
    assert set(schema.HELP) == known
