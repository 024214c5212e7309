"""Statements at random over schema `shop`, from a seed: tables, joins, predicates, select lists, writes.

Most of them are answered; some ask what tokens can't answer. What comes back is judged by `ways`, not here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.kit.differ import Param

EMAILS: Final = ("ann@x.org", "bob@x.org", "cy@y.net", "zoe@z.io", "Ann@x.org", "", "o'neil@x.org", "ü@☃.org", "nobody")
NAMES: Final = ("Ann Smith", "Bob Jones", "Cy O'Neil", "", "Dan Low", "Ünïcode ☃")
NOTES: Final = ("first", "third", "news", "sport", "x", "")
REFS: Final = tuple(f"6ba7b810-9dad-11d1-80b4-00c04fd430c{n}" for n in range(1, 5))
NUMBERS: Final = ("1", "2", "3", "5", "70")
POOLS: Final = {"email": EMAILS, "name": NAMES, "note": NOTES, "ref": REFS, "n": NUMBERS}


@dataclass(frozen=True)
class Made:
    sql: str
    params: tuple[Param, ...]


TABLES: Final = {
    "customers": {"id": "n", "email": "email", "full_name": "name", "ref": "ref", "note": "note", "n": "n"},
    "newsletter": {"id": "n", "email": "email", "topic": "note"},
    "sales.customers": {"id": "n", "email": "email", "name": "name", "region": "note"},
    "tenant2.customers": {"id": "n", "email": "note", "full_name": "note", "note": "note"},
    "orders": {"id": "n", "customer": "n"},
}
JOINED: Final = (("customers", "newsletter"), ("customers", "sales.customers"), ("newsletter", "sales.customers"))
PROTECTED: Final = frozenset(("email", "name", "ref"))


class Generator:
    """`next` after `next`; the same seed gives the same statements."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._params: list[Param] = []
        self._with_params = False
        self._fresh = 1000

    def next(self) -> Made:
        self._params = []
        self._with_params = self._random.random() < 0.5
        kind = self._random.choice((self._select, self._select, self._join, self._set_operation, self._write))
        sql = kind()
        return Made(sql, tuple(self._params))

    # ---- values

    def _value(self, domain: str) -> str:
        value = self._random.choice(POOLS[domain])
        if self._with_params and self._random.random() < 0.6:
            self._params.append(value)
            return f"${len(self._params)}"
        if domain == "n":
            return value
        plain = value.replace("'", "''")
        forms = [f"'{plain}'", f"'{plain}'", f"$q${value}$q$", f"E'{plain}'"]
        return self._random.choice(forms if domain != "ref" else forms[:2])

    # ---- predicates

    def _predicate(self, columns: Sequence[tuple[str, str]], depth: int = 2) -> str:
        roll = self._random.random()
        if depth and roll < 0.35:
            left, right = self._predicate(columns, depth - 1), self._predicate(columns, depth - 1)
            return f"({left} {self._random.choice(('AND', 'OR'))} {right})"
        if depth and roll < 0.42:
            return f"NOT ({self._predicate(columns, depth - 1)})"
        return self._atom(columns)

    def _atom(self, columns: Sequence[tuple[str, str]]) -> str:
        column, domain = self._random.choice(columns)
        rarely = self._random.random()
        if rarely < 0.04:
            return self._random.choice(
                (f"{column} LIKE 'a%'", f"lower({column}) = 'x'", f"{column} < {self._value(domain)}")
            )
        if rarely < 0.14:
            return self._subquery(column, domain)
        form = self._random.choice((
            "{c} = {v}", "{c} <> {v}", "{v} = {c}", "{c} IN ({v}, {v})", "{c} NOT IN ({v}, {v})", "{c} IS NULL",
            "{c} IS DISTINCT FROM {v}", "{c} IS NOT NULL", "({c}, 1) = ({v}, 1)", "{c} IN ({v}, NULL)",
        ))  # fmt: skip
        pieces = form.replace("{c}", column).split("{v}")
        return "".join([pieces[0], *(self._value(domain) + piece for piece in pieces[1:])])

    def _subquery(self, column: str, domain: str) -> str:
        source = {"email": "newsletter", "name": "sales.customers"}.get(domain)
        if source is None:
            return f"{column} IS NOT NULL"
        inner = {"email": "email", "name": "name"}[domain]
        return self._random.choice((
            f"{column} IN (SELECT {inner} FROM {source})",
            f"{column} NOT IN (SELECT {inner} FROM {source} WHERE id = 1)",
            f"EXISTS (SELECT 1 FROM {source} q WHERE q.{inner} = {column})",
            f"{column} = (SELECT {inner} FROM {source} WHERE id = 2)",
        ))  # fmt: skip

    # ---- queries

    def _select(self) -> str:
        table = self._random.choice(tuple(TABLES))
        columns = list(TABLES[table].items())
        where = f" WHERE {self._predicate(_qualified(table))}" if self._random.random() < 0.8 else ""
        roll = self._random.random()
        chosen = self._random.sample([c for c, _ in columns], self._random.randint(1, len(columns)))
        listed = ", ".join(f"t.{c}" for c in chosen)
        if roll < 0.15:
            return f"SELECT DISTINCT {listed} FROM {table} t{where}"
        if roll < 0.3:
            return f"SELECT {listed}, count(*), count(DISTINCT t.id) FROM {table} t{where} GROUP BY {listed}"
        if roll < 0.4:
            return f"SELECT * FROM (SELECT {listed} FROM {table} t{where}) s"
        if roll < 0.5:
            return f"WITH s AS (SELECT * FROM {table} t{where}) SELECT {', '.join(chosen)} FROM s"
        if roll < 0.6:
            return f"SELECT {listed} FROM {table} t{where} ORDER BY t.id LIMIT 3"
        return f"SELECT {self._random.choice(('*', 't.*', listed, 'count(*)'))} FROM {table} t{where}"

    def _join(self) -> str:
        left, right = self._random.choice(JOINED)
        columns = [(f"l.{c}", d) for c, d in TABLES[left].items()] + [(f"r.{c}", d) for c, d in TABLES[right].items()]
        how = self._random.choice(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"))
        on = self._random.choice(("ON l.email = r.email", "ON l.email = r.email AND l.id <> r.id", "USING (email)"))
        listed = ", ".join(c for c, _ in self._random.sample(columns, 3))
        chosen = "*" if self._random.random() < 0.3 else listed
        return f"SELECT {chosen} FROM {left} l {how} {right} r {on} WHERE {self._predicate(columns)}"

    def _set_operation(self) -> str:
        how = self._random.choice(("UNION", "UNION ALL", "INTERSECT", "EXCEPT"))
        left, right = self._random.choice(JOINED)
        arms = [
            f"SELECT email, id FROM {table} t WHERE {self._predicate(_qualified(table))}" for table in (left, right)
        ]
        return f"{arms[0]} {how} {arms[1]}"

    # ---- writes

    def _write(self) -> str:
        table = self._random.choice(("customers", "newsletter", "sales.customers", "tenant2.customers"))
        columns = {c: d for c, d in TABLES[table].items() if c != "id"}
        chosen = self._random.sample(list(columns), self._random.randint(1, len(columns)))
        roll = self._random.random()
        if roll < 0.5:
            self._fresh += 1
            values = ", ".join([str(self._fresh), *(self._value(columns[c]) for c in chosen)])
            conflict = self._random.choice(
                (
                    "",
                    "",
                    " ON CONFLICT DO NOTHING",
                    f" ON CONFLICT (id) DO UPDATE SET {chosen[0]} = EXCLUDED.{chosen[0]}",
                )
            )
            return f"INSERT INTO {table} (id, {', '.join(chosen)}) VALUES ({values}){conflict} RETURNING *"
        if roll < 0.85:
            assigned = ", ".join(f"{c} = {self._value(columns[c])}" for c in chosen)
            return f"UPDATE {table} t SET {assigned} WHERE {self._predicate(_qualified(table))} RETURNING *"
        return f"DELETE FROM {table} t WHERE {self._predicate(_qualified(table))} AND t.id > 900 RETURNING *"


def _qualified(table: str) -> list[tuple[str, str]]:
    """(t.column, domain) of the table."""
    return [(f"t.{column}", domain) for column, domain in TABLES[table].items()]
