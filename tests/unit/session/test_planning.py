"""From texts to plans and from values to what the vault is asked for: what passes, what waits, what is refused."""

import pytest

from proxy.errors import Refusal
from proxy.session.effects import Analyse, Find, LoadCatalog, Tokenise
from proxy.session.limits import Limits
from proxy.session.planning import MOST_CUT, same_text
from proxy.wire import messages as m
from tests.unit.session.driver import (
    BOUND,
    PARSED,
    POLICY,
    RELATIONS,
    SYNC,
    Link,
    bind,
    done,
    execute,
    failed,
    kinds,
    parse,
    plan,
    query,
    ready,
    relation,
    world,
)

READ = "select id, email from customers"
SEARCH = "select id from customers where email = 'a@b.c'"
NUMBERS = POLICY.replace("    email: email\n", "    email: {class: email, type: int4}\n")
UMLAUT = POLICY.replace("protect:\n", "protect:\n  public.größen: {name: person}\n")


def code(link: Link, text: str | bytes) -> str:
    """Of the refusal of a statement by itself; '' if it is sent."""
    link.client(query(text))
    return refusal(link)


def refusal(link: Link) -> str:
    notes = [str(note.facts["code"]) for note in link.notes("refusal")]
    link.events.clear()
    return " ".join(notes)


def analysed(link: Link) -> list[bytes]:
    """Texts that plans were made for since the last look."""
    texts = [request.text for request in link.asked if isinstance(request, Analyse)]
    link.asked.clear()
    return texts


# ---- the touch test ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "text", "read"),
    [
        ("UTF8", "select body from notes", False),
        ("UTF8", "select 'ä' from notes", False),
        ("UTF8", READ, True),
        ("LATIN1", "select body from notes", False),
        ("LATIN1", "select 'ä' from notes", True),
        ("SJIS", "select 'ä' from notes", False),
    ],
)
def test_only_a_text_that_may_touch_something_of_ours_is_read(encoding: str, text: str, read: bool) -> None:
    """LATIN1 may hold a name that isn't ASCII; so may SJIS, which can't be read, but all our names are ASCII here."""
    link = Link(settings={"client_encoding": encoding})
    raw = text.encode("latin-1" if encoding != "UTF8" else "utf-8")
    link.client(query(raw))
    assert analysed(link) == ([text.encode()] if read else [])
    assert link.sent() == [query(raw)]


@pytest.mark.parametrize(
    ("encoding", "text", "refused"),
    [
        ("SJIS", b"select 'x' from notes", ""),
        ("SJIS", b"select '\x83\x5c' from notes", "unsupported-encoding"),
        ("SJIS", b"select '\x83\x5c' from customers", "unsupported-encoding"),
        ("UTF8", b"select '\xff' from notes", ""),
        ("UTF8", b"select '\xff' from customers", "encoding-invalid"),
        ("LATIN2", b"select '\xff' from customers", ""),
        ("WIN1252", b"select '\x81' from customers", "encoding-invalid"),
    ],
)
def test_what_cannot_be_read_exactly_is_refused_where_it_may_touch_something(
    encoding: str, text: bytes, refused: str
) -> None:
    """With a protected name that is not ASCII, which would have other bytes there."""
    umlaut = world(1, UMLAUT, (*RELATIONS, relation(16430, "public", "größen", "name text")))
    link = Link(world_=umlaut, settings={"client_encoding": encoding})
    assert code(link, text) == refused


def test_nothing_is_read_where_nothing_is_protected() -> None:
    link = Link(protected=False)
    assert code(link, "insert into customers(email) values ('a@b.c')") == "" and analysed(link) == []


# ---- plans ------------------------------------------------------------------------------------------------------


def test_a_shape_is_planned_once() -> None:
    link = Link()
    for value in ("a@b.c", "b@c.d"):
        link.client(query(SEARCH.replace("a@b.c", value)))
    assert analysed(link) == [SEARCH.encode()]
    assert [item.canonical for request in link.asked if isinstance(request, Find) for item in request.items] == []
    assert link.vault.found == [("email", b"a@b.c"), ("email", b"b@c.d")]


