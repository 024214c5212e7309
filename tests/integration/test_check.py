"""`pgveil check` against real servers: every fault planted, a sound schema, no server, no vault."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from proxy import tokens
from proxy.net.check_findings import CODES
from proxy.vault.keys import init_key_file, load_provider, new_key_document, open_keyring
from proxy.vault.sqlite import SqliteStore
from tests.kit.servers import ROOT, Server, free_port, fresh_database

pytestmark = pytest.mark.server

READER = "check_reader"
CANARY = "canary-7f3a@example.com"

CLEAN_SQL = """
CREATE TABLE customers (
    id bigint PRIMARY KEY,
    email varchar(60) UNIQUE CHECK (email IS NOT NULL),
    name text DEFAULT NULL,
    born text,
    code char(40),
    CHECK (email ~ '^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$')
);
CREATE INDEX ON customers (name varchar_ops) WHERE name IS NOT NULL;
CREATE INDEX ON customers USING hash (born);
CREATE TABLE newsletter (email varchar(60) REFERENCES customers (email));
CREATE TABLE visits (id bigint, email text, at date) PARTITION BY RANGE (at);
CREATE TABLE visits_now PARTITION OF visits DEFAULT;
ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_id ON customers USING (id > 0);
"""
CLEAN_POLICY = """\
version: 1
classes:
  email: {kind: email}
  name: {kind: name, search: [casefold]}
  born: {kind: date}
protect:
  public.customers:
    email: email
    name: name
    born: {class: born, type: date}
    code: name
  public.newsletter: {email: email}
  public.visits: {email: email}
roles:
  - {name: app, match: {user: postgres}, access: {default: reveal}}
"""

FAULTY_SQL = f"""
CREATE DOMAIN mail AS text CHECK (VALUE LIKE '%@%');
CREATE TABLE types (
    a integer, b varchar(20), e mail, f uuid, g text GENERATED ALWAYS AS ('x' || h) STORED, h text, i char(10), j date
);
CREATE TABLE people (
    id int PRIMARY KEY,
    email text DEFAULT 'nobody@example.com' CHECK (email LIKE '%@%') UNIQUE,
    phone text CHECK (length(phone) < 99),
    name text,
    street text UNIQUE,
    lowered text GENERATED ALWAYS AS (lower(email)) STORED,
    found tsvector
);
CREATE UNIQUE INDEX people_lower ON people (lower(name));
CREATE INDEX people_words ON people USING gin (to_tsvector('simple', name));
CREATE INDEX people_pattern ON people (name text_pattern_ops);
CREATE INDEX people_order ON people USING brin (name);
CREATE INDEX people_partial ON people (id) WHERE phone LIKE '+49%';
CREATE STATISTICS people_stats ON name, phone FROM people;
CREATE STATISTICS people_upper ON (upper(phone)) FROM people;
ALTER TABLE people ADD CONSTRAINT people_apart EXCLUDE USING btree (phone WITH =);
ALTER TABLE people ADD CONSTRAINT people_round EXCLUDE USING btree (lower(name) WITH =);
CREATE FUNCTION fold() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.email := lower(NEW.email); RETURN NEW; END$$;
CREATE TRIGGER folding BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION fold();
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql
    AS $$BEGIN IF NEW.phone = 'x' THEN INSERT INTO journal VALUES (to_jsonb(NEW)); END IF; RETURN NEW; END$$;
CREATE TRIGGER looking BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION look();
CREATE TRIGGER words BEFORE INSERT ON people FOR EACH ROW
    EXECUTE FUNCTION tsvector_update_trigger(found, 'pg_catalog.simple', name);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE TRIGGER conditional BEFORE UPDATE ON people FOR EACH ROW
    WHEN (NEW.name LIKE 'A%' AND OLD.phone IS DISTINCT FROM NEW.phone) EXECUTE FUNCTION nothing();
