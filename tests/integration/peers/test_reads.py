"""B: wrong, unmasked or silently empty reads."""

from typing import cast

import psycopg
import pytest

from tests.integration.peers.world import Peer, add, masked

pytestmark = pytest.mark.server


def test_021_functions_over_values(peer: Peer) -> None:
    add(peer)
    for wanted in ("concat_ws('-',name,phone)", "CASE WHEN name IS NULL THEN phone ELSE name END", "upper(email)",
                   "length(phone)", "substr(phone,1,3)",
                   "max(name)", "coalesce(email,'x')", "to_json(email)"):  # fmt: skip
        peer.refused(f"SELECT {wanted} FROM c")


def test_022_mask_is_not_lost_in_a_function(peer: Peer) -> None:
    add(peer)
    with masked(peer) as link:
        for wanted in ("lower(name)", "name||''", "format('%s',name)", "row_to_json(c)", "c::text", "array_agg(name)"):
            answer = peer.ask(f"SELECT {wanted} FROM c", link=link)
            assert answer in ("0A000", "42501"), wanted
        ((shown,),) = peer.ask("SELECT name FROM c", link=link)
        assert peer.word not in shown


def test_023_star_beside_columns(peer: Peer) -> None:
    add(peer)
    peer.ask("INSERT INTO d VALUES (1, $1, $2)", [f"{peer.word}1@x.org", peer.word])
    row = ("1", f"{peer.word}1@x.org", "+12025551001", f"{peer.word} 1", "1990-02-28", "note")
    assert peer.ask("SELECT born,* FROM c") == [("1990-02-28", *row)]
    other = ("1", f"{peer.word}1@x.org", peer.word)
    assert peer.ask("SELECT c.*,d.*,c.email FROM c JOIN d USING (id)") == [(*row, *other, row[1])]
    assert peer.ask("SELECT email, email, id, email FROM c") == [(row[1], row[1], "1", row[1])]


def test_024_error_details_by_role(peer: Peer) -> None:
    add(peer)
    duplicate = f"INSERT INTO c(id,email) VALUES (5,'{peer.word}1@x.org')"
    with pytest.raises(psycopg.errors.UniqueViolation) as seen:
        peer.link.execute(duplicate.encode())
    assert seen.value.diag.message_detail == f"Key (email)=({peer.word}1@x.org) already exists."
    with masked(peer) as link, pytest.raises(psycopg.Error) as hidden:
        link.execute(b"UPDATE c SET id=NULL")
    assert peer.word not in str(vars(hidden.value.diag)) + str(hidden.value)


def test_025_errors_are_no_oracle(peer: Peer) -> None:
    add(peer)
    with masked(peer) as link:
        asked = "SELECT 1/(ascii(substr(email,1,1))-{}) FROM c WHERE id=1"
        answers = {str(peer.ask(asked.format(code), link=link)) for code in (97, ord("z"), 120)}
        assert answers in ({"0A000"}, {"42501"})


def test_026_a_masked_role_may_not_search(peer: Peer) -> None:
    add(peer)
    with masked(peer) as link:
        assert peer.ask(f"SELECT id FROM c WHERE email='{peer.word}1@x.org'", link=link) == "42501"
        assert peer.ask("SELECT id FROM c WHERE email=$1", [peer.mail], link=link) == "42501"
        for text in ("email LIKE 'a%'", "born>'1990-01-01'"):
            assert peer.ask(f"SELECT id FROM c WHERE {text}", link=link) in ("42501", "0A000")
        assert peer.ask("SELECT id FROM c ORDER BY email LIMIT 1", link=link) in ("42501", "0A000")


def test_027_group_by_a_part_of_a_value(peer: Peer) -> None:
    with masked(peer) as link:
        assert peer.ask("SELECT count(*),array_agg(id) FROM c GROUP BY substr(email,1,1)", link=link) in (
            "42501",
            "0A000",
        )


def test_028_a_function_that_reads_the_column(peer: Peer) -> None:
    add(peer)
    peer.refused("SELECT f(1)", "SELECT public.f(id) FROM p", "DO $$ BEGIN PERFORM email FROM c; END $$")


