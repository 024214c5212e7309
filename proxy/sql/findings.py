"""What the analysis of a text has found: each literal and parameter with its role, edits, pinned literals, effects.

The roles of a text must add up: what nobody gave a role is refused (`unclassified`). One place has one role; a place
that would need two is refused.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, final

from proxy.errors import Refusal
from proxy.sql.plan import Edit, Input, ParamUse
from proxy.sql.referee import Node
from proxy.sql.relations import ProtectedColumn
from proxy.sql.shape import NUMBERS, STRINGS, Analysis, Shape, literal_at, literal_value, position_at
from proxy.sql.spans import Tokens, Unclear, cast_marks, cast_span, signed_span
from proxy.sql.terms import Choice, Value
from proxy.wire.types import TypeSpec, parse_type

TEXT_FAMILY: Final = frozenset(("text", "varchar", "bpchar"))
INTEGERS: Final = frozenset(("int2", "int4", "int8"))
NUMERIC_TYPES: Final = INTEGERS | {"numeric"}
MOMENTS: Final = frozenset(("date", "timestamp", "timestamptz"))
Use = Literal["write", "search"]
MOST_PARAMETERS: Final = 65535
TOO_LONG: Final = Refusal(
    "statement-too-large",
    "the statement takes too long to be understood",
    "Send it in smaller parts, or use parameters.",
)
_PARAM: Final = re.compile(rb"\$[0-9]+")
_PLACEHOLDER: Final = re.compile(r"pgv([0-9]+)")


@dataclass(frozen=True, slots=True)
class ParamPlace:
    """A parameter where it stands. start, end: bytes of the analysis text, casts that fall away included. input:
    index of the plan's input, None if it is harmless there."""

    number: int
    start: int
    end: int
    input: int | None


@dataclass(frozen=True, slots=True)
class Inside:
    """What is around a value that does not stand where its column decides about its type, but in CASE, VALUES or the
    like. context: the type that it has there. casts: TypeCast nodes around the whole, innermost first, not sent."""

    context: TypeSpec | None = None
    casts: tuple[Node, ...] = ()


DIRECT: Final = Inside()


def never() -> bool:
    return False