CREATE FUNCTION count_people() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.people';
CREATE RULE logged AS ON DELETE TO people DO ALSO NOTIFY gone;
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON people USING (email = current_user);
CREATE POLICY twins ON people USING (email = name);
CREATE PUBLICATION feed FOR TABLE people;
CREATE TABLE orders (email text REFERENCES people (email), phone text);
CREATE TABLE plain (email text REFERENCES people (email));
CREATE TABLE ranged (email text, v text) PARTITION BY RANGE (email);
CREATE TABLE hashed (email text, v text) PARTITION BY HASH (email);
CREATE TABLE joined (email uuid, born text);
CREATE TABLE theirs (email text);
CREATE TABLE old (email text);
INSERT INTO old VALUES ('{CANARY}');
GRANT SELECT ON old, theirs TO {READER};
CREATE VIEW seen AS SELECT id, email FROM people;
CREATE VIEW listed AS SELECT count(*) FROM people;
CREATE FUNCTION runs(text, text) RETURNS text LANGUAGE plpgsql AS $$BEGIN EXECUTE $1 || $2; RETURN $1; END$$;
CREATE OPERATOR ### (LEFTARG = text, RIGHTARG = text, FUNCTION = runs);
CREATE AGGREGATE running (text) (SFUNC = runs, STYPE = text);
CREATE TABLE filled (v text DEFAULT runs('SELECT ', '1'));
CREATE VIEW run AS SELECT runs('SELECT ', '1');
CREATE TYPE pair AS (a text, b text);
CREATE FUNCTION paired(pair) RETURNS text LANGUAGE sql AS $$SELECT runs($1.a, $1.b)$$;
CREATE CAST (pair AS text) WITH FUNCTION paired;
"""

# What not every build of PostgreSQL has: (how to ask, what to plant, the marks that are expected then).
CITEXT = "SELECT 1 FROM pg_available_extensions WHERE name = 'citext'"
TRIGRAM = "SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm'"
ICU = "SELECT 1 FROM pg_collation WHERE collprovider = 'i' AND collname = 'de-x-icu'"
OPTIONAL = {
    "types.c": (CITEXT, "CREATE EXTENSION citext; ALTER TABLE types ADD c citext"),
    "people.name trigram": (
        TRIGRAM,
        "CREATE EXTENSION pg_trgm; CREATE INDEX people_trgm ON people USING gin (name gin_trgm_ops)",
    ),
    "types.d": (
        ICU,
        "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
        "ALTER TABLE types ADD d text COLLATE folded",
    ),
}

FAULTY_POLICY = """\
version: 1
classes:
  email: {kind: email}
  phone: {kind: phone}
  name: {kind: name}
  street: {kind: address, tokens: random}
protect:
  public.people:
    email: email         # people.email
    phone: phone         # people.phone
    name: name           # people.name
    street: street       # people.street
    nmae: name           # people.nmae
  public.types:
    a: name              # types.a
    b: name              # types.b
    c: email             # types.c
    d: name              # types.d
    e: email             # types.e
    f: email             # types.f
    g: name              # types.g
    i: name              # types.i
    j: name              # types.j
  public.seen: {email: email}     # seen
  public.peopel: {email: email}   # peopel
  public.orders:
    email: phone         # orders.email
  public.ranged: {email: email}   # ranged
  public.hashed: {email: email}   # hashed
  public.joined:
    email: email         # joined.email
    born: {class: name, type: date}   # joined.born
  public.old: {email: email}      # old
  public.theirs: {email: email}   # theirs
  nowhere.public.guests: {email: email}   # nowhere
roles:
  - {name: masked, match: {application_name: "shop-*"}, access: {default: token}}
  - {name: shadowed, match: {application_name: shop-web, user: postgres}, access: {default: token}}   # shadowed
  - {name: ghost, match: {user: nobdy}, access: {default: token}}   # ghost
  - {name: subject, match: {tls_subject: "CN=x"}, access: {default: token}}   # subject
