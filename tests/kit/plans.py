"""Plans in few words, for unit tests of `sql`: what goes to the server, which result columns are revealed."""

from proxy.sql.analyze import analyse
from proxy.sql.catalog import Snapshot
from proxy.sql.plan import Plan
from tests.kit import corpus
from tests.kit.catalogs import world

PUBLIC = ("public",)
SHOP = world("shop").snapshot


def planned(text: str, path: tuple[str, ...] | None = PUBLIC, within: Snapshot = SHOP) -> Plan:
    return analyse(text.encode(), True, path, within)


def sent(text: str, path: tuple[str, ...] | None = PUBLIC, within: Snapshot = SHOP) -> str:
    """The text for the server with ‹class value› for tokens, 'same' if it is the client's, or the refusal's code."""
    plan = planned(text, path, within)
    if plan.refusal is not None:
        return plan.refusal.code
    made = corpus.sent(plan, corpus.Case("", 0, "", "", statement=text))
    return "same" if made == text else made


def shown(text: str, path: tuple[str, ...] | None = PUBLIC, within: Snapshot = SHOP) -> str:
    """The last statement's result columns, 'email - person' for classes and what is not protected, '' if none is; or
    the refusal's code."""
    plan = planned(text, path, within)
    if plan.refusal is not None:
        return plan.refusal.code
    outputs = plan.statements[-1].outputs
    return "" if outputs is None else " ".join(["-" if o is None else o.column.class_name for o in outputs])


def effects(text: str, path: tuple[str, ...] | None = PUBLIC, within: Snapshot = SHOP) -> str:
    """What the statements change for later ones, 'set search_path=a, ddl', or the refusal's code."""
    plan = planned(text, path, within)
    if plan.refusal is not None:
        return plan.refusal.code
    found = [effect for statement in plan.statements for effect in statement.effects]
    return ", ".join(
        f"{e.kind} {e.name or ''}{'' if e.value is None else f'={e.value}'}{' local' if e.local else ''}".strip()
        for e in found
    )