@final
class Findings:
    """See the module."""

    __slots__ = (
        "_conforming",
        "_gone",
        "_text",
        "_tokens",
        "analysis",
        "assigned",
        "cut",
        "edits",
        "given_up",
        "guessed",
        "inputs",
        "literals",
        "nulls",
        "params",
        "pending",
        "pinned",
    )

    def __init__(
        self, text: bytes, cut: Shape, analysis: Analysis, conforming: bool, given_up: Callable[[], bool] = never
    ) -> None:
        """given_up: whether nobody waits for what is found any more."""
        self._text = text
        self._conforming = conforming
        self.given_up: Final = given_up
        self._tokens: Tokens | None = None
        self.cut = cut
        self.analysis = analysis
        self.inputs: list[Input] = []
        self.edits: list[Edit] = []
        self._gone: set[Edit] = set()  # of them: casts that are left out
        self.literals: dict[int, str] = {}  # index -> 'plain', 'pinned', 'input'
        self.params: dict[int, ParamPlace] = {}  # by start
        self.pinned: set[int] = set()
        # of parameters that are only asked whether they are NULL: start -> their place with the casts around it
        self.nulls: dict[int, tuple[int, int]] = {}
        self.pending: list[Choice] = []  # whose values may be a protected column's, by what they meet
        self.assigned: dict[str, ProtectedColumn] = {}  # columns that are assigned to, by label
        self.guessed: dict[str, ProtectedColumn] = {}  # whether what is assigned is there already is told, by label

    def go_on(self) -> None:
        """Raises Refusal if nobody waits any more."""
        if self.given_up():
            raise TOO_LONG

    # ---- the text

    @property
    def tokens(self) -> Tokens:
        """Raises Unclear."""
        if self._tokens is None:
            self._tokens = Tokens(self.analysis.text)
        return self._tokens

    def literal(self, node: Node) -> int | None:
        """Index of the literal that an A_Const stands for; None for one that the grammar made up.

        A negative number's place is that of its sign (gram.y doNegate).
        """
        at = node.location
        if at < 0:
            return None
        index = literal_at(self.analysis, at)
        if index is not None or self.analysis.text[at : at + 1] != b"-":
            return index
        token = self.tokens.at(at)
        while self.tokens.get(token) in (b"-", b"("):
            token += 1
        return literal_at(self.analysis, self.tokens.starts[token]) if token < len(self.tokens.starts) else None

    def string(self, node: Node) -> str | None:
        """The value of a string literal, on which the plan depends from now on; None if it is no string literal."""
        if node.kind != "A_Const" or (index := self.literal(node)) is None:
            return None
        if self.cut.kinds[index] not in STRINGS:
            return None
        self.pin(node)
        return literal_value(self._text, self.cut, index, self._conforming).decode("utf-8", "replace")

    def written(self, word: str) -> bytes:
        """What a string in the tree reads in the statement (`shape.analysis_text` puts placeholders for literals); the
        plan depends on it from now on."""
        found = _PLACEHOLDER.fullmatch(word)
        index = int(found.group(1)) if found else len(self.cut.kinds)
        if index >= len(self.cut.kinds) or self.cut.kinds[index] not in STRINGS:
            return word.encode()
        self.literals[index] = "pinned"
        self.pinned.add(index)
        return literal_value(self._text, self.cut, index, self._conforming)

    def strings_within(self, start: int, end: int) -> list[bytes]:
        """The values of all string literals between two offsets of the analysis text; they are pinned."""
        self.within(start, end, True)
        return [
            literal_value(self._text, self.cut, index, self._conforming)
            for index, at in enumerate(self.analysis.starts)
            if start <= at < end and self.cut.kinds[index] in STRINGS
        ]

    # ---- roles

    def plain(self, node: Node) -> None:
        """A literal or parameter that has nothing to do with a protected column."""
        if node.kind == "ParamRef":
            place = ParamPlace(node.number("number"), node.location, self._param_end(node), None)
            self._once(self.params.setdefault(node.location, place).input is not None)
        elif (index := self.literal(node)) is not None:
            self._once(self.literals.setdefault(index, "plain") == "input")

    def asked_for_null(self, value: Value) -> None:
        """`$1 IS NULL`: a token says the same as the value that it may stand for elsewhere, so the value needn't go.
        Nor need that of a literal: any string says the same."""
        node = value.node
        if node.kind != "ParamRef":
            self._empty(value)
            return
        start, end = node.location, self._param_end(node)
        try:
            self.nulls[start] = cast_span(self.tokens, start, end, value.casts) if value.casts else (start, end)
        except Unclear:
            return  # the value goes as it is

    def _empty(self, value: Value) -> None:
        """An empty string in the place of a literal that is only asked whether it is NULL."""
        index = self.literal(value.node)
        if index is None or self.cut.kinds[index] not in STRINGS:
            return
        for cast in value.casts:
            name = cast.part("typeName", "TypeName")
            spec = None if name is None else self.type_of(name)
            if spec is None or spec.name not in TEXT_FAMILY or cast.location < 0:
                return  # text 'a', or a type that takes no empty string
        self.edits.append(Edit((2 * index + 1, 0), (2 * index + 2, 0), text=b"''"))

    def pin(self, node: Node) -> None:
        """A literal whose value the plan depends on."""
        if (index := self.literal(node)) is not None:
            self.literals[index] = "pinned"
            self.pinned.add(index)

    def within(self, start: int, end: int, pinned: bool) -> None:
        """All literals between two offsets of the analysis text that have no role yet."""
        for index, at in enumerate(self.analysis.starts):
            if start <= at < end and index not in self.literals:
                self.literals[index] = "pinned" if pinned else "plain"
                if pinned:
                    self.pinned.add(index)

    def place(
        self, value: Value, column: ProtectedColumn, use: Use, array: bool = False, inside: Inside = DIRECT
    ) -> None:
        """A value of `column` stands here. Raises Refusal if it can't be read exactly."""
        try:
            self._place(value, column, use, array, inside)
        except Unclear:
            raise _refused(column, "a cast around its value", "Write the value without the cast.") from None

    def uncast(self, cast: Node) -> None:
        """Leave a cast out of what is sent, whatever it is around. Raises Unclear."""
        for start, end in cast_marks(self.tokens, cast):
            edit = Edit(self._at(start), self._at(end))
            if edit not in self._gone:
                self._gone.add(edit)
                self.edits.append(edit)

    def used(self, places: Iterable[int], use: Use) -> None:
        """Inputs that are used in another way too: stored as well as looked for."""
        for index in places:
            known = self.inputs[index]
            if known.use != use:
                self.inputs[index] = replace(known, use="write", sought=True)

    def listed(self, first: int) -> None:
        """The inputs from `first` on stand in one IN list."""
        self.inputs[first:] = [replace(place, listed=True) for place in self.inputs[first:]]

    def _place(self, value: Value, column: ProtectedColumn, use: Use, array: bool, inside: Inside) -> None:
        own = tuple([self.cast(node, column, array) for node in value.casts])
        context = None if own else inside.context
        casts = own + tuple([self.cast(node, column) for node in inside.casts])
        _check_family(column, use, casts or (() if context is None else (context,)))
        made = Input(column, use, casts=casts, array=array, context=context)
        node = value.node
        if node.kind == "ParamRef":
            at = node.location
            self._once(at in self.params)
            number = node.number("number")
            start, end = at, self._param_end(node)
            if own:
                start, end = cast_span(self.tokens, start, end, value.casts)
            self.params[at] = ParamPlace(number, start, end, len(self.inputs))
            self.inputs.append(replace(made, param=number))
            return
        index = self.literal(node)
        if index is None:
            raise _refused(column, "this value", "Write the value as a string literal or a parameter.")
        self._once(index in self.literals)
        self.literals[index] = "input"
        made = replace(made, literal=index, negative=self._number(node, index, made, own[:1] or (context,)))
        span = (self.analysis.starts[index], self.analysis.ends[index])
        if node.location < span[0]:
            span = signed_span(self.tokens, node.location, *span)
        if own:  # most have none, and cutting the text into tokens costs
            span = cast_span(self.tokens, *span, value.casts)
        end_ = self._after(index, span[1])
        self.edits.append(Edit(self._at(span[0]), end_, input=len(self.inputs)))
        if inside.context is not None and (array or column.stored.name == "uuid"):
            kind = b"::uuid" if column.stored.name == "uuid" else b"::text"
            self.edits.append(Edit(end_, end_, text=kind + b"[]" * array))
        self.inputs.append(made)

    def _param_end(self, node: Node) -> int:
        found = _PARAM.match(self.analysis.text, node.location)
        if found is None:
            raise Refusal("unsupported-statement", "a parameter is not where the grammar says")
        return found.end()

    def _after(self, index: int, end: int) -> tuple[int, int]:
        """Position of the end of a span that begins with literal `index` or before it."""
        if end == self.analysis.ends[index]:
            return 2 * index + 2, 0
        return position_at(self.analysis, end)

    def _once(self, taken: bool) -> None:
        if taken:
            raise Refusal("unsupported-statement", "a value stands in two roles at once")

    def number_type(self, node: Node) -> TypeSpec | None:
        """The type of a number literal (make_const), None if the value is none."""
        index = self.literal(node) if node.kind == "A_Const" else None
        if index is None or self.cut.kinds[index] not in NUMBERS:
            return None
        value = node.fields.get("fval")
        text = str(value.get("fval", "")) if isinstance(value, dict) else ""
        if not text:
            return parse_type("int4")
        whole = text.lstrip("+-").isdecimal() and abs(int(text)) < 1 << 63
        return parse_type("int8" if whole else "numeric")

    def _number(self, node: Node, index: int, place: Input, given: tuple[TypeSpec | None, ...]) -> bool:
        """Check a number literal; true if a minus sign belongs to it. given: the type that it has here, if not the
        column's."""
        kind, column = self.cut.kinds[index], place.column
        if kind in STRINGS:
            return False
        value = node.fields.get("fval")
        text = str(value.get("fval", "")) if isinstance(value, dict) else ""
        if kind not in NUMBERS or place.array:
            raise _refused(column, "a number or bits as its value", "Write the value as a string literal.")
        told = given[0]
        target = column.facade.name if told is None else told.name
        fits = target in NUMERIC_TYPES or target in TEXT_FAMILY
        if not fits or (place.use == "search" and told is None and target in TEXT_FAMILY):
            raise _refused(column, "a number as its value", "Write the value as a string literal.")
        number = node.fields.get("ival")
        ival = number.get("ival", 0) if isinstance(number, dict) else 0
        return (isinstance(ival, int) and ival < 0) or (text.startswith("-") and text.strip("-0.") != "")

    def cast(self, cast: Node, column: ProtectedColumn, array: bool = False) -> TypeSpec:
        """The type of a cast around a value of `column`; its modifiers are pinned. Raises Refusal."""
        name = cast.part("typeName", "TypeName")
        spec = None if name is None else self.type_of(name, array)
        if spec is None or not (spec.name in TEXT_FAMILY or _akin(spec.name, column.facade.name)):
            raise _refused(column, "a cast of its value to another type", "Write the value without the cast.")
        return spec

    def type_of(self, name: Node, array: bool = False) -> TypeSpec | None:
        """The type that a TypeName means (array: its elements' type), None if it is none that we know."""
        names = name.strings("names")
        bounds = name.fields.get("arrayBounds")
        dimensions = len(bounds) if isinstance(bounds, list) else 0
        if dimensions != int(array) or name.flag("setof") or name.flag("pct_type"):
            return None
        if len(names) == 2 and names[0] == "pg_catalog":
            names = names[1:]
        elif names in (["char"], ["bit"]):  # "char" of the catalogs
            return None
        modifiers: list[str] = []
        for modifier in name.nodes("typmods"):
            number = modifier.fields.get("ival")
            if not isinstance(number, dict) or self.literal(modifier) is None:
                # character without a length is char(1): the grammar makes that number up
                if isinstance(number, dict) and names == ["bpchar"]:
                    modifiers.append(str(number.get("ival", 0)))
                    continue
                return None
            self.pin(modifier)
            modifiers.append(str(number.get("ival", 0)))
        return _known_type(names, modifiers)

    # ---- the end

    def unclassified(self) -> int | None:
        """Index of a literal without a role."""
        return next((i for i in range(len(self.cut.starts)) if i not in self.literals), None)

    def parameters(self, highest: int) -> tuple[tuple[ParamUse, ...] | None, list[Edit]]:
        """The server's parameters, None if they are the client's, and the edits that renumber them.

        The first role of a number keeps it, each later one gets a new number: a type is one for the server.
        """
        places = sorted(self.params.values(), key=lambda place: place.start)
        if all(place.input is None for place in places):
            return None, []
        held = {place.number: place.input for place in reversed(places) if place.input is not None}
        uses: dict[int, ParamUse] = {}
        numbers: dict[tuple[int, object], int] = {}
        edits: list[Edit] = []
        for place in places:
            if place.input is None and place.start in self.nulls and place.number in held:
                place = ParamPlace(place.number, *self.nulls[place.start], held[place.number])
            role = None if place.input is None else _role(self.inputs[place.input])
            number = numbers.get((place.number, role))
            if number is None:
                number = place.number if place.number not in uses else self._next(highest, uses)
                uses[number] = ParamUse(place.number, place.input)
                numbers[(place.number, role)] = number
            written = b"$%d" % number
            if self.analysis.text[place.start : place.end] != written:
                edits.append(Edit(self._at(place.start), self._at(place.end), text=written))
        count = max(highest, *uses)
        if count > MOST_PARAMETERS:
            raise Refusal(
                "statement-too-large",
                "a parameter that is used for a protected column and elsewhere needs a second number, and all are used",
                "Use fewer parameters, or one for each place.",
            )
        return tuple([uses.get(n, ParamUse(n)) for n in range(1, count + 1)]), edits

    @staticmethod
    def _next(highest: int, uses: Iterable[int]) -> int:
        return max(highest, *uses) + 1

    def _at(self, offset: int) -> tuple[int, int]:
        return position_at(self.analysis, offset)