"""

# (mark in the policy, severity, code, words of the message); more findings than these are allowed nowhere.
EXPECTED = [
    ("people.email", "fault", "default", "DEFAULT"),
    ("people.email", "fault", "check-constraint", "rejects tokens"),
    ("people.email", "fault", "generated-column", "public.people.lowered"),
    ("people.email", "fault", "trigger", "'folding' (public.fold) writes"),
    ("people.email", "fault", "row-security", "'mine'"),
    ("people.email", "warning", "row-security", "'twins'"),
    ("people.name", "warning", "row-security", "'twins'"),
    ("people.email", "warning", "trigger", "hands on whole rows"),
    ("people.email", "fault", "foreign-key", "only public.people.email is protected"),
    ("people.email", "warning", "publication", "email, name, phone, street"),
    ("people.email", "warning", "rule", "'logged'"),
    ("people.email", "warning", "view", "public.listed"),
    ("people.email", "warning", "function", "public.count_people"),
    ("people.email", "warning", "function", "public.runs is refused"),
    ("people.email", "warning", "function", "public.running is refused"),
    ("people.email", "warning", "function", "public.paired is refused"),
    ("people.email", "warning", "function", "operator public.###(text,text) runs function public.runs unseen"),
    ("people.email", "warning", "function", "cast from public.pair to text runs function public.paired unseen"),
    ("people.email", "warning", "function", "column v of table public.filled runs function public.runs unseen"),
    ("people.email", "warning", "function", "rule _RETURN on view public.run runs function public.runs"),
    ("people.phone", "warning", "check-constraint", "checks nothing any more"),
    ("people.phone", "warning", "index", "'people_partial'"),
    ("people.phone", "warning", "trigger", "'looking' (public.look)"),
    ("people.phone", "warning", "statistics", "'people_stats'"),
    ("people.phone", "warning", "statistics", "'people_upper'"),
    ("people.name", "fault", "index", "unique index 'people_lower'"),
    ("people.name", "fault", "trigger", "'words' (tsvector_update_trigger) makes a full-text vector"),
    ("people.name", "warning", "trigger", "'conditional' (public.nothing)"),
    ("people.name", "fault", "exclusion", "'people_round' computes on tokens of public.people.name"),
    ("people.name", "warning", "index", "'people_words' computes on tokens"),
    ("people.name", "warning", "index", "'people_order' (brin"),
    ("people.name trigram", "warning", "index", "'people_trgm' (gin, gin_trgm_ops)"),
    ("people.name", "warning", "index", "'people_pattern'"),
    ("people.name", "warning", "statistics", "'people_stats'"),
    ("people.street", "fault", "random-unique", "'people_street_key'"),
    ("people.nmae", "fault", "no-column", "'nmae'"),
    ("types.a", "fault", "column-type", "integer"),
    ("types.b", "fault", "column-length", "character varying(20)"),
    ("types.c", "fault", "type-equality", "citext"),
    ("types.d", "fault", "type-equality", "nondeterministic"),
    ("types.e", "fault", "column-type", "a domain over text"),
    ("types.f", "warning", "value-type", "clients write UUIDs"),
    ("types.f", "warning", "class-types", "can't be joined"),
    ("types.f", "warning", "class-types", "show uuid and text"),
    ("types.g", "fault", "generated-column", "generated by the database"),
    ("types.i", "fault", "column-length", "character(10)"),
    ("types.j", "fault", "column-type", "date"),
    ("seen", "fault", "not-a-table", "a view"),
    ("peopel", "warning", "no-table", "public.peopel"),
    ("orders.email", "fault", "foreign-key", "classes 'phone' and 'email'"),
    ("ranged", "fault", "partition-key", "RANGE"),
    ("hashed", "warning", "partition-key", "HASH"),
    ("joined.email", "warning", "value-type", "UUIDs"),
    ("joined.email", "warning", "class-types", "can't be joined"),
    ("joined.email", "warning", "class-types", "show uuid and text"),
    ("joined.born", "warning", "class-types", "show date and text"),
    ("old", "warning", "plaintext-rows", "public.old.email"),
    ("theirs", "fault", "foreign-tokens", "another vault"),
    ("nowhere", "fault", "no-database", "'nowhere'"),
    ("masked", "warning", "nobody-reveals", "reveal"),
    ("shadowed", "warning", "role-shadowed", "'masked'"),
    ("ghost", "warning", "role-nobody", "'nobdy'"),
    ("subject", "warning", "role-tls", "tls_subject"),
]


class Place:
    """A directory with configuration, policy, keys and vault."""

    def __init__(self, base: Path, catalog: str, policy: str) -> None:
        self.base = base
        self.policy = base / "policy.yaml"
        self.policy.write_text(policy)
        self.config = {
            "upstream": f"127.0.0.1:{urlsplit(catalog).port}",
            "catalog": catalog,
            "policies": ["policy.yaml"],
            "vault": f"sqlite:///{base}/vault.db",
            "keys": f"file:{base}/keys.json",
        }
        init_key_file(base / "keys.json", os.urandom)
        asyncio.run(self._make_vault())

    async def _make_vault(self) -> None:
        store = await SqliteStore.open(self.base / "vault.db")
        try:
            provider = load_provider(f"file:{self.base}/keys.json", {}, os.urandom)
            self.keyring = await open_keyring(store, provider, os.urandom, 0)
        finally:
            await store.close()

    def token(self, value: str) -> str:
        return tokens.deterministic(self.keyring.token_key("email"), self.keyring.tag_key, value.encode()).decode()

    def check(self, *options: str) -> tuple[int, str]:
        """Exit code and what was printed."""
        path = self.base / "pgveil.yaml"
        path.write_text(yaml.safe_dump(self.config))
        argv = [sys.executable, "-m", "proxy.cli", "check", "-c", str(path), *options]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PGVEIL_")}
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=60, cwd=self.base, env=environment | {"PYTHONPATH": str(ROOT)}
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr

    def findings(self) -> tuple[int, list[dict[str, object]]]:
        code, printed = self.check("--json")
        found: list[dict[str, object]] = json.loads(printed)["findings"]
        return code, [each for each in found if each["code"] != "rows-unseen"]

    def unseen(self) -> list[str]:
        """Columns that could not be looked through."""
        return [f["message"].split(" of ")[1].split()[0] for f in json.loads(self.check("--json")[1])["findings"]
                if f["code"] == "rows-unseen"]  # fmt: skip

    def line(self, mark: str) -> int:
        """Of the policy line that ends with `# mark`, or of the role that has the name."""
        lines = self.policy.read_text().splitlines()
        found = [n for n, text in enumerate(lines, 1) if text.endswith(f"# {mark}") or f"name: {mark}," in text]
        assert len(found) == 1, mark
        return found[0]


@pytest.fixture
def reader(pg: Server) -> Iterator[str]:
    """An account that owns nothing and may read nothing but the catalog, and what a test grants it."""
    with pg.connect() as connection:
        connection.execute(f"CREATE ROLE {READER} LOGIN")
    try:
        yield READER
    finally:
        with pg.connect() as connection:
            connection.execute(f"DROP ROLE {READER}")


@pytest.fixture
def database(pg: Server, reader: str) -> Iterator[str]:
    """After `reader`, so that it is dropped, with what it was granted, before."""
    with fresh_database(pg) as name:
        yield name


def test_a_sound_schema_has_no_findings(pg: Server, database: str, reader: str, tmp_path: Path) -> None:
    place = Place(tmp_path, pg.dsn(database, reader), CLEAN_POLICY)
    pg.psql(CLEAN_SQL, database)
    with pg.connect(database) as connection:
        connection.execute(f"GRANT SELECT ON visits_now TO {reader}")
        connection.execute("INSERT INTO visits VALUES (1, %s, '2026-01-01')", [place.token(CANARY)])
    assert place.findings() == (0, [])
    code, printed = place.check()
    assert code == 0 and printed.endswith("sound\n")


def test_every_planted_fault_is_found(pg: Server, database: str, reader: str, tmp_path: Path) -> None:
    place = Place(tmp_path, pg.dsn(database, reader), FAULTY_POLICY)
    lacking = plant(pg, database)
    code, findings = place.findings()
    assert code == 1
    left = [f for f in findings if f["line"] not in {place.line(mark) for mark in lacking if " " not in mark}]
    missing = []
    for mark, severity, kind, words in [each for each in EXPECTED if each[0] not in lacking]:
        line = place.line(mark.partition(" ")[0])
        fits = [
            f
            for f in left
            if (f["line"], f["severity"], f["code"]) == (line, severity, kind) and words in str(f["message"])
        ]
        if fits:
            left.remove(fits[0])
        else:
            missing.append((mark, severity, kind, words))
    assert missing == []
    assert [f"{f['line']}: {f['severity']} {f['code']}: {f['message']}" for f in left] == []
    assert all(f["file"] == str(place.policy) and f["todo"] for f in findings)
    assert {str(f["code"]) for f in findings} <= set(CODES)


def plant(server: Server, database: str) -> set[str]:
    """Every fault; the marks of those that this build can't have."""
    server.psql(FAULTY_SQL, database)
    lacking = set()
    with server.connect(database) as connection:
        connection.execute("INSERT INTO theirs VALUES (%s)", [tokens.random(b"another", b"x" * 12).decode()])
        for mark, (question, sql) in OPTIONAL.items():
            if connection.execute(question.encode()).fetchone() is None:
                lacking.add(mark)
            else:
                connection.execute(sql.encode())
    return lacking