def test_029_cursors(peer: Peer) -> None:
    """What a cursor gives is what a query gives: values, masks or tokens; a dump by cursors is no way round."""
    add(peer, 3)
    mails = [(f"{peer.word}{i}@x.org",) for i in (1, 2, 3)]
    assert peer.ask("DECLARE k SCROLL CURSOR WITH HOLD FOR SELECT email FROM c ORDER BY id") == []
    assert peer.ask("FETCH 2 FROM k") == mails[:2]
    assert peer.ask("MOVE BACKWARD 1 FROM k") == [] and peer.ask("FETCH ALL FROM k") == mails[1:]
    assert peer.ask("CLOSE k") == [] and peer.ask("FETCH ALL FROM k") == "34000"
    for user in ("masked", "stranger"):
        link = peer.connect(user)
        peer.ask("DECLARE k CURSOR WITH HOLD FOR SELECT * FROM c", link=link)
        answer = peer.ask("FETCH ALL FROM k", link=link)
        assert len(answer) == 3 and peer.word not in str(answer)
    peer.refused(f"DECLARE k CURSOR FOR SELECT id FROM c WHERE email LIKE '{peer.word}%'")


def test_030_sql_prepare(peer: Peer) -> None:
    add(peer)
    assert peer.ask("PREPARE pr(int) AS SELECT email FROM c WHERE id=$1") == []
    assert peer.ask("EXECUTE pr(1)") == [(f"{peer.word}1@x.org",)]
    assert peer.ask(f"PREPARE w AS INSERT INTO c(id,email) VALUES (7,'{peer.mail}')") == []
    assert peer.ask("EXECUTE w") == [] and peer.ask("SELECT email FROM c WHERE id=7") == [(peer.mail,)]
    for explained in ("EXPLAIN", "EXPLAIN ANALYZE"):
        assert peer.word not in str(peer.ask(f"{explained} SELECT email FROM c WHERE email='{peer.mail}'"))


def test_031_distinct_and_random_tokens(peer: Peer) -> None:
    for i in (1, 2):
        peer.ask("INSERT INTO r VALUES ($1, $2)", [str(i), peer.word])
        peer.ask("INSERT INTO c(id, name) VALUES ($1, $2)", [str(i), peer.word])
    stored = peer.stored("SELECT secret FROM r")
    assert len(set(stored)) == 2
    assert peer.ask("SELECT secret FROM r") == [(peer.word,), (peer.word,)]
    for text in (
        "SELECT DISTINCT {} FROM {}",
        "SELECT {0} FROM {1} UNION SELECT {0} FROM {1}",
        "SELECT {0} FROM {1} GROUP BY {0}",
    ):
        assert peer.ask(text.format("name", "c")) == [(peer.word,)]
        peer.refused(text.format("secret", "r"))
    assert peer.ask("SELECT count(DISTINCT name) FROM c") == [("1",)]
    peer.refused("SELECT count(DISTINCT secret) FROM r", f"SELECT id FROM r WHERE secret = '{peer.word}'")


def test_032_order_of_values(peer: Peer) -> None:
    add(peer, 2)
    peer.refused(
        "SELECT email FROM c ORDER BY 1", "SELECT rank() OVER w FROM c WINDOW w AS (ORDER BY email)",
        "SELECT max(name) FROM c",
        "SELECT DISTINCT ON(email) email, id FROM c ORDER BY email", "SELECT email e FROM c ORDER BY e",
        "SELECT array_agg(id ORDER BY email) FROM c", "SELECT email FROM c ORDER BY email FETCH FIRST 1 ROW WITH TIES",
        "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY name) FROM c",
    )  # fmt: skip


def test_033_ranges(peer: Peer) -> None:
    peer.refused(
        "SELECT id FROM c WHERE born > '2000-01-01'",
        "SELECT id FROM c WHERE born BETWEEN '1990-01-01' AND '2000-01-01'",
        "SELECT least(born,'2000-01-01') FROM c", "SELECT id FROM c WHERE (email,id) < ('a',1)",
    )  # fmt: skip


def test_034_any(peer: Peer) -> None:
    add(peer, 3)
    one, two = f"{peer.word}1@x.org", f"{peer.word}2@x.org"
    peer.ask("INSERT INTO d(id,email) VALUES (1,$1)", [one])
    for way in ("text", "binary", "prepared"):
        assert peer.ask("SELECT email FROM c WHERE email=ANY($1) ORDER BY id", [[one, two, None]], way) in (
            [(one,), (two,)],
        )
    assert peer.ask(f"SELECT id FROM c WHERE email=ANY(ARRAY['{one}','q'])") == [("1",)]
    assert peer.ask("SELECT id FROM c WHERE email IN (SELECT email FROM d)") == [("1",)]
    assert peer.ask("SELECT id FROM c WHERE email=ANY(SELECT email FROM d)") == [("1",)]
    assert peer.ask("SELECT id FROM c WHERE email<>ALL($1) ORDER BY id", [[one, two]]) == [("3",)]
    assert peer.ask(f"SELECT id FROM c WHERE email NOT IN ('{one}', NULL)") == []


