"""Corpus cases: what pgveil makes of a statement, as data. Reads the files; `tests.corpus.test_corpus` runs them.

    -- case: equality and IN
    -- policy: shop
    SELECT id, email FROM customers WHERE email IN ('a@b.c', 'x') AND note = 'hi';
    -- sends
    SELECT id, email FROM customers WHERE email IN (‹email a@b.c›, ‹email x›) AND note = 'hi';
    -- out: 2=email

A file is a list of cases. Before the statement: `case`, `policy` (tests/corpus/catalogs/<policy>.yaml; once in the
file's head for all cases), `scs: off`, `search_path: sales, public` or `search_path: unknown`. The statement is all up
to the next known word of this list behind `-- ` at the start of a line. Then exactly one of

    -- sends             what goes to the server, ‹class value› in each token's place; `-- sends: same` for no change
    -- refused: code     and perhaps the column: `order-by-protected public.customers.email`
    -- forwards          nothing of it is ours

and, with `sends`, any of

    -- out: 2=email, 3=person       classes in result columns, one such line a statement that has any
    -- params: 1=email write, 2=email search[], 3=$1 person write, 4=$1
                                    server's parameters that carry values (or come from another of the client's)
    -- in: email write, email search, person write ::varchar(20), email write+search
                                    the inputs, where uses and casts matter
    -- effects: set search_path, ddl    effects of the statements, in order
    -- pinned: 0, 2                 literals on whose values the plan depends
    -- barrier

A value in ‹› has newlines as \\n; an array input is ‹email[] {a,b}›.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from proxy.sql.plan import Input, Plan, render
from proxy.sql.shape import literal_value, shape

HEAD = ("case", "policy", "scs", "search_path")
EXPECTED = ("sends", "refused", "forwards")
DETAILS = ("out", "params", "in", "effects", "pinned", "barrier")
_WORD = re.compile(r"-- (" + "|".join(HEAD + EXPECTED + DETAILS) + r")(?::\s*(.*?))?\s*$")


class BadCorpus(ValueError):
    """A file that can't be read, with its line."""

    def __init__(self, path: str, line: int, what: str) -> None:
        super().__init__(f"{path}:{line}: {what}")


@dataclass
class Case:
    """One case. expected: word -> lines given for it ('sends' -> the text). search_path None: unknown."""

    path: str
    line: int
    name: str
    policy: str
    scs: bool = True
    search_path: tuple[str, ...] | None = ("public",)
    statement: str = ""
    expected: dict[str, list[str]] = field(default_factory=dict)

    @property
    def text(self) -> bytes:
        return self.statement.encode()

    @property
    def outcome(self) -> str:
        return next(word for word in EXPECTED if word in self.expected)

    @property
    def label(self) -> str:
        return f"{Path(self.path).stem}:{self.line} {self.name}"


def read(path: Path) -> list[Case]:
    return parse(path.read_text(encoding="utf-8"), path.name)


def parse(text: str, path: str) -> list[Case]:
    """The cases of a file. Raises BadCorpus."""
    reader = _Reader(path)
    for number, line in enumerate(text.split("\n"), 1):
        reader.line(number, line)
    return reader.done()


