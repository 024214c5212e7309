from proxy.sql.relations import ProtectedColumn
from proxy.wire.types import parse_type


def test_a_columns_label_is_its_place_in_the_catalog_case_and_all() -> None:
    """Rules, refusals and the audit trail name a column so; names are not quoted in it."""
    text = parse_type("text")
    column = ProtectedColumn("Odd", "Customer Data", "E-Mail", "email", True, text, text, 5, 2)
    assert column.label == "Odd.Customer Data.E-Mail"
