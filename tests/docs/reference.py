"""The reference pages that are made from tables in the code: `python -m tests.docs.reference` writes them."""

from pathlib import Path

from proxy import config, observe
from proxy.policy import names, rules, schema, values

PAGES = Path(__file__).parents[2] / "docs" / "reference"


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


def configuration() -> str:
    settings, limits = [], []
    for row in config.table():
        default = "**must be given**" if row.default is None else f"`{row.default}`" if row.default else "not set"
        kind = row.kind.name + (", or a list" if row.kind.many else "")
        settings.append((f"`{row.name}`", kind, default, row.help, f"`{row.variable}`"))
        if row.reason:
            limits.append((f"`{row.name}`", f"`{row.default}`", row.reason))
    return f"""\
# Configuration

One YAML file, given with `-c`; by default `$PGVEIL_CONFIG`, else `pgveil.yaml`. A dot in a name is a nested mapping:
`limits.connections` is `limits: {{connections: 1000}}`. The environment variable wins over the file; an empty one
counts as not set; a list is written with commas in it. Relative paths are relative to the file (to the working
directory where there is none). Unknown keys in the file are errors, unknown `PGVEIL_…` variables are warnings. All
faults are printed at once, with file and line.

Sizes are bytes, or a number with `KiB`, `MiB` or `GiB`. Durations are seconds, or a number with `ms`, `s`, `m`, `h`
or `d`.

## Settings

{table(("setting", "type", "default", "meaning", "variable"), settings)}
## Why the limits are what they are

Each buffer, cache, queue and wait has a bound, so that no client, result or statement can take pgveil down for the
others.

{table(("setting", "default", "reason"), limits)}
## Addresses

`listen` and `admin` take `host:port`, `[v6]:port`, `unix:/directory` or `unix:/directory:port`. A Unix socket is the
file `/directory/.s.PGSQL.<port>`, as clients of PostgreSQL look for it; without a port it has that of the first TCP
address, else {config.DEFAULT_PORT}. `admin: off` serves nothing.

`upstream` takes the same, or `postgresql://host:port/?sslmode=…&sslrootcert=…&sslcert=…&sslkey=…`, whose options go
over `tls.server`. User, password and database do not belong there: clients log in as they do now.

`upstream` may be a list: a primary and its physical standbys, in the order in which they are tried, as libpq does with
several hosts. `target_session_attrs` says which of them will do. Options of one URL hold for all. The `catalog` account
then logs in at these servers; `catalog` names one of them, or no host (`postgresql://reader@/shop`). See
[several servers](../howto/several-servers.md).

`policies` are files or patterns (`*`, `**`). A pattern that finds nothing is a fault: `[]` is how one says that
nothing is protected.
"""


def policy() -> str:
    def keys(prefix: str) -> str:
        found = [(key, text) for key, text in schema.HELP.items() if key.rpartition(".")[0] == prefix]
        return table(("key", "meaning"), [(f"`{key.rpartition('.')[2]}`", text) for key, text in found])

    kinds = [
        (f"`{kind}`", f"`{values.FORMS[kind]}`", values.PROMISES[kind], values.REASONS[kind]) for kind in rules.KINDS
    ]
    spellings: dict[str, list[str]] = {}
    for spelling, name in names.TYPES.items():
        spellings.setdefault(name, []).append(spelling)
    types = [(f"`{name}`", ", ".join(f"`{each}`" for each in all_of)) for name, all_of in spellings.items()]
    forms = (values.__doc__ or "").split("\n\n")[-1].strip()
    return f"""\
# Policy

YAML files that say what is personal data, where it is, and who gets it. Several files are taken together: classes and
tables of all, roles one file after the other. `pgveil policy schema` prints the JSON Schema for editors; `pgveil
check` holds a policy against the live catalog. All faults are printed at once, with file and line; a policy with a
fault is not used, the one before it stays.

Names of tables and columns are the catalog's, case and all; a part with a dot or a quote in it is quoted:
`public."odd.name"`. A table without a database part is the one of every database of the server.

## A file

{keys("")}
## A class

{keys("class")}
### Kinds

{table(("kind", "normal form", "what `mask` shows at most", "what `invalid: reject` asks for"), kinds)}
An empty value is masked as an empty value, as NULL stays NULL.

### Normal forms

Used by `canonicalize: true`, by `search: normalized` and to recognise what is invalid. Unless a class asks for it, no
value is changed or refused.

```
{forms}
```

## A column

`column: class`, or a mapping:

{keys("column")}
### Types that a column can show

{table(("type", "spellings"), types)}
`numeric` without a scale calls 1.0 and 1.00 equal, so its class must say `canonicalize: true`.

## A role

{keys("role")}
### Levels

| level | reads | writes | searches by value |
| --- | --- | --- | --- |
| `reveal` | values | yes | yes |
| `mask` | masks | only if `write` says so | only if `search` says so |
| `token` | tokens | yes; a token of ours stands for itself | only if `search` says so |
| `deny` | nothing: 42501 | no, whatever `write` says | no, whatever `search` says |

Patterns, ranges and order rebuild a value bit by bit, so they take `reveal`, whatever `search` says.

### Whom a role matches

{keys("match")}
A principal that no role matches has level `token` for every class: it sees no value, and what it writes is tokenised,
so that an application with a wrong name loses no data.

## Records

{keys("record")}
### Keys of records

{keys("key")}"""


def metrics() -> str:
    rows = []
    for metric in observe.METRICS:
        labels = []
        for label, bound in metric.labels.items():
            several = ", ".join(bound) if isinstance(bound, tuple) else f"at most {bound}"
            labels.append(f"`{label}` ({several})")
        rows.append((f"`{metric.full_name}`", metric.type, "; ".join(labels), metric.help))
    facts = [(f"`{name}`", fact.help) for name, fact in observe.FACTS.items()]
    return f"""\
# Metrics and logs

## Metrics

At `/metrics` of the admin port, in Prometheus' text format, with `pgveil_process_…` of the process itself. Labels
have bounded sets of values; what goes beyond is counted under `{observe.OTHER}`.

{table(("metric", "type", "labels", "meaning"), rows)}
## Facts in log lines

A line has a time, a level, an event and facts, plain (`event name=value`) or as JSON (`log.format`). Nothing but
these facts can stand in a line; of what libraries log, only their name and the type of the error is kept.

{table(("fact", "meaning"), facts)}"""


MADE = {"configuration.md": configuration, "policy.md": policy, "metrics.md": metrics}

if __name__ == "__main__":
    for name, make in MADE.items():
        (PAGES / name).write_text(make(), encoding="utf-8")
