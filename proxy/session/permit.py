"""What a principal may do with a plan, before anything is asked of the vault. Searching is looking: a value that can
be looked for can be guessed, so it needs `reveal`, or `search` for the class."""

from proxy.errors import Refusal
from proxy.policy.access import Access
from proxy.sql.plan import Input, Plan, StatementPlan


def permit(plan: Plan, access: Access, purpose: str) -> None:
    """Check inputs and outputs. Raises Refusal (may-not-write, may-not-search, may-not-see, purpose-required)."""
    for place in plan.inputs:
        permit_input(place, access)
    for column in plan.written:
        permit_input(Input(column, "write"), access)
    for column in plan.guessed:
        if not access.may_search(column.class_name):
            raise Refusal(
                "may-not-search",
                f"{_who(access)} may not find out by ON CONFLICT whether a value is in column {column.label}",
                f"Name other columns in ON CONFLICT; it needs `reveal`, or `search` for class {column.class_name}.",
                column=column.label,
            )
    copied = [place for statement in plan.statements for place in copied_into(statement)]
    for place in copied:
        permit_input(place, access)
    shown = permit_outputs(plan, access)
    if (shown or plan.inputs or plan.written or copied) and access.needs_purpose(purpose):
        raise Refusal(
            "purpose-required",
            f"role {access.role} must declare a purpose before it touches protected columns",
            "SET pgveil.purpose = '…' before it, in a message of its own, or connect with options=-c pgveil.purpose=…",
        )


def permit_again(plan: Plan, before: Access, access: Access, purpose: str) -> None:
    """As `permit`, for a portal that was bound when the principal had other rights or another purpose: it shows what it
    would show now, or nothing. Raises Refusal."""
    permit(plan, access, purpose)
    classes = {
        output.column.class_name for statement in plan.statements for output in statement.outputs or () if output
    }
    if classes and (access.rows != before.rows or any(access.level(c) != before.level(c) for c in classes)):
        raise Refusal("plan-changed", "cached plan must not change result type", "The policy changed: bind it again.")


def copied_into(statement: StatementPlan) -> list[Input]:
    """The protected columns that a COPY … FROM STDIN writes."""
    into = () if statement.copy is None else statement.copy.into or ()
    return [Input(column, "write") for column in into if column is not None]


def permit_input(place: Input, access: Access) -> None:
    name, label = place.column.class_name, place.column.label
    if place.use == "write" and not access.may_write(name):
        raise Refusal(
            "may-not-write",
            f"{_who(access)} may not write column {label}",
            f"The policy's role gives no `write` for class {name}.",
            column=label,
        )
    if (place.use == "search" or place.sought) and not (access.may_search(name) or access.writes_tokens(name)):
        raise Refusal(
            "may-not-search",
            f"{_who(access)} may not search column {label} by value",
            f"It needs `reveal`, or `search` for class {name}.",
            column=label,
        )


def permit_value(place: Input, access: Access) -> None:
    """As `permit_input` for what is a value, not a token."""
    name, label = place.column.class_name, place.column.label
    if (place.use == "search" or place.sought) and not access.may_search(name):
        raise Refusal(
            "may-not-search",
            f"{_who(access)} may not search column {label} by value",
            f"Compare with a token, or give the role `reveal` or `search` for class {name}.",
            column=label,
        )


def permit_outputs(plan: Plan, access: Access) -> bool:
    """True if the plan shows a protected column."""
    shown = False
    for statement in plan.statements:
        cursor = None if statement.cursor is None else statement.cursor.outputs
        for output in statement.outputs or cursor or ():
            if output is None:
                continue
            shown = True
            if access.level(output.column.class_name) == "deny":
                raise Refusal(
                    "may-not-see",
                    f"{_who(access)} may not read column {output.column.label}",
                    f"The policy denies class {output.column.class_name}; leave the column out.",
                    column=output.column.label,
                )
    return shown


def _who(access: Access) -> str:
    return f"role {access.role}" if access.role else "a principal without a role"