class _Reader:
    """Line by line: first the head of a case, then its statement, then what is expected."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.policy = ""
        self.cases: list[Case] = []
        self.case: Case | None = None
        self.statement: list[str] = []
        self.sends: list[str] | None = None

    def line(self, number: int, line: str) -> None:
        found = _WORD.match(line)
        if found is None:
            self.text(number, line)
            return
        word, value = found.group(1), found.group(2) or ""
        if word == "case":
            self.finish()
            if not value:
                raise BadCorpus(self.path, number, "a case needs a name")
            self.case = Case(self.path, number, value, self.policy)
        elif word in HEAD:
            self.head(number, word, value)
        else:
            self.expect(number, word, value)

    def text(self, number: int, line: str) -> None:
        if self.sends is not None:
            self.sends.append(line)
        elif self.case is not None and not self.case.expected:
            self.statement.append(line)
        elif line.strip() and not (self.case is None and line.startswith("--")):
            raise BadCorpus(self.path, number, "neither in a statement nor behind `-- sends`")

    def head(self, number: int, word: str, value: str) -> None:
        if self.case is None and word == "policy":
            self.policy = value
        elif self.case is None or self.statement:
            raise BadCorpus(self.path, number, f"`{word}` stands between `case` and the statement")
        elif word == "policy":
            self.case.policy = value
        elif word == "scs":
            self.case.scs = {"on": True, "off": False}[value]
        else:
            names = tuple(name.strip() for name in value.split(",") if name.strip())
            self.case.search_path = None if value == "unknown" else names

    def expect(self, number: int, word: str, value: str) -> None:
        case = self.case
        if case is None or not self.statement:
            raise BadCorpus(self.path, number, f"`{word}` before a statement")
        if word in EXPECTED and any(other in case.expected for other in EXPECTED):
            raise BadCorpus(self.path, number, f"a case has one of {', '.join(EXPECTED)}")
        if word in DETAILS and "sends" not in case.expected:
            raise BadCorpus(self.path, number, f"`{word}` goes with `sends`")
        self.sends = [] if word == "sends" and value != "same" else None
        if word == "sends":
            case.expected[word] = self.sends if self.sends is not None else self.statement
        else:
            case.expected.setdefault(word, []).append(value)

    def finish(self) -> None:
        case = self.case
        if case is None:
            return
        if not any(word in case.expected for word in EXPECTED):
            raise BadCorpus(self.path, case.line, f"case {case.name!r} expects nothing")
        if not case.policy:
            raise BadCorpus(self.path, case.line, f"case {case.name!r} has no policy")
        case.statement = _trimmed(self.statement)
        if "sends" in case.expected:
            case.expected["sends"] = [_trimmed(case.expected["sends"])]
        self.cases.append(case)
        self.case, self.statement, self.sends = None, [], None

    def done(self) -> list[Case]:
        self.finish()
        twice = {case.name for case in self.cases if [c.name for c in self.cases].count(case.name) > 1}
        if twice:
            raise BadCorpus(self.path, 0, f"names that stand twice: {', '.join(sorted(twice))}")
        return self.cases


def _trimmed(lines: list[str]) -> str:
    return "\n".join(lines).strip("\n")


# ---- a plan in the words of a case -----------------------------------------------------------------------------------


def described(plan: Plan, case: Case) -> dict[str, list[str]]:
    """What became of the case's statement, as `expected` would say it, every word."""
    if plan.refusal is not None:
        return {"refused": [f"{plan.refusal.code} {plan.refusal.column}".strip()]}
    effects = [effect for s in plan.statements for effect in s.effects]
    if not plan.edits and not plan.touches and not effects and plan.params is None:
        return {"forwards": [""]}
    outs = [s.outputs for s in plan.statements if s.outputs is not None]
    said = {
        "sends": [sent(plan, case)],
        "out": [", ".join(f"{i}={o.column.class_name}" for i, o in enumerate(out, 1) if o) for out in outs],
        "params": _line(_params(plan)),
        "in": _line([_input(value) for value in plan.inputs]),
        "effects": _line([f"{e.kind} {e.name or ''}".strip() for e in effects]),
        "pinned": _line([str(index) for index in plan.pinned]),
        "barrier": [""] if plan.barrier else [],
    }
    return {word: lines for word, lines in said.items() if lines}


def _line(items: list[str]) -> list[str]:
    return [", ".join(items)] if items else []


def _input(value: Input) -> str:
    casts = "".join(f" ::{cast.name}{_modifier(cast.typmod)}" for cast in value.casts)
    use = value.use + ("+search" if value.sought else "") + ("[]" if value.array else "")
    return f"{value.column.class_name} {use}{casts}"


def _modifier(typmod: int) -> str:
    return "" if typmod < 0 else f"({typmod - 4})"


def _params(plan: Plan) -> list[str]:
    if plan.params is None:
        return [f"{value.param}={_input(value)}" for value in plan.inputs if value.param is not None]
    said = []
    for number, use in enumerate(plan.params, 1):
        words = [f"${use.source}"] if use.source != number else []
        words += [_input(plan.inputs[use.input])] if use.input is not None else []
        if words:
            said.append(f"{number}={' '.join(words)}")
    return said


def sent(plan: Plan, case: Case) -> str:
    """What goes to the server, with ‹class value› for tokens."""
    cut = shape(case.text, case.scs)
    stand_ins = [b"'\1%d\1'" % i for i in range(len(plan.inputs))]  # a quote at each end, as tokens have
    text = render(plan, case.text, cut, stand_ins).text
    for stand_in, value in zip(stand_ins, plan.inputs, strict=True):
        text = text.replace(stand_in, _mark(value, case))
    return text.decode()


def _mark(value: Input, case: Case) -> bytes:
    if value.literal is None:
        return b""
    text = literal_value(case.text, shape(case.text, case.scs), value.literal, case.scs).decode().replace("\n", "\\n")
    sign = "-" if value.negative else ""
    return f"‹{value.column.class_name}{'[]' if value.array else ''} {sign}{text}›".encode()


def unmet(case: Case, plan: Plan) -> str:
    """How the plan differs from what the case expects, to be read by a person; '' if it does not.

    `in`, `pinned` and `barrier` count only where the case gives them; everything else must be said.
    """
    said = described(plan, case)
    lines = []
    for word in EXPECTED + DETAILS:
        given = word in case.expected
        if not given and (word in ("in", "pinned", "barrier") or word not in said):
            continue
        wanted, got = case.expected.get(word, []), said.get(word, [])
        if word == "refused" and wanted and got and " " not in wanted[0]:
            got = [got[0].partition(" ")[0]]
        if wanted != got:
            lines.append(f"-- {word}\n  expected: {_shown(wanted)}\n  got:      {_shown(got)}")
    if lines and plan.refusal is not None:
        lines.append(f"refusal: {plan.refusal.message} | {plan.refusal.hint}")
    return "\n".join([f"{case.path}:{case.line}: {case.name}", *lines]) if lines else ""


def _shown(lines: list[str]) -> str:
    return " / ".join(lines) if lines else "(none)"