@pytest.mark.parametrize("change", ["set search_path to other", "set standard_conforming_strings to off"])
def test_a_plan_holds_for_the_settings_that_it_was_made_with(change: str) -> None:
    link = Link().client(query(READ), query(change))
    status = [m.build_parameter_status(b"standard_conforming_strings", b"off")] if "strings" in change else []
    link.server(done("SELECT 0"), ready(), done("SET"), *status, ready())
    analysed(link)
    link.client(query(READ))
    assert analysed(link) == [READ.encode()]


def test_a_long_text_is_cut_when_it_has_been_understood() -> None:
    """Each time: cutting it to look for a plan would keep all links waiting."""
    link = Link()
    text = SEARCH + " " * MOST_CUT
    for _ in range(2):
        assert code(link, text) == "" and analysed(link) == [text.encode()]
        assert b"a@b.c" not in link.sent()[-1]
        link.server(done("SELECT 0"), ready())
    assert code(link, READ + " where email < 'a'" + " " * MOST_CUT) == "search-not-exact"


@pytest.mark.parametrize("text", ["select email from customers where id = 1 +", "select email, from customers"])
def test_a_refusal_with_a_position_is_for_its_own_text(text: str) -> None:
    """The literals before it count."""
    link = Link()
    assert code(link, text) == code(link, text) == "syntax"
    assert analysed(link) == [text.encode()] * 2


def test_a_refusal_without_one_is_for_the_shape() -> None:
    link = Link()
    text = "select id from customers where email > 'a'"
    first = code(link, text)
    assert first and first == code(link, text.replace("'a'", "'b'"))
    assert len(analysed(link)) == 1


def test_a_plan_that_could_not_be_made() -> None:
    link = Link()
    link.fail[Analyse] = Refusal("vault-unavailable", "the analyser is not reachable")
    assert code(link, READ) == "vault-unavailable"
    link.fail.clear()
    link.server(failed("22P02"), ready()).got()
    assert code(link, READ) == "" and link.sent()[-1] == query(READ), "and it is not kept"


def test_a_plan_for_a_world_that_is_gone_is_made_again() -> None:
    link = Link()
    link.held = (Analyse,)
    link.client(query("insert into customers(note) values ('s@cret')"))
    link.world = world(2, POLICY.replace("    ref: free\n", "    ref: free\n    note: free\n"))
    link.session.renew(link.world)
    link.release(1)
    assert link.sent() == [] and len(link.asks) == 1
    link.held = ()
    link.release()
    assert kinds(sent := link.sent()) == "Q" and b"s@cret" not in sent[0]
    assert link.vault.stored == [("free", b"s@cret")]


def test_a_plan_made_with_a_transactions_own_tables_is_not_for_others() -> None:
    link = Link()
    link.client(query("begin; alter table customers drop note"))
    link.server(done("BEGIN"), done("ALTER TABLE"), ready("T"))
    assert code(link, READ) != ""
    link.server(failed("22P02"), ready("E"))
    link.client(query("rollback")).server(done("ROLLBACK"), ready())
    analysed(link)
    assert code(link, READ) == "" and analysed(link) == [READ.encode()]


@pytest.mark.parametrize(("size", "refused"), [(len(READ), ""), (len(READ) - 1, "statement-too-large")])
def test_the_size_of_a_text(size: int, refused: str) -> None:
    assert code(Link(limits=Limits(statement=size)), READ) == refused


def test_a_literal_that_the_server_will_not_read_is_not_kept() -> None:
    link = Link()
    text = r"select id from customers where email = E'\uD800'"
    assert code(link, text) == code(link, text) != ""


# ---- is it there? -----------------------------------------------------------------------------------------------


def test_before_it_is_said_that_something_is_not_there_the_catalog_is_read_anew() -> None:
    link = Link()
    text = "insert into customers(nosuch) values ('x')"
    assert code(link, text) == "undefined-column"
    assert [request for request in link.asked if isinstance(request, LoadCatalog)] == [LoadCatalog("shop", True, True)]
    link.server(failed("22P02"), ready()).got()
    columns = "id int, email text, name text, born text, ref uuid, note text, nosuch text"
    link.world = world(2, relations=(relation(16400, "public", "customers", columns),))
    assert code(link, text) == "" and link.sent()[-1] == query(text)


