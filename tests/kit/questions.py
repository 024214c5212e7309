"""`ask` and `answer` lines of scripted transcripts: requests in notation, and what a line gives to them.

    ask tokenise email ['a@b.c'] person ['A', 'B']    items in order, runs of one class together; ask find likewise
    ask reveal [T1, T2] email ['plain']               tokens, then plain values
    ask audit refuse [email] "outcome"

    answer [T1, T2]                                   to tokenise and find: a token an item, in order
    answer [reveal email 'a@b.c'] [mask phone '*'] [] to reveal: LEVEL CLASS VALUE for each token, then for each plain
                                                      value, in order; NULL as value: erased; []: not ours
    answer done                                       to audit
    answer failure vault-unavailable                  to any of them: a code of proxy.errors.CODES

A token that is new gets a fixed one made from its name, so that failures read the same each time.
"""

import hashlib
from collections.abc import Sequence

from proxy import tokens
from proxy.errors import Refusal
from proxy.session.effects import Audit, Failure, Find, Reveal, Revealed, Shown, Tokenise
from tests.kit.notation import Arg, Message, Str, Val, Word
from tests.kit.transcript import Bindings

TAG_KEY = hashlib.sha256(b"transcripts: tag").digest()


def make_token(name: str) -> bytes:
    """The 36 characters that T1 and such stand for."""
    return tokens.deterministic(hashlib.sha256(b"transcripts: token").digest(), TAG_KEY, name.encode())


def split_answer(requests: Sequence[object], line: Message, names: Bindings) -> list[object]:
    """One result a request. AssertionError where the line doesn't fit what was asked."""
    if line.args[:1] == (Word("failure"),):
        code = line.args[1]
        assert isinstance(code, Word)
        return [Failure(Refusal(code.name, "as the transcript says")) for _ in requests]
    if isinstance(requests[0], Audit):
        assert line.args == (Word("done"),), line
        return [None for _ in requests]
    given = list(line.args[0] if isinstance(requests[0], Tokenise | Find) else line.args)  # type: ignore[arg-type]
    results: list[object] = []
    for request in requests:
        result, given = _one(request, given, names)
        results.append(result)
    assert not given, f"{len(given)} more answers than questions"
    return results


def _one(request: object, given: list[Arg], names: Bindings) -> tuple[object, list[Arg]]:
    if isinstance(request, Tokenise | Find):
        count = len(request.items)
        assert len(given) >= count, "fewer tokens than items"
        return tuple(_token(arg, names) for arg in given[:count]), given[count:]
    assert isinstance(request, Reveal), request
    count = len(request.tokens) + len(request.plain)
    assert len(given) >= count, "fewer answers than tokens and values"
    shown = [_shown(arg) for arg in given[:count]]
    found = {token: s for (_, token), s in zip(request.tokens, shown, strict=False) if s is not None}
    plain = {key: s for key, s in zip(request.plain, shown[len(request.tokens) :], strict=True) if s is not None}
    return Revealed(found, plain), given[count:]


def _token(arg: Arg, names: Bindings) -> bytes:
    if isinstance(arg, Val):
        return arg.data
    assert isinstance(arg, Word), arg
    return names.tokens.setdefault(arg.name, make_token(arg.name))


def _shown(arg: Arg) -> Shown | None:
    assert isinstance(arg, tuple), arg
    if not arg:
        return None
    level, name, value = arg
    assert isinstance(level, Word) and isinstance(name, Word) and (value is None or isinstance(value, Val))
    return Shown(name.name, level.name, None if value is None else value.data)  # type: ignore[arg-type]


# ---- requests in notation -----------------------------------------------------------------------------------------


def describe(requests: Sequence[object]) -> Message:
    """Several requests of one kind as if they had been one; a request that no transcript speaks of by its name."""
    if not requests:
        return Message("nothing")
    first = requests[0]
    if isinstance(first, Tokenise | Find):
        same = [
            request for request in requests if isinstance(request, Tokenise | Find) and type(request) is type(first)
        ]
        pairs = [(item.class_name, item.canonical) for request in same for item in request.items]
        return Message("tokenise" if isinstance(first, Tokenise) else "find", _by_class(pairs))
    if isinstance(first, Reveal):
        reveals = [request for request in requests if isinstance(request, Reveal)]
        seen = tuple(Val(token) for request in reveals for _, token in request.tokens)
        return Message("reveal", (seen, *_by_class([pair for request in reveals for pair in request.plain])))
    if isinstance(first, Audit):
        classes = tuple(Word(name) for name in first.classes)
        return Message("audit", (Word(first.action), classes, Str(first.outcome.encode())))
    return Message(type(first).__name__)


def _by_class(pairs: Sequence[tuple[str, bytes]]) -> tuple[Arg, ...]:
    """(class, value)… as CLASS [values] CLASS [values]…, runs of one class together."""
    out: list[Arg] = []
    for name, value in pairs:
        last = out[-1] if len(out) > 1 and out[-2] == Word(name) else None
        if isinstance(last, tuple):
            out[-1] = (*last, Val(value))
        else:
            out += [Word(name), (Val(value),)]
    return tuple(out)


def count(message: Message) -> int:
    """How many items an `ask` line speaks of, 1 where it has no lists."""
    return sum(len(arg) for arg in message.args if isinstance(arg, tuple)) or 1