def test_035_036_patterns(peer: Peer) -> None:
    add(peer)
    for pattern in ("LIKE 'a_c%'", "like '%'", "LIKE ''", "NOT LIKE 'x'", "ILIKE 'A%'", "~* 'x'", "SIMILAR TO 'a'",
                    "LIKE concat('a','%')", "LIKE 'a!%' ESCAPE '!'", "^@ 'a'"):  # fmt: skip
        peer.refused(f"SELECT id FROM c WHERE email {pattern}")
    peer.refused("SELECT id FROM c WHERE starts_with(email, 'a')")


def test_037_derived_tables(peer: Peer) -> None:
    add(peer)
    mail = f"{peer.word}1@x.org"
    peer.both("SELECT t.e FROM (SELECT email e FROM c WHERE email=$1) t WHERE t.e IS NOT NULL", [mail], [(mail,)])
    peer.both("SELECT * FROM (SELECT id, email FROM c) t WHERE email=$1", [mail], [("1", mail)])
    peer.both("SELECT (SELECT email FROM c x WHERE x.email=$1) FROM c", [mail], [(mail,)])
    peer.both("SELECT id FROM c WHERE EXISTS (SELECT 1 FROM c y WHERE y.email=$1 AND y.id=c.id)", [mail], [("1",)])
    peer.both(
        "SELECT t.email FROM p RIGHT JOIN c ON false, LATERAL (SELECT c.email) t WHERE t.email=$1", [mail], [(mail,)]
    )


def test_038_every_arm_of_or(peer: Peer) -> None:
    add(peer)
    mail = f"{peer.word}1@x.org"
    peer.both("SELECT id FROM c WHERE email IS NULL OR email=$1", [mail], [("1",)])
    peer.both("SELECT id FROM c WHERE note='x' OR (phone='q' OR NOT (email<>$1))", [mail], [("1",)])
    peer.both("SELECT id FROM c WHERE email IS NOT DISTINCT FROM $1", [mail], [("1",)])
    peer.both("SELECT id FROM c WHERE (email,phone)=($1,$2)", [mail, "+12025551001"], [("1",)])


def test_039_views(peer: Peer) -> None:
    add(peer)
    mail = f"{peer.word}1@x.org"
    peer.both("SELECT mail FROM v WHERE mail=$1", [mail], [(mail,)])
    peer.both("INSERT INTO v VALUES (4,$1) RETURNING mail", [peer.mail], [(peer.mail,)])
    peer.both("UPDATE v SET mail=$1 RETURNING mail", [peer.mail], [(peer.mail,)])
    peer.refused("SELECT mail FROM v ORDER BY mail", "SELECT upper(mail) FROM v")
    assert peer.ask("SELECT mail FROM v", link=peer.connect("stranger")) == [(peer.stored()[0],)]
    assert peer.ask(f"CREATE MATERIALIZED VIEW mv1 AS SELECT email FROM c WHERE email<>'{peer.mail}'") in ([], "0A000")
    assert isinstance(peer.ask("SELECT email FROM mv1"), str)
    peer.ask("DROP MATERIALIZED VIEW mv1")


def test_040_set_operations(peer: Peer) -> None:
    add(peer)
    peer.refused(f"SELECT email FROM c UNION SELECT '{peer.mail}'", "SELECT email FROM c UNION ALL SELECT note FROM c",
                 "SELECT note FROM c EXCEPT SELECT email FROM c")  # fmt: skip
    walk = "WITH RECURSIVE x(i,e) AS (SELECT id,email FROM c WHERE email=$1 UNION ALL "
    walk += "SELECT c.id,c.email FROM c JOIN x ON c.id=x.i+1) SELECT e FROM x"
    peer.both(walk, [f"{peer.word}1@x.org"], [(f"{peer.word}1@x.org",)])


def test_042_joins_and_insert_select(peer: Peer) -> None:
    add(peer)
    mail = f"{peer.word}1@x.org"
    assert peer.ask("INSERT INTO d(id,email) SELECT id,email FROM c RETURNING email") == [(mail,)]
    assert peer.ask("SELECT email FROM c JOIN d USING(email)") == [(mail,)]
    assert peer.ask("SELECT email FROM c NATURAL JOIN d") == [(mail,)]
    peer.refused("INSERT INTO d(id,full_name) SELECT id+1,email FROM c", "INSERT INTO p SELECT id,email FROM c")