def test_a_plan_that_is_kept_is_doubted_too() -> None:
    """By each message anew: what is not there now may be made at any time."""
    link = Link()
    for _ in range(2):
        assert code(link, "insert into customers(nosuch) values ('x')") == "undefined-column"
        link.server(failed("22P02"), ready()).got()
    assert [request for request in link.asked if isinstance(request, LoadCatalog)] == [
        LoadCatalog("shop", True, True)
    ] * 2


# ---- the catalog has moved --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "text", "asked"),
    [
        ("UTF8", "select id from customers", 1),
        ("UTF8", "set x = 1", 0),
        ("LATIN1", "set x = 1", 0),
        ("LATIN1", "select 'ä'", 1),
    ],
)
def test_after_ddl_elsewhere_a_text_that_may_name_something_protected_waits_for_the_catalog(
    encoding: str, text: str, asked: int
) -> None:
    link = Link(settings={"client_encoding": encoding})
    assert link.session.state.world is not None
    link.session.state.world.moved = True
    link.held = (LoadCatalog,)
    link.client(query(text.encode("latin-1")))
    assert len(link.asks) == asked and len(link.sent()) == 1 - asked


# ---- what changes how text is read ------------------------------------------------------------------------------


def test_a_reading_setting_has_to_be_reported_before_it_is_read_by() -> None:
    link = Link()
    link.client(parse("set datestyle = german", b"d"), bind([], b"d"), execute()).server(PARSED, BOUND, done("SET"))
    link.client(parse("insert into customers(born) values ('31.12.2000')"))
    assert refusal(link) == "unsupported-statement"
    link.client(SYNC).server(m.build_parameter_status(b"DateStyle", b"German, DMY"), failed("22P02"), ready())
    assert code(link, "insert into customers(born) values ('31.12.2000')") == ""
    assert link.vault.stored == [("birthday", b"2000-12-31")]


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("set datestyle = german; insert into customers(born) values ('1.2.2000')", True),
        ("insert into customers(born) values ('1.2.2000'); set datestyle = german", False),
        ("set datestyle = german; select born from customers", True),
        ("set datestyle = german; select email from customers", False),
        ("set timezone = 'UTC'; select id from customers where email = 'x'", True),
        ("reset all; insert into public.customers(born) values ('2000-01-02')", True),
        ("reset all; select email from public.customers", False),
        ("select set_config('x.y', 'z', false); insert into customers(born) values ('2000-01-02')", False),
        ("set pgveil.purpose = 'x'; insert into customers(born) values ('2000-01-02')", False),
        ("begin; insert into customers(born) values ('2000-01-02')", False),
    ],
)
def test_a_text_that_changes_how_its_own_values_are_read(text: str, refused: bool) -> None:
    assert code(Link(settings={"DateStyle": "ISO, MDY"}), text) == ("changed-in-transaction" if refused else "")


@pytest.mark.parametrize(
    ("setting", "refused"), [("set pgveil.purpose = 'x'", True), ("alter table notes add x int", False)]
)
def test_a_text_that_ends_a_transaction_in_which_something_was_set(setting: str, refused: bool) -> None:
    link = Link().client(query(f"begin; {setting}"))
    link.server(done("BEGIN"), done("SET"), ready("T"))
    assert code(link, "rollback; select email from public.customers") == ("changed-in-transaction" if refused else "")


# ---- by name ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("execute plain", ""),
        ("execute made", ""),
        ("execute ours('x')", "unsupported-statement"),
        ("execute nosuch", "unknown-statement"),
        ("prepare now as select 1; execute now", ""),
        ("fetch all from p", ""),
        ("fetch all from q", ""),
        ("move next in p", ""),
    ],
)
def test_execute_and_fetch_of_what_messages_have_made(text: str, refused: str) -> None:
    link = Link().client(query("begin; prepare made as select 1"))
    link.server(done("BEGIN"), done("PREPARE"), ready("T"))
    link.client(parse("select 1", b"plain"), parse(READ, b"ours"), bind([], b"ours", b"p"), SYNC)
    link.server(PARSED, PARSED, BOUND, ready("T"))
    assert code(link, text) == refused


