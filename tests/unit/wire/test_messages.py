"""messages: everything is there under one name, and defined once."""

from proxy.wire import body, messages, replies, requests


def test_all_public_names_are_exported() -> None:
    inner = {"I16", "I32", "S32", "SHORT", "Reader", "pack_values", "pack_u16s", "pack_u32s"}
    for module in (body, requests, replies):
        for name, thing in vars(module).items():
            made_here = name.isupper() or getattr(thing, "__module__", "") == module.__name__
            if made_here and not name.startswith("_") and name not in inner:
                assert getattr(messages, name) is thing, name
    assert len(set(messages.__all__)) == len(messages.__all__)
