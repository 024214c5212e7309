"""PREPARE of a statement on protected tables, and what EXECUTE hands to it.

A plan holds for a text, so what an EXECUTE runs is not known here: `Execution` says which of its arguments are
literals, and the session puts them in the places of the parameters that `PreparedPlan` names.
"""

from dataclasses import replace
from typing import Final, final

from proxy.errors import Refusal
from proxy.sql.expressions import Expressions
from proxy.sql.findings import TEXT_FAMILY, Findings
from proxy.sql.plan import Edit, Execution, Input, Output, PreparedPlan
from proxy.sql.referee import Node, walk
from proxy.sql.relations import ProtectedColumn
from proxy.sql.scopes import Scope
from proxy.sql.shape import STRINGS, position_at
from proxy.sql.spans import type_end
from proxy.sql.terms import refuse, unsupported

_ONE_PLACE: Final = "Give each place a parameter of its own."


def execution(node: Node, findings: Findings) -> Execution | None:
    """Of an EXECUTE, or EXPLAIN of one; None: it is something else."""
    made = node.node("query") if node.kind == "ExplainStmt" else node
    if made is None or made.kind != "ExecuteStmt":
        return None
    arguments = tuple([_argument(each, findings) for each in made.nodes("params")])
    return Execution(made.text("name"), arguments, made is node)


def _argument(node: Node, findings: Findings) -> int | None:
    if node.kind != "A_Const":
        return None
    if node.flag("isnull"):
        return -1
    index = findings.literal(node)
    return index if index is not None and findings.cut.kinds[index] in STRINGS else None


@final
class Preparation:
    """One PREPARE, whose query has been read: its parameters and their types."""

    __slots__ = ("_expressions", "_findings", "_types")

    def __init__(self, node: Node, expressions: Expressions, findings: Findings) -> None:
        self._expressions = expressions
        self._findings = findings
        self._types = node.nodes("argtypes")

    def plan(self, query: Node, outputs: tuple[Output | None, ...] | None) -> PreparedPlan:
        """touches, inputs, written and outputs of it. Raises Refusal."""
        for name in self._types:
            self._expressions.plain(name, Scope(), "a type")
        self._same_numbers(max([n.number("number") for n in walk(query) if n.kind == "ParamRef"], default=0))
        inputs = [place for place in self._findings.inputs if place.param is not None]
        fixed = [place for place in self._findings.inputs if place.param is None]
        searched = next((place.column for place in fixed if place.use == "search" or place.sought), None)
        if searched is not None:  # each EXECUTE would be a search that no record shows
            raise refuse(searched, "a literal that PREPARE looks for", hint="Make it a parameter.")
        typed = {place.param: place for place in inputs}
        for place in typed.values():
            self._declared(place)
        written, guessed = self._findings.assigned, self._findings.guessed
        return PreparedPlan(True, tuple(inputs), tuple(written.values()), tuple(guessed.values()), outputs=outputs)

    def _same_numbers(self, highest: int) -> None:
        uses, _ = self._findings.parameters(highest)
        if uses is None or all(use.source == number for number, use in enumerate(uses, 1)):
            return
        moved = next(use for number, use in enumerate(uses, 1) if use.source != number)
        raise unsupported(
            f"PREPARE with parameter ${moved.source} for a protected column and for something else", _ONE_PLACE
        )

    def _declared(self, place: Input) -> None:
        """The type that PREPARE gives the parameter: the column's own, which the stored one takes the place of."""
        assert place.param is not None
        if place.param > len(self._types):
            return
        name, column = self._types[place.param - 1], place.column
        if name.strings("names") == ["unknown"]:
            return
        spec = self._findings.type_of(name, place.array)
        if spec is None or not _fits(spec.name, column):
            raise refuse(
                column, f"PREPARE with another type for ${place.param}", hint=f"Declare it {column.facade.name}."
            )
        if column.facade.name not in TEXT_FAMILY and column.facade.name != column.stored.name:
            tokens = self._findings.tokens
            end = tokens.ends[type_end(tokens, tokens.at(name.location))]
            text = column.stored.name + ("[]" if place.array else "")
            analysis = self._findings.analysis
            start, last = position_at(analysis, name.location), position_at(analysis, end)
            self._findings.edits.append(Edit(start, last, text=text.encode()))


def _fits(declared: str, column: ProtectedColumn) -> bool:
    known = column.facade.name
    texts = ("text", "varchar")
    return declared == known or (declared in texts and known in texts)


def without_parameters(
    inputs: tuple[Input, ...], edits: tuple[Edit, ...]
) -> tuple[tuple[Input, ...], tuple[Edit, ...]]:
    """Inputs of literals alone, and the edits that name them by their new places."""
    kept = [index for index, place in enumerate(inputs) if place.param is None]
    numbers = {index: number for number, index in enumerate(kept)}
    moved = [edit if edit.input is None else replace(edit, input=numbers[edit.input]) for edit in edits]
    return tuple([inputs[index] for index in kept]), tuple(moved)


def bound_to(prepared: PreparedPlan, made: Execution) -> tuple[tuple[Input, ...], tuple[Edit, ...]]:
    """The inputs of an EXECUTE and the edits of its text. Raises Refusal for an argument that can't be read."""
    inputs: list[Input] = []
    edits: dict[int, Edit] = {}
    for place in prepared.inputs:
        assert place.param is not None
        if place.param > len(made.arguments):
            continue  # the server says that the number is wrong
        index = made.arguments[place.param - 1]
        if index is None:
            raise Refusal(
                "unsupported-expression",
                f"EXECUTE with no string literal for ${place.param}, which is a value of {place.column.label}",
                "Write the value as a string literal without a cast.",
                column=place.column.label,
            )
        if index < 0:
            continue
        edits.setdefault(index, Edit((2 * index + 1, 0), (2 * index + 2, 0), input=len(inputs)))
        inputs.append(replace(place, param=None, literal=index))
    return tuple(inputs), tuple([edits[index] for index in sorted(edits)])