def test_043_one_parameter_in_two_roles(peer: Peer) -> None:
    add(peer)
    mail = f"{peer.word}1@x.org"
    for way in ("text", "binary", "prepared"):
        assert peer.ask("UPDATE c SET email=$1 WHERE email=$1 RETURNING email", [mail], way) == [(mail,)]
    assert peer.ask("SELECT id FROM c WHERE email=$1 OR phone=$1", [mail]) == [("1",)]
    assert peer.ask("INSERT INTO c(id,email,note) VALUES(9,$1,$1) RETURNING email,note", ["open note"]) == [
        ("open note",) * 2
    ]


def test_044_same_named_column_of_another_table(peer: Peer) -> None:
    add(peer)
    assert peer.ask("INSERT INTO tenant2.c VALUES (1,'open')") == []
    assert peer.ask("UPDATE c SET email=t.email FROM tenant2.c t WHERE t.id=c.id") == "0A000"
    peer.ask("INSERT INTO d(id,email) VALUES (1,$1)", [peer.other])
    assert peer.ask("UPDATE c SET email=d.email FROM d WHERE d.id=c.id RETURNING c.email") == [(peer.other,)]


def test_045_a_token_moved_to_another_column(peer: Peer) -> None:
    add(peer)
    peer.raw.execute("UPDATE c SET note=email, phone=email")
    (token,) = peer.stored("SELECT note FROM c")
    assert peer.ask("SELECT note FROM c") == [(token,)]
    assert peer.ask("SELECT phone FROM c") in ([(f"{peer.word}1@x.org",)], [(token,)])


def test_046_a_client_that_writes_a_token(peer: Peer) -> None:
    add(peer)
    (token,) = peer.stored()
    assert peer.ask("INSERT INTO c(id,email) VALUES (2,$1) RETURNING email", [token]) == [(token,)]
    assert peer.ask(f"SELECT id FROM c WHERE email='{token}'") == [("2",)]
    assert token not in peer.stored("SELECT email FROM c WHERE id=2")


FAILING = [
    ("23505", "INSERT INTO c(id,email) VALUES (99,(SELECT email FROM c WHERE id=1))"),
    ("23505", "INSERT INTO c(id,name) SELECT 1, name FROM c WHERE id=1"),
    ("23514", "UPDATE e SET id=5000"),
    ("23503", "UPDATE e SET email=other"),
    ("23503", "DELETE FROM e_parents"),
    ("23502", "UPDATE e SET name=NULL"),
    ("23502", "UPDATE e SET id=NULL RETURNING *"),
    ("23P01", "INSERT INTO e SELECT id+1, email, other, name FROM e"),
    (None, "SELECT email::int FROM e"),
    (None, "SELECT email::numeric + 1 FROM e"),
    (None, "SELECT ('{' || email || '}')::text[] FROM e"),
    (None, "SELECT to_date(email, 'YYYY') FROM e"),
    (None, "SELECT name::json FROM e"),
]


@pytest.mark.parametrize("half_migrated", [False, True], ids=["tokens", "rows from before"])
@pytest.mark.parametrize("user", ["postgres", "masked", "phones", "stranger"])
def test_024_no_field_of_an_error_shows_more_than_the_role_may_see(peer: Peer, user: str, half_migrated: bool) -> None:
    """M, D, H, W, q and the rest, of everything the server may say of a row."""
    add(peer)
    before = "plainly@before.org"
    peer.ask("INSERT INTO e_parents VALUES ($1)", [peer.mail])
    peer.ask("INSERT INTO e VALUES (1,$1,$2,$3)", [peer.mail, peer.other, peer.word])
    if half_migrated:
        peer.raw.execute(f"UPDATE e SET other='{before}1', name='{before}2'".encode())
    link = peer.connect(user)
    for state, sql in FAILING:
        told = peer.outcome(sql, link=link)
        may_not_write = ("42501",) if user == "masked" else ()
        assert told.sqlstate in (state or "0A000", *may_not_write), (sql, told.report)
        if user == "postgres":
            continue
        shown = b" ".join(part for part in told.report if part is not None).decode()
        assert peer.word not in shown and before not in shown, (sql, shown)


