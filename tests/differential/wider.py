"""Statements at random, put together from expressions: CASE, COALESCE, NULLIF, VALUES, unnest(), windows, LATERAL,
INSERT … SELECT, UPDATE … FROM, writing CTEs, grouping sets, PREPARE and EXECUTE, over texts, dates, numbers, char(n).

Much of it is refused; what comes back is judged by `ways`, not here. No result has an order of its own.
"""

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from tests.differential.generate import EMAILS, NAMES, NOTES, NUMBERS, REFS, Made
from tests.kit.differ import Param

PHONES: Final = ("+12025550101", "", "+442079460000", "x")
CODES: Final = ("A-1", "B-2", "B-2  ", "", "x")
DATES: Final = ("1990-02-28", "2000-12-31", "1999-01-01", "infinity")
SCORES: Final = ("5", "-5", "0", "77")
MONEY: Final = ("10.5", "10.50", "0", "-10.5", "99.999")
MOMENTS: Final = (
    "2020-01-02 03:04:05+00",
    "2020-01-02 04:04:05+01",
    "1999-12-31 23:59:59Z",
    "2020-01-02 03:04:05.678+00",
)
POOLS: Final = {
    "email": EMAILS, "name": NAMES, "note": NOTES, "ref": REFS, "n": NUMBERS, "phone": PHONES, "code": CODES,
    "born": DATES, "score": SCORES, "money": MONEY, "moment": MOMENTS,
}  # fmt: skip
TYPES: Final = {
    "email": "text", "name": "varchar", "note": "text", "ref": "uuid", "n": "int", "phone": "text",
    "code": "char(40)", "born": "date", "score": "int", "money": "numeric(10,2)", "moment": "timestamptz",
}  # fmt: skip
TABLES: Final = {
    "customers": {
        "id": "n", "email": "email", "full_name": "name", "phone": "phone", "ref": "ref", "note": "note",
        "city": "note", "n": "n",
    },
    "newsletter": {"id": "n", "email": "email", "topic": "note"},
    "codes": {"id": "n", "code": "code", "name": "name", "note": "note"},
    "measures": {
        "id": "n", "born": "born", "score": "score", "balance": "money", "seen": "moment", "tag": "ref", "n": "n",
    },
    "sales.customers": {"id": "n", "email": "email", "name": "name", "region": "note"},
}  # fmt: skip
Column = tuple[str, str]  # (as it is written, domain)