def test_findings_are_lines_with_place_and_advice_and_no_values(
    pg: Server, database: str, reader: str, tmp_path: Path
) -> None:
    place = Place(tmp_path, pg.dsn(database, reader), FAULTY_POLICY)
    pg.psql(FAULTY_SQL, database)
    code, printed = place.check()
    assert code == 1
    assert CANARY not in printed
    assert (
        f"{place.policy}:{place.line('types.b')}: fault: public.types.b is character varying(20), too short" in printed
    )
    assert "did you mean name?" in printed and "did you mean public.people?" in printed


def test_an_account_that_may_not_read_rows_says_so(pg: Server, database: str, reader: str, tmp_path: Path) -> None:
    policy = CLEAN_POLICY.replace("  public.newsletter: {email: email}\n  public.visits: {email: email}\n", "")
    place = Place(tmp_path, pg.dsn(database, reader), policy.replace("    code: name\n", ""))
    pg.psql("CREATE TABLE customers (id int, email text, name text, born text)", database)
    pg.psql(f"INSERT INTO customers VALUES (1, '{CANARY}')", database)
    assert place.findings() == (0, [])
    assert "public.customers.email" in place.unseen()
    pg.psql(f"GRANT SELECT (id, email) ON customers TO {reader}", database)
    assert [f["code"] for f in place.findings()[1]] == ["plaintext-rows"]
    assert "public.customers.email" not in place.unseen()


