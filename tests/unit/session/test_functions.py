"""Which functions a FunctionCall message may call where something is protected."""

from proxy.session.functions import refusal


def test_large_objects_pass_and_nothing_else() -> None:
    assert refusal(952) is None and refusal(3172) is None
    refused = refusal(1599)
    assert refused is not None and refused.sqlstate == "0A000" and "1599" in refused.message