class Wider:
    """`next` after `next`; the same seed gives the same statements."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._params: list[Param] = []
        self._with_params = False
        self._fresh = 2000
        self._waiting: list[Made] = []
        self._alias = 0

    def next(self) -> Made:
        if self._waiting:
            return self._waiting.pop(0)
        self._params, self._alias = [], 0
        self._with_params = self._random.random() < 0.5
        kinds: tuple[Callable[[], str], ...] = (
            self._query, self._query, self._query, self._grouped, self._windowed, self._insert,
            self._insert_select, self._update,
            self._update_from, self._writing_cte, self._delete, self._prepared,
        )  # fmt: skip
        sql = self._random.choice(kinds)()
        return self._tidy(sql)

    def _tidy(self, sql: str) -> Made:
        """Without the parameters of choices that were not taken."""
        used = sorted({int(number) for number in re.findall(r"\$(\d+)", sql)})
        sql = re.sub(r"\$(\d+)", lambda found: f"${used.index(int(found[1])) + 1}", sql)
        return Made(sql, tuple([self._params[number - 1] for number in used]))

    # ---- values and expressions

    def _pick(self, *choices: str) -> str:
        return self._random.choice(choices)

    def _often(self, share: float) -> bool:
        return self._random.random() < share

    def _value(self, domain: str) -> str:
        if self._often(0.07):
            return "NULL"
        value = self._random.choice(POOLS[domain])
        if self._with_params and self._often(0.6):
            self._params.append(None if self._often(0.05) else value)
            cast = f"::{TYPES[domain]}" if self._often(0.3) else ""
            return f"${len(self._params)}{cast}"
        if domain in ("n", "score", "money") and self._often(0.6):
            return value
        plain = value.replace("'", "''")
        forms = [
            f"'{plain}'",
            f"'{plain}'",
            f"$q${value}$q$" if not value[:1].isdigit() else f"'{plain}'",
            f"E'{plain}'",
            f"'{plain}'::{TYPES[domain]}",
            f"CAST('{plain}' AS {TYPES[domain]})",
        ]
        if domain in ("born", "ref", "moment"):
            forms.append(f"{TYPES[domain]} '{plain}'")
        return self._random.choice(forms)

    def _expression(self, domain: str, columns: Sequence[Column], depth: int = 2) -> str:
        """Of that domain: a column, seldom a value, or a choice among such."""
        of = [c for c, d in columns if d == domain]
        if not depth or self._often(0.6):
            return self._random.choice(of) if of and self._often(0.8) else self._value(domain)
        one, two = (self._expression(domain, columns, depth - 1) for _ in range(2))
        roll = self._random.random()
        if roll < 0.3:
            return f"COALESCE({one}, {two})"
        if roll < 0.5 or not columns:
            return f"NULLIF({one}, {two})"
        if roll < 0.75:
            return f"CASE WHEN {self._predicate(columns, depth - 1)} THEN {one} ELSE {two} END"
        if roll < 0.85:
            what, d = self._random.choice(list(columns))
            return f"CASE {what} WHEN {self._value(d)} THEN {one} WHEN {self._value(d)} THEN {two} END"
        if roll < 0.95:
            found = self._source(domain)
            if found is not None:
                table, column = found
                return f"(SELECT s.{column} FROM {table} s WHERE s.id = {self._value('n')})"
        return f"({one})"

    def _source(self, domain: str) -> Column | None:
        places = [(t, c) for t, cs in TABLES.items() for c, d in cs.items() if d == domain and c != "id"]
        return self._random.choice(places) if places else None

    def _predicate(self, columns: Sequence[Column], depth: int = 1) -> str:
        roll = self._random.random()
        if depth and roll < 0.3:
            left, right = (self._predicate(columns, depth - 1) for _ in range(2))
            return f"({left} {self._pick('AND', 'OR')} {right})"
        if depth and roll < 0.37:
            return f"NOT ({self._predicate(columns, depth - 1)})"
        column, domain = self._random.choice(list(columns))
        if roll < 0.5:
            left, right = (self._expression(domain, columns, 1) for _ in range(2))
            return f"{left} {self._pick('=', '<>', 'IS DISTINCT FROM')} {right}"
        if roll < 0.6:
            values = ", ".join(self._value(domain) for _ in range(self._random.randint(1, 3)))
            return (
                self._pick(
                    f"{column} {self._pick('', 'NOT ')}IN ({values})",
                    f"{column} IN (VALUES {', '.join(f'({v})' for v in values.split(', '))})",
                )
                if "," not in "".join(POOLS[domain])
                else f"{column} IS NULL"
            )
        if roll < 0.68 and domain not in ("n",):
            items = [None if self._often(0.1) else self._random.choice(POOLS[domain]) for _ in range(2)]
            base = TYPES[domain].split("(")[0].replace("varchar", "text")
            if self._with_params:
                self._params.append(list(items))
                return f"{column} {self._pick('= ANY', '<> ALL')} (${len(self._params)}::{base}[])"
            made = ", ".join(self._value(domain) for _ in items)
            return f"{column} {self._pick('= ANY', '<> ALL')} (ARRAY[{made}]::{base}[])"
        if roll < 0.78:
            found = self._source(domain)
            if found is not None:
                table, other = found
                return self._pick(
                    f"{column} {self._pick('', 'NOT ')}IN (SELECT {other} FROM {table})",
                    f"EXISTS (SELECT 1 FROM {table} q WHERE q.{other} = {column})",
                    f"{column} = ANY (SELECT {other} FROM {table} q WHERE q.id <> {self._pick('1', '2')})",
                    f"({column}, 1) IN (SELECT {other}, 1 FROM {table})",
                )
        if roll < 0.84:
            return f"{column} IS {self._pick('', 'NOT ')}NULL"
        return f"{column} {self._pick('=', '<>', '=')} {self._value(domain)}"

    # ---- FROM

    def _from(self) -> tuple[str, list[Column]]:
        """A FROM clause and what columns it has."""
        text, columns = self._item()
        if self._often(0.4):
            more, others = self._item()
            domains = {d for _, d in columns} & {d for _, d in others} - {"n"}
            roll = self._random.random()
            if domains and roll < 0.7:
                domain = self._random.choice(sorted(domains))
                left = self._random.choice([c for c, d in columns if d == domain])
                right = self._random.choice([c for c, d in others if d == domain])
                text += f" {self._pick('JOIN', 'LEFT JOIN', 'FULL JOIN', 'RIGHT JOIN')} {more} ON {left} = {right}"
            elif roll < 0.85:
                text += f" JOIN {more} ON {columns[0][0]} = {others[0][0]}"
            else:
                text += f" CROSS JOIN {more}"
            columns = columns + others
        if self._often(0.1):
            outer, domain = self._random.choice(columns)
            found = self._source(domain)
            if found is not None:
                self._alias += 1
                inner = f"SELECT l.{found[1]} AS x, l.id FROM {found[0]} l WHERE l.{found[1]} = {outer}"
                text += f" CROSS JOIN LATERAL ({inner} ORDER BY l.id LIMIT 2) l{self._alias}"
                columns = [*columns, (f"l{self._alias}.x", domain)]
        return text, columns

    def _item(self) -> tuple[str, list[Column]]:
        self._alias += 1
        name = f"t{self._alias}"
        table = self._random.choice(tuple(TABLES))
        known = TABLES[table]
        roll = self._random.random()
        if roll < 0.55:
            return f"{table} {name}", [(f"{name}.{c}", d) for c, d in known.items()]
        if roll < 0.7:
            chosen = self._random.sample(list(known), self._random.randint(1, len(known)))
            inner = [(f"i.{c}", d) for c, d in known.items()]
            where = f" WHERE {self._predicate(inner)}" if self._often(0.6) else ""
            distinct = "DISTINCT " if self._often(0.3) else ""
            return f"(SELECT {distinct}{', '.join('i.' + c for c in chosen)} FROM {table} i{where}) {name}", [
                (f"{name}.{c}", known[c]) for c in chosen
            ]
        if roll < 0.8:
            domain = self._random.choice(list(known.values()))
            inner = [(f"i.{c}", d) for c, d in known.items()]
            made = self._expression(domain, inner)
            return f"(SELECT i.id, {made} AS x FROM {table} i) {name}", [(f"{name}.id", "n"), (f"{name}.x", domain)]
        domain = self._random.choice([d for d in known.values() if d != "n"] or ["note"])
        if roll < 0.88:
            rows = ", ".join(f"({i}, {self._value(domain)})" for i in range(1, self._random.randint(2, 4)))
            return f"(VALUES {rows}) {name} (k, v)", [(f"{name}.k", "n"), (f"{name}.v", domain)]
        if roll < 0.94:
            how = self._pick("UNION", "UNION ALL", "EXCEPT", "INTERSECT")
            found = self._source(domain)
            if found is not None:
                other = self._source(domain) or found
                return (
                    f"(SELECT id, {found[1]} AS v FROM {found[0]} {how} SELECT id, {other[1]} FROM {other[0]}) {name}",
                    [(f"{name}.id", "n"), (f"{name}.v", domain)],
                )
        base = TYPES[domain].split("(")[0].replace("varchar", "text")
        if self._with_params:
            self._params.append([self._random.choice(POOLS[domain]) for _ in range(3)])
            return f"unnest(${len(self._params)}::{base}[]) {name} (v)", [(f"{name}.v", domain)]
        return f"unnest(ARRAY[{self._value(domain)}, {self._value(domain)}]::{base}[]) {name} (v)", [
            (f"{name}.v", domain)
        ]

    # ---- queries

    def _query(self) -> str:
        source, columns = self._from()
        listed = []
        for i in range(self._random.randint(1, 4)):
            column, domain = self._random.choice(columns)
            listed.append(column if self._often(0.6) else f"{self._expression(domain, columns)} AS e{i}")
        roll = self._random.random()
        if roll < 0.1:
            listed.append(self._predicate(columns) + " AS p")
        where = f" WHERE {self._predicate(columns, 2)}" if self._often(0.7) else ""
        if roll < 0.2:
            return f"SELECT DISTINCT {', '.join(listed)} FROM {source}{where}"
        if roll < 0.27:
            return f"WITH w AS (SELECT {', '.join(listed[:1])} FROM {source}{where}) SELECT * FROM w"
        if roll < 0.33:
            inner = f"SELECT {listed[0]} FROM {source}{where}"
            return f"WITH w (a) AS MATERIALIZED ({inner}) SELECT a, count(*) FROM w GROUP BY a"
        if roll < 0.38:
            return (
                f"SELECT count(*) FROM (SELECT {', '.join(listed)} FROM {source}{where}) c"
                if len({part.split(" AS ")[-1].split(".")[-1] for part in listed}) == len(listed)
                else f"SELECT count(*) FROM {source}{where}"
            )
        return f"SELECT {self._pick(', '.join(listed), ', '.join(listed), '*')} FROM {source}{where}"

    def _grouped(self) -> str:
        source, columns = self._from()
        column, domain = self._random.choice(columns)
        key = column if self._often(0.7) else self._expression(domain, columns, 1)
        other, _ = self._random.choice(columns)
        where = f" WHERE {self._predicate(columns)}" if self._often(0.5) else ""
        more = self._pick(
            "count(*)",
            f"count({other})",
            f"count(DISTINCT {other})",
            f"count(*) FILTER (WHERE {self._predicate(columns, 0)})",
            f"bool_or({self._predicate(columns, 0)})",
        )
        by = (
            self._pick(
                f"GROUP BY {key}", "GROUP BY 1", f"GROUP BY ROLLUP ({key})", f"GROUP BY GROUPING SETS (({key}), ())"
            )
            if "$" not in key and "'" not in key
            else "GROUP BY 1"
        )
        having = f" HAVING count(*) {self._pick('>', '=')} 1" if self._often(0.3) else ""
        return f"SELECT {key} AS k, {more} FROM {source}{where} {by}{having}"

    def _windowed(self) -> str:
        table = self._pick(*TABLES)
        columns = [(f"t.{c}", d) for c, d in TABLES[table].items()]
        column, domain = self._random.choice(columns)
        part, _ = self._random.choice(columns)
        over = self._pick(
            f"(PARTITION BY {part} ORDER BY t.id)",
            "(ORDER BY t.id)",
            f"(PARTITION BY {part} ORDER BY t.id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)",
        )
        function = self._pick(
            f"lag({column}) OVER {over}", f"lead({column}, 2) OVER {over}", f"first_value({column}) OVER {over}",
            f"last_value({column}) OVER {over}",
            f"nth_value({column}, 2) OVER {over}", f"row_number() OVER {over}", f"count({column}) OVER {over}",
            f"lag({column}, 1, {self._value(domain)}) OVER {over}",
            f"lag({column}, 1, {column}) OVER {over}", f"rank() OVER {over}",
        )  # fmt: skip
        where = f" WHERE {self._predicate(columns)}" if self._often(0.5) else ""
        if self._often(0.3):
            return f"SELECT * FROM (SELECT t.id, {function} AS f FROM {table} t{where}) s WHERE s.f IS NOT NULL"
        return f"SELECT t.id, {column}, {function} FROM {table} t{where}"

    # ---- writes

    def _conflict(self, table: str, chosen: list[str], domains: dict[str, str]) -> str:
        roll = self._random.random()
        if roll < 0.4:
            return ""
        if roll < 0.5:
            return " ON CONFLICT DO NOTHING"
        target = self._pick("id", "id", "email" if table == "customers" else "id")
        c = chosen[0]
        columns = [(f"x.{n}", d) for n, d in domains.items()] + [(f"EXCLUDED.{n}", d) for n, d in domains.items()]
        made = self._pick(f"EXCLUDED.{c}", self._expression(domains[c], columns, 1), f"x.{c}", "DEFAULT")
        where = f" WHERE {self._predicate(columns, 1)}" if self._often(0.3) else ""
        return f" ON CONFLICT ({target}) DO UPDATE SET {c} = {made}{where}"

    def _target(self) -> tuple[str, dict[str, str], list[str]]:
        table = self._pick(*TABLES)
        domains = {c: d for c, d in TABLES[table].items() if c != "id"}
        return table, domains, self._random.sample(list(domains), self._random.randint(1, len(domains)))

    def _returning(self, columns: Sequence[Column] = ()) -> str:
        if columns and self._often(0.3):
            column, domain = self._random.choice(list(columns))
            return f" RETURNING {self._expression(domain, columns)} AS r, {column}"
        return self._pick(" RETURNING *", " RETURNING *", "")

    def _insert(self) -> str:
        table, domains, chosen = self._target()
        rows = []
        for _ in range(self._random.randint(1, 3)):
            self._fresh += 1
            made = [
                self._pick("DEFAULT", "NULL")
                if self._often(0.08)
                else self._expression(domains[c], [], 1 if self._often(0.3) else 0)
                for c in chosen
            ]
            rows.append(
                f"({self._pick(str(self._fresh), str(self._fresh), self._pick('1', '2', '3'))}, {', '.join(made)})"
            )
        columns = [(f"x.{c}", d) for c, d in domains.items()]
        into = f"INSERT INTO {table} AS x (id, {', '.join(chosen)})"
        end = self._conflict(table, chosen, domains) + self._returning(columns)
        return f"{into} VALUES {', '.join(rows)}{end}"

    def _insert_select(self) -> str:
        table, domains, chosen = self._target()
        self._fresh += 100
        into = f"INSERT INTO {table} AS x (id, {', '.join(chosen)})"
        if self._often(0.5):
            own = [(f"o.{c}", d) for c, d in TABLES[table].items()]
            made = ", ".join(self._expression(domains[c], own, 1) for c in chosen)
            end = self._conflict(table, chosen, domains) + self._returning()
            return f"{into} SELECT o.id + {self._fresh}, {made} FROM {table} o WHERE o.id < 7{end}"
        source, columns = self._from()
        made = ", ".join(self._expression(domains[c], columns, 1) for c in chosen)
        number = f"{columns[0][0]} + {self._fresh}" if columns[0][1] == "n" else str(self._fresh)
        where = f" WHERE {self._predicate(columns)}" if self._often(0.6) else ""
        return f"{into} SELECT {number}, {made} FROM {source}{where}{self._returning()}"

    def _update(self) -> str:
        table, domains, chosen = self._target()
        columns = [(f"t.{c}", d) for c, d in TABLES[table].items()]
        if self._often(0.2):
            made = ", ".join(self._expression(domains[c], columns) for c in chosen)
            assigned = f"({', '.join(chosen)}) = ROW({made})"
        else:
            assigned = ", ".join(f"{c} = {self._expression(domains[c], columns)}" for c in chosen)
        return f"UPDATE {table} t SET {assigned} WHERE {self._predicate(columns, 2)}{self._returning(columns)}"

    def _update_from(self) -> str:
        table, domains, chosen = self._target()
        [(f"t.{c}", d) for c, d in TABLES[table].items()]
        c = chosen[0]
        domain = domains[c]
        rows = ", ".join(f"({i}, {self._value(domain)})" for i in range(1, self._random.randint(2, 5)))
        v = f"(VALUES {rows}) v (id, w)"
        made = self._expression(domain, [("v.w", domain), (f"t.{c}", domain)], 1)
        how = self._pick("v.id = t.id", "v.id = t.id", f"v.w = t.{c} AND v.id = t.id")
        end = self._pick(" RETURNING t.*", "", f" RETURNING t.id, t.{c}")
        return f"UPDATE {table} t SET {c} = {made} FROM {v} WHERE {how}{end}"

    def _writing_cte(self) -> str:
        table, domains, chosen = self._target()
        c = chosen[0]
        columns = [(f"t.{n}", d) for n, d in TABLES[table].items()]
        other = self._source(domains[c]) or (table, c)
        self._fresh += 100
        if self._often(0.5):
            made, where = self._expression(domains[c], columns, 1), self._predicate(columns)
            return f"WITH d AS (UPDATE {table} t SET {c} = {made} WHERE {where} RETURNING t.id, t.{c}) SELECT * FROM d"
        gone = f"DELETE FROM {table} t WHERE {self._predicate(columns)} AND t.id > 900 RETURNING t.id, t.{c}"
        moved = (
            f"INSERT INTO {other[0]} (id, {other[1]}) SELECT id + {self._fresh}, {c} FROM d RETURNING id, {other[1]}"
        )
        return f"WITH d AS ({gone}), i AS ({moved}) SELECT * FROM i"

    def _delete(self) -> str:
        table, _, _ = self._target()
        columns = [(f"t.{c}", d) for c, d in TABLES[table].items()]
        if self._often(0.3):
            where = self._predicate([*columns, ("u.email", "email")])
            end = self._pick(" RETURNING t.*", "")
            return f"DELETE FROM {table} t USING newsletter u WHERE {where} AND t.id > 900{end}"
        return f"DELETE FROM {table} t WHERE {self._predicate(columns)} AND t.id > 900 RETURNING *"

    # ---- PREPARE

    def _prepared(self) -> str:
        self._with_params = True
        kind = self._random.choice((self._query, self._update, self._insert, self._grouped))
        for _ in range(20):
            self._params, self._alias = [], 0
            sql = kind()
            if not any(isinstance(param, list) for param in self._params):
                break
        else:
            return "SELECT 1"
        made = self._tidy(sql)
        sql, self._params = made.sql, list(made.params)
        given, self._params, self._with_params = self._params, [], False
        for _ in range(self._random.randint(1, 3)):
            literals = ", ".join("NULL" if p is None else "'" + str(p).replace("'", "''") + "'" for p in given)
            self._waiting.append(Made(f"EXECUTE wider({literals})" if given else "EXECUTE wider", ()))
        self._waiting.append(Made("DEALLOCATE wider", ()))
        self._waiting.insert(0, Made(f"PREPARE wider AS {sql}", ()))
        return "SELECT 1"