def test_code_of_the_application_is_not_run(pg: Server, database: str, tmp_path: Path) -> None:
    """Neither a CHECK's own function nor a row security policy's, though our account is a superuser here."""
    place = Place(tmp_path, pg.dsn(database), CLEAN_POLICY)
    pg.psql(
        CLEAN_SQL
        + """
        CREATE FUNCTION boom(text) RETURNS boolean LANGUAGE plpgsql
            AS $$BEGIN RAISE LOG 'ran-for-check'; RETURN true; END$$;
        ALTER TABLE newsletter ADD CONSTRAINT own CHECK (boom(email));
        CREATE POLICY own ON newsletter USING (boom(email));
        ALTER TABLE newsletter ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        """,
        database,
    )
    with pg.log_contains("ran-for-check", times=0):
        code, findings = place.findings()
    assert (code, {f["code"] for f in findings}) == (1, {"check-constraint", "row-security"})


def test_a_dead_server_is_3_and_what_needs_none_is_still_told(tmp_path: Path) -> None:
    policy = CLEAN_POLICY.replace("reveal", "token")
    place = Place(tmp_path, f"postgresql://someone:hush@127.0.0.1:{free_port()}/shop", policy)
    code, findings = place.findings()
    assert code == 3
    assert [f["code"] for f in findings] == ["unreachable", "unreachable", "nobody-reveals"]
    assert "someone" not in str(findings) and "hush" not in str(findings)