# ---- values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "refused", "value"),
    [
        ("select id from customers where email = 7", "", b"7"),
        ("select id from customers where email = -7", "", b"-7"),
        ("select id from customers where email = 99999999999", "", b"99999999999"),
        ("select id from customers where email = 7.5", "", b"7.5"),
        ("select id from customers where email = 7.0", "", b"7"),
        ("select id from customers where email = '99999999999'", "number-range", b""),
        ("select id from customers where email = 'x'", "number-format", b""),
        ("insert into customers(email) values (99999999999)", "number-range", b""),
        ("insert into customers(email) values (-7)", "", b"-7"),
        ("insert into customers(email) values (-7.5)", "", b"-8"),
    ],
)
def test_numbers_as_literals(text: str, refused: str, value: bytes) -> None:
    """A number that is no value of the column's type has another type, in which PostgreSQL compares them: no row's."""
    link = Link(world_=world(1, NUMBERS))
    assert code(link, text) == refused
    assert [each for _, each in link.vault.found + link.vault.stored] == ([value] if value else [])


def test_literals_are_utf8_here_whatever_the_clients_encoding() -> None:
    link = Link(settings={"client_encoding": "LATIN1"})
    link.client(query("insert into customers(name) values ('Zoë')".encode("latin-1")))
    link.client(parse("insert into customers(name) values ($1)"), bind([b"Zo\xeb"]), SYNC)
    assert link.vault.stored == [("person", "Zoë".encode())] * 2


def test_values_wait_for_a_setting_that_is_not_reported() -> None:
    """Parsed before the SET, bound behind it."""
    link = Link().client(parse("insert into customers(born) values ($1)", b"i"), SYNC).server(PARSED, ready())
    link.client(parse("set datestyle = german", b"d"), bind([], b"d"), execute()).server(PARSED, BOUND, done("SET"))
    link.client(bind([b"1.2.2000"], b"i"), execute())
    assert refusal(link) in ("changed-in-transaction", "unsupported-statement")
    assert not any(isinstance(request, Tokenise) for request in link.asked)


def test_values_of_a_statement_that_the_server_skips_are_not_asked_for() -> None:
    """The error came while the plan was being made, and may have taken back the DateStyle that they are read by."""
    link = Link().client(query("begin; set datestyle = german"))
    status = m.build_parameter_status(b"DateStyle", b"German, DMY")
    link.server(done("BEGIN"), done("SET"), status, ready("T")).got()
    link.held = (Analyse,)
    link.client(parse("select nosuch", b"a"), parse("insert into customers(born) values ('1.2.2000')"))
    link.server(failed("42703"))
    link.release()
    assert refusal(link) == "changed-in-transaction" and kinds(link.sent()) == "QP"
    assert not any(isinstance(request, Tokenise) for request in link.asked)
    link.client(SYNC).server(ready("E"))
    assert kinds(link.got()) == "EZ"


# ---- cursors, COPY, tokens that are written through -----------------------------------------------------------------


def fetching(link: Link, text: str) -> list[list[str]]:
    """For each statement of a text the protected columns that it gives, as the entry of its reply has it."""
    link.client(query(text))
    (owed,) = [entry for entry in (link.session.state.ledger.head(),) if entry is not None]
    assert owed.bound is not None
    return [[o.column.name for o in s.outputs or () if o is not None] for s in owed.bound.plan.statements]


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("fetch c", [[]]),
        ("declare c cursor for select email from customers; fetch c", [[], ["email"]]),
        ("declare c cursor for select id from customers; fetch c", [[], []]),
        ("declare c cursor for select 1; fetch c", [[], []]),
        ("declare c cursor for select email from customers; declare d cursor for select 1; fetch d", [[], [], []]),
        ("fetch p", [["email"]]),
        ("fetch p; declare p cursor for select 1; fetch p", [["email"], [], []]),
        ("declare c cursor for select name from customers; move c; fetch c; fetch p", [[], [], ["name"], ["email"]]),
    ],
)
def test_what_a_fetch_gives(text: str, given: list[list[str]]) -> None:
    link = Link().client(query("begin")).server(done("BEGIN"), ready("T"))
    link.client(parse(READ, b"s"), bind([], b"s", b"p"), SYNC).server(PARSED, BOUND, ready("T"))
    assert fetching(link, text) == given