def _role(place: Input) -> object:
    """Equal for inputs whose token is the same whatever the value, and whose server-side type is one."""
    column = place.column
    kind = (column.class_name, column.stored, column.facade, column.write_tokens)
    return (*kind, place.casts, place.array, place.context) + (
        () if column.deterministic else (place.use, column.label, id(place))
    )


def _check_family(column: ProtectedColumn, use: Use, casts: tuple[TypeSpec, ...]) -> None:
    """char(n) and the other text types disagree on trailing blanks; the operator is chosen by both sides' types.

    char = text compares as text, varchar = char as char (func_select_candidate keeps the exact match): not what
    tokens of the column's own type compare.
    """
    if use == "write" or not casts:
        return
    column_type, value_type = column.facade.name, casts[-1].name
    if (column_type, value_type) in (("bpchar", "text"), ("varchar", "bpchar")):
        raise _refused(column, f"comparing {column_type} with {value_type}", "Write the value without the cast.")


def _akin(cast: str, facade: str) -> bool:
    """Whether the server compares values of the two types, and stores one as the other."""
    return cast == facade or {cast, facade} <= NUMERIC_TYPES or {cast, facade} <= MOMENTS


def _known_type(names: list[str], modifiers: list[str]) -> TypeSpec | None:
    if len(names) != 1:
        return None
    try:
        return parse_type(names[0] + (f"({','.join(modifiers)})" if modifiers else ""))
    except ValueError:
        return None


def _refused(column: ProtectedColumn, what: str, hint: str) -> Refusal:
    return Refusal(
        "unsupported-expression",
        f"column {column.label} is protected: {what} can't be answered exactly",
        hint,
        column=column.label,
    )