def test_024_notices_of_a_trigger(peer: Peer) -> None:
    peer.raw.execute("CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS"
                     " $$ BEGIN RAISE NOTICE 'row % %', NEW.email, NEW; RETURN NEW; END $$")  # fmt: skip
    peer.raw.execute("CREATE TRIGGER say BEFORE INSERT OR UPDATE ON d FOR EACH ROW EXECUTE FUNCTION say()")
    try:
        for user in ("postgres", "masked", "stranger"):
            link = peer.connect(user)
            heard: list[str] = []
            link.add_notice_handler(lambda told, heard=heard: heard.append(str(told.message_primary)))  # type: ignore[misc]
            peer.ask("INSERT INTO d VALUES (1,$1,$2)", [peer.mail, peer.word], link=peer.link)
            peer.ask("UPDATE d SET id=2", link=link)
            assert not any(peer.word in text for text in heard) or user == "postgres", heard
            peer.ask("DELETE FROM d")
    finally:
        peer.raw.execute("DROP TRIGGER say ON d; DROP FUNCTION say()")


def test_028_a_trigger_that_reads_the_column(peer: Peer) -> None:
    """The table of the trigger is not protected: a statement on it reaches one that is."""
    add(peer)
    peer.refused("INSERT INTO t VALUES (1,'x') RETURNING e", "UPDATE t SET e='y'",
                 "DO $$ BEGIN EXECUTE 'SELECT email FROM c'; END $$")  # fmt: skip


def test_032_frames_over_values(peer: Peer) -> None:
    peer.refused(
        "SELECT sum(id) OVER (ORDER BY born RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM c",
        "SELECT first_value(id) OVER (PARTITION BY note ORDER BY name) FROM c",
        "SELECT greatest(email,name) FROM c", "SELECT min(born) FROM c",
        "SELECT string_agg(id::text,',' ORDER BY name) FROM c",
    )  # fmt: skip


def test_039_views_of_every_kind(peer: Peer) -> None:
    add(peer)
    peer.raw.execute("REFRESH MATERIALIZED VIEW mv")
    peer.refused(
        "SELECT * FROM mv", f"SELECT id FROM mv WHERE email='{peer.mail}'", "SELECT post FROM vv ORDER BY post",
        "SELECT id FROM vv WHERE post LIKE 'a%'", "SELECT max(email) FROM barrier",
    )  # fmt: skip
    mail = f"{peer.word}1@x.org"
    peer.both("SELECT post FROM vv WHERE post=$1", [mail], [(mail,)])
    peer.both("INSERT INTO vv VALUES (4,$1) RETURNING post", [peer.mail], [(peer.mail,)])
    assert peer.ask("SELECT * FROM barrier") == [(mail,)]
    assert peer.ask("TABLE vv") == [("1", mail)]
    assert peer.ask("SELECT email FROM c JOIN vv ON post=email") == [(mail,)]


def test_045_the_tokens_class_decides(peer: Peer) -> None:
    """An e-mail's token lies in a column of another class: the right to the e-mail counts, and is audited as such."""
    add(peer)
    peer.raw.execute("UPDATE c SET phone=email")
    (token,) = peer.stored("SELECT phone FROM c")
    assert peer.ask("SELECT phone FROM c") == [(f"{peer.word}1@x.org",)]
    assert peer.ask("SELECT phone FROM c", link=peer.connect("phones")) == [(token,)]
    trail = cast(list[dict[str, object]], peer.pgveil.json("audit", "tail", "-n", "5"))
    assert any(row["action"] == "reveal" and "email" in str(row["class"]) for row in trail), trail


def test_046_tokens_that_clients_write(peer: Peer) -> None:
    """Own, foreign and unknown UUIDs are values to who sees values; to a token role, ours are tokens. No oracle."""
    add(peer)
    own, foreign = peer.stored()[0], peer.stored("SELECT phone FROM c")[0]
    unknown = "0198c0de-0000-8000-8000-000000000001"
    for text in (own, foreign, unknown):
        assert peer.ask("SELECT id FROM c WHERE email=$1", [text]) == []
        peer.both("INSERT INTO c(id,email) VALUES (2,$1) RETURNING email", [text], [(text,)])
    stranger = peer.connect("stranger")
    assert peer.ask("SELECT id FROM c WHERE email=$1", [own], link=stranger) == [("1",)]
    assert peer.ask("SELECT id FROM c WHERE email=$1", [foreign], link=stranger) == []
    assert peer.ask("INSERT INTO c(id,name) VALUES (3,$1) RETURNING name", [foreign], link=stranger) == "22023"
    assert peer.ask("INSERT INTO d(id,email) VALUES (3,$1) RETURNING email", [own], link=stranger) == [(own,)]
    assert peer.ask("SELECT phone FROM c WHERE id=1") == [("+12025551001",)]
