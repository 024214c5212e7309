"""As much of JSON Schema (2020-12) as our schema uses; a keyword not known here fails the test that meets it."""

import re
from collections.abc import Mapping

IGNORED = {"$schema", "title", "description", "examples"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


def valid(schema: Mapping[str, object], value: object) -> bool:
    return all(_keyword(schema, word, each, value) for word, each in schema.items() if word not in IGNORED)


def _is(name: str, value: object) -> bool:
    if isinstance(value, bool) and name != "boolean":
        return False
    return isinstance(value, TYPES[name])


def _keyword(schema, word, given, value):
    match word:
        case "type":
            return any(_is(name, value) for name in ([given] if isinstance(given, str) else given))
        case "const":
            return value == given
        case "enum":
            return value in given
        case "anyOf":
            return any(valid(each, value) for each in given)
        case "required":
            return not isinstance(value, dict) or all(name in value for name in given)
        case "items":
            return not isinstance(value, list) or all(valid(given, each) for each in value)
        case "minItems":
            return not isinstance(value, list) or len(value) >= given
        case "pattern":
            return not isinstance(value, str) or re.search(given, value) is not None
        case "maxLength":
            return not isinstance(value, str) or len(value) <= given
        case "minimum":
            return not isinstance(value, int) or value >= given
        case "maximum":
            return not isinstance(value, int) or value <= given
        case "properties" | "patternProperties" | "additionalProperties":
            return not isinstance(value, dict) or all(_member(schema, k, v) for k, v in value.items())
    raise AssertionError(f"unknown keyword {word}")


def _member(schema, key, value):
    applied = [schema.get("properties", {})[key]] if key in schema.get("properties", {}) else []
    applied += [sub for pattern, sub in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
    if applied:
        return all(valid(sub, value) for sub in applied)
    rest = schema.get("additionalProperties", True)
    return rest if isinstance(rest, bool) else valid(rest, value)
