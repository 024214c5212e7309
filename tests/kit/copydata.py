"""Odd COPY data: options and streams that sit where the rules for quotes, escapes, line ends and markers meet.

Not here: what it means; tests ask the server.
"""

from dataclasses import replace
from random import Random

from proxy.wire.copyfields import CopyFields
from proxy.wire.copyrows import BadCopy, CopyFormat, CopyRows

WIDTH = 2
ENDS = (b"\n", b"\n", b"\r\n", b"\r")
ODD = (b"a", b"N", b"D", b"x", b"7", b"\\", b"\\.", b"\\N", b"\\x41", b"\\07", b"\n", b"\r", b"\r\n", "ü".encode())


def option(name: str, word: bytes) -> str:
    return f"{name} '{word.decode()}'"


def columns(name: str, found: frozenset[int]) -> str:
    return f"{name} ({', '.join('ab'[index] for index in sorted(found))})"


def base(random: Random) -> tuple[CopyFormat, list[str]]:
    """A format with what counts in both directions."""
    csv = random.random() < 0.5
    delimiter = random.choice([b",", b",", b"|", b";", b"\t"] if csv else [b"\t", b"\t", b"|", b","])
    null = random.choice([b"", b"", b"N", b"\\N"] if csv else [b"\\N", b"\\N", b"", b"N", b"\\a"])
    quote = random.choice([b'"', b'"', b"'"])
    escape = random.choice([quote, quote, b"\\", b"x"])
    made = CopyFormat("csv" if csv else "text", delimiter, null, quote, escape)
    words = [f"FORMAT {made.kind}", option("DELIMITER", delimiter), option("NULL", null)]
    if csv:
        words += [option(name, mark.replace(b"'", b"''")) for name, mark in (("QUOTE", quote), ("ESCAPE", escape))]
    return made, words


def form(random: Random, version: int) -> tuple[CopyFormat, str]:
    """A format and the options of COPY FROM that say so, for columns a and b. version: of the server, 18."""
    made, words = base(random)
    sets = [frozenset(each) for each in ((), (), (0,), (1,), (0, 1))] if made.kind == "csv" else [frozenset[int]()]
    not_null, null_quoted = random.choice(sets), random.choice(sets)
    default = random.choice([None, None, b"D", b"\\D"]) if version >= 16 else None
    header = random.random() < 0.2
    words.append(f"HEADER {header}")
    words += [columns("FORCE_NOT_NULL", not_null)] if not_null else []
    words += [columns("FORCE_NULL", null_quoted)] if null_quoted else []
    words += [option("DEFAULT", default)] if default else []
    made = replace(
        made, header=header, default=default, not_null=not_null, null_quoted=null_quoted, dot_ends=version < 18
    )
    return made, f"({', '.join(words)})"


def stream(random: Random, form: CopyFormat) -> bytes:
    """Some lines: mostly of WIDTH fields, mostly ended alike."""
    marks = (*ODD, form.delimiter, form.quote, form.escape)
    end = random.choice(ENDS)
    out = b""
    for _ in range(random.randrange(1, 5)):
        if random.random() < 0.06:
            out += b"\\." + end
            continue
        out += form.delimiter.join([field(random, form, marks) for _ in range(WIDTH)])
        out += end if random.random() < 0.93 else random.choice((b"", *ENDS))
    return out


def field(random: Random, form: CopyFormat, marks: tuple[bytes, ...]) -> bytes:
    """Marks as they come, a value well written, or one of the words that mean something."""
    value = b"".join([random.choice(marks) for _ in range(random.randrange(4))])
    kind = random.random()
    if kind < 0.3:
        return value
    if kind < 0.7:
        return CopyFields(form, WIDTH).encode(value, 0) or b""
    return random.choice((form.null, form.default or b"", b"\\."))


def changed(form: CopyFormat, data: bytes, size: int, mark: bytes) -> bytes:
    """The stream with `mark` behind each value, read in pieces of `size`. Raises BadCopy."""
    rows, fields = CopyRows(form), CopyFields(form, WIDTH)
    parts = [part for at in range(0, len(data), size) for part in rows.feed(data[at : at + size])] + rows.finish()
    found = fields.split(parts)
    if any(len(row) != WIDTH for row in found):
        raise BadCopy("fields")
    for index in range(WIDTH):
        for row, value in zip(found, fields.decode_all([row[index] for row in found], index), strict=True):
            if isinstance(value, bytes):
                row[index] = fields.encode(value + mark, index)
    return b"".join(fields.join(parts, found))
