"""What a policy says, as values."""

from proxy.policy.rules import NOTHING, Policy, Rule, ValueClass

EVERYWHERE = Rule(None, "public", "customers", "email", "email")
IN_SHOP = Rule("shop", "public", "Orders", "note", "free")


def test_a_rule_without_a_database_holds_in_every_one() -> None:
    policy = Policy(rules=(EVERYWHERE, IN_SHOP))
    assert policy.rules_for("shop") == (EVERYWHERE, IN_SHOP)
    assert policy.rules_for("other") == (EVERYWHERE,)
    assert NOTHING.rules_for("shop") == ()


def test_columns_are_told_by_schema_table_and_name() -> None:
    assert IN_SHOP.label == "public.Orders.note"


def test_tokens_are_deterministic_unless_said_otherwise() -> None:
    assert ValueClass("e", "email").deterministic and not ValueClass("e", "email", tokens="random").deterministic