def test_rules_of_another_database_are_held_against_that(
    pg: Server, database: str, reader: str, tmp_path: Path
) -> None:
    with fresh_database(pg) as other:
        policy = CLEAN_POLICY.replace("  public.visits:", f"  {other}.public.visits:")
        place = Place(tmp_path, pg.dsn(database, reader), policy)
        pg.psql(CLEAN_SQL, database)
        pg.psql("CREATE TABLE visits (mail text); CREATE TABLE newsletter (email integer)", other)
        code, findings = place.findings()
        assert code == 1
        assert [(f["code"], f["database"]) for f in findings] == [("column-type", other), ("no-column", other)]
        assert str(findings[0]["message"]).startswith(f"database {other}: public.newsletter.email is integer")


def test_keys_of_another_vault_are_a_fault(pg: Server, database: str, reader: str, tmp_path: Path) -> None:
    place = Place(tmp_path, pg.dsn(database, reader), CLEAN_POLICY)
    pg.psql(CLEAN_SQL, database)
    (tmp_path / "keys.json").write_text(new_key_document(os.urandom))
    code, findings = place.findings()
    assert (code, [f["code"] for f in findings]) == (1, ["keys"])
    (tmp_path / "keys.json").unlink()
    assert [f["code"] for f in place.findings()[1]] == ["keys"]


def test_a_vault_that_is_not_there_is_a_warning_one_that_is_none_a_fault(
    pg: Server, database: str, reader: str, tmp_path: Path
) -> None:
    place = Place(tmp_path, pg.dsn(database, reader), CLEAN_POLICY)
    pg.psql(CLEAN_SQL, database)
    (tmp_path / "vault.db").rename(tmp_path / "elsewhere.db")
    code, findings = place.findings()
    assert (code, [f["code"] for f in findings]) == (0, ["vault-missing"])
    assert not (tmp_path / "vault.db").exists()
    (tmp_path / "vault.db").write_text("no database at all, but a text that is long enough to be read as one" * 20)
    code, findings = place.findings()
    assert (code, [f["code"] for f in findings]) == (1, ["vault"])


def test_a_wrong_policy_is_told_with_all_its_lines(pg: Server, database: str, reader: str, tmp_path: Path) -> None:
    policy = CLEAN_POLICY.replace("kind: email", "kind: emial").replace("name: name\n", "name: nam\n")
    code, findings = Place(tmp_path, pg.dsn(database, reader), policy).findings()
    assert code == 1
    assert [(f["code"], f["line"]) for f in findings] == [("policy", 3), ("policy", 9)]


def test_a_fault_of_a_role_hides_none_of_the_columns(pg: Server, database: str, tmp_path: Path) -> None:
    late = "  - {name: every, match: {}}\n  - {name: late, match: {user: late}, access: {default: reveal}}\n"
    place = Place(tmp_path, pg.dsn(database), CLEAN_POLICY.rstrip("\n") + "\n" + late)
    code, findings = place.findings()
    codes = {f["code"] for f in findings}
    assert code == 1 and "policy" in codes and "no-table" in codes