def test_the_same_text() -> None:
    one, other = (plan(f"select id from customers where {name} = $1")[1] for name in ("email", "ref"))
    assert same_text(one, one) and not same_text(one, other)


def test_the_names_of_sql_prepare_are_bounded() -> None:
    link = Link(limits=Limits(statements=2))
    for name in ("a", "b"):
        assert code(link, f"prepare {name} as select 1") == ""
        link.server(done("PREPARE"), ready())
    assert code(link, "prepare c as select 1") == "statement-too-large"


def test_an_encoding_of_copy_that_cannot_be_read() -> None:
    assert code(Link(), "copy customers (email) to stdout (encoding 'SJIS')") == "unsupported-encoding"
    assert code(Link(), "copy customers (email) to stdout (encoding 'latin1')") == ""


@pytest.mark.parametrize("user", ["shop", "viewer"])
def test_only_one_who_writes_tokens_writes_them_whatever_the_columns_type_is(user: str) -> None:
    numbers = Link(user, world(policy=NUMBERS))
    token = numbers.vault.token("email", b"7")
    refused = code(numbers, f"insert into customers(id, email) values (1, '{token.decode()}')")
    assert refused == ("number-format" if user == "shop" else "")
    if user == "viewer":
        assert token in numbers.sent()[-1] and numbers.vault.stored == [("email", token)]


@pytest.mark.parametrize("user", ["shop", "viewer"])
def test_a_field_of_copy_is_read_as_its_columns_type(user: str) -> None:
    link = Link(user, world(policy=NUMBERS))
    token = link.vault.token("email", b"7")
    link.client(query("copy customers (id, email) from stdin"))
    link.server(m.build_copy_response(m.COPY_IN_RESPONSE, m.CopyResponse(0, (0, 0))))
    link.client(m.build_copy_data(b"1\t 007\n" if user == "shop" else b"1\t" + token + b"\n"))
    assert link.sent()[-1] == m.build_copy_data(b"1\t" + token + b"\n")


def test_text_of_copy_is_its_own_value() -> None:
    link = Link()
    link.client(query("copy customers (id, email) from stdin"))
    link.server(m.build_copy_response(m.COPY_IN_RESPONSE, m.CopyResponse(0, (0, 0))))
    link.client(m.build_copy_data(b"1\t 007\n2\tb\n"))
    assert link.vault.stored == [("email", b" 007"), ("email", b"b")]


def test_of_an_array_the_vault_says_which_elements_are_tokens() -> None:
    link = Link("viewer")
    link.client(query("select id from customers where email = any('{a,b}')"))
    assert any(isinstance(request, Find) for request in link.asked)
    assert code(Link("viewer"), "select id from customers where email = 'a'") == "may-not-search"


def prepared(text: str) -> Link:
    """A link with another policy since `text` was prepared as s."""
    link = Link().client(parse(text, b"s"), SYNC).server(PARSED, ready())
    link.world = world(2, POLICY.replace("    name: person\n", ""))
    link.session.renew(link.world)
    link.sent()
    return link


def test_a_statement_is_planned_again_for_another_policy() -> None:
    link = prepared("insert into customers(email) values ($1)")
    link.held = (Analyse,)
    link.client(bind([b"a@b.c"], b"s"), SYNC)
    assert link.sent() == []
    assert kinds(link.release().sent()) == "BS"


def test_a_statement_that_cannot_be_planned_again_is_refused() -> None:
    link = prepared("select id from customers where note = 'x'")
    link.session.state.limits = Limits(statement=10)
    link.client(bind([], b"s"), SYNC)
    assert refusal(link) == "statement-too-large"
