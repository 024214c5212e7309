"""The JSON Schema of policies, held to the files that the reader is held to."""

import pytest
import yaml

from proxy.policy.schema import json_schema
from tests.unit.policy.cases import SHOP, WHOLE, WRONG
from tests.unit.policy.json_schema import valid

SEEN = [text for seen_by, text, _, _ in WRONG if seen_by == "schema"]


@pytest.mark.parametrize("text", [WHOLE, SHOP])
def test_the_schema_accepts_what_is_sound(text: str) -> None:
    assert valid(json_schema(), yaml.safe_load(text))


@pytest.mark.parametrize("text", SEEN)
def test_the_schema_sees_what_one_file_can_tell(text: str) -> None:
    assert not valid(json_schema(), yaml.safe_load(text))


def test_editors_are_told_what_each_key_is_for() -> None:
    top = json_schema()["properties"]
    assert isinstance(top, dict) and all(key["description"] for key in top.values())
