"""What sessions ask and what they get, with the record of it."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor, Future
from typing import Any

import pytest

from proxy import tokens
from proxy.errors import Refusal, Unavailable
from proxy.net.answers import PENDING, SHORT, TURN, Answers
from proxy.net.notices import Bus, Peer
from proxy.net.tasks import Tasks
from proxy.net.worlds import Worlds
from proxy.observe import REGISTRY
from proxy.policy.access import Access
from proxy.session.effects import (
    Analyse,
    Audit,
    CatalogMoved,
    Context,
    DatabasesChanged,
    Failure,
    Find,
    Item,
    LoadCatalog,
    Note,
    Principal,
    Request,
    Reveal,
    Revealed,
    Shown,
    Tokenise,
)
from proxy.sql.plan import Plan
from proxy.vault.chain import AuditEvent
from proxy.vault.vault import Vault
from tests.unit.net.stage import Inline, Shelf, Store, catalog, heed_nothing, modes, policy, turns, until
from tests.unit.session import driver
from tests.vault.kit import asynchronous, provider, sources

PRINCIPAL = Principal("shop", "shop", "app", "10.0.0.1", "", "support call")
STRANGER = tokens.deterministic(b"k" * 32, b"other".ljust(32), b"x")


def context(default: str = "reveal", **levels: str) -> Context:
    access = Access("role", default, levels)  # type: ignore[arg-type]
    return Context(PRINCIPAL, access, "f1", "select")


def item(value: str, may_be_token: bool = False, name: str = "email") -> Item:
    return Item(name, value.encode(), may_be_token)


class Scene:
    def __init__(
        self, store: Store, vault: Vault, analysers: tuple[Executor, Executor], text: str = driver.POLICY
    ) -> None:
        self.store = store
        self.vault = vault
        self.tasks = Tasks()
        self.shelf = Shelf(catalog())
        self.worlds = Worlds(self.shelf, policy(text), 100, lambda _: None, self.tasks, vault)
        self.others = Bus(heed_nothing, self.tasks)
        self.answers = Answers(vault, self.worlds, analysers, 0.01, self.others)

    async def ask(self, request: Request) -> tuple[Any, Sequence[AuditEvent]]:
        """At once if it is at hand, as a link does it."""
        answer, events = self.answers.now(request)
        return (answer, events) if answer is not PENDING else await self.answers.later(request)

    def at_hand(self, request: Request) -> bool:
        return self.answers.now(request)[0] is not PENDING

    async def token(self, value: str, name: str = "email") -> bytes:
        return (await self.vault.tokenise([(name, value.encode())]))[0]

    async def reveal(self, given: Context, *asked: tuple[str, bytes], plain: tuple[tuple[str, bytes], ...] = ()) -> Any:
        return await self.ask(Reveal(asked, plain, given))


def scene(test: Callable[[Scene], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @asynchronous
    async def run() -> None:
        store = Store()
        vault = await Vault.open(store, provider(), modes(policy()), sources())
        it = Scene(store, vault, (Inline(), Inline()))
        await test(it)
        await it.tasks.cancel()
        await vault.close()

    return run


# ---- tokens


@scene
async def test_values_become_tokens_that_are_at_hand_the_next_time(it: Scene) -> None:
    request = Tokenise((item("a@b.c"), item("x@y.z")), context())
    assert not it.at_hand(request)
    made, events = await it.ask(request)
    assert len(set(made)) == 2 and events == () and len(it.store.entries) == 2
    assert it.at_hand(request) and it.answers.now(request) == (made, ())


@scene
async def test_a_token_that_may_be_written_through_stands_for_itself(it: Scene) -> None:
    token = (await it.token("a@b.c")).decode()
    made, _ = await it.ask(Tokenise((item(token, True), item("x@y.z", True), item(token, False)), context("token")))
    assert made[0].decode() == token and made[1] != made[2] != made[0]
    again, _ = await it.ask(Tokenise((item(token, True),), context("token")))
    assert again == (token.encode(),)
    foreign, _ = await it.ask(Tokenise((item(STRANGER.decode(), True),), context("token")))
    assert foreign[0] != STRANGER


@scene
async def test_a_vault_that_is_gone_is_no_answer(it: Scene) -> None:
    it.store.gone = True
    with pytest.raises(Unavailable):
        await it.ask(Tokenise((item("a@b.c"),), context()))
    with pytest.raises(Unavailable):
        await it.answers.record([AuditEvent("reveal", "ok")])


# ---- searches


@pytest.mark.parametrize("count", [2, TURN + 1, 3 * TURN])
def test_a_search_stores_nothing_and_is_recorded(count: int) -> None:
    @scene
    async def test(it: Scene) -> None:
        request = Find(tuple(item(f"{i}@b.c") for i in range(count)), context())
        assert it.at_hand(request) == (count <= TURN)
        found, (event,) = await it.ask(request)
        assert found[1] == await it.token("1@b.c") and len(it.store.entries) == 1
        assert (event.action, event.class_name, event.count, event.user) == ("search", "email", count, "shop")
        assert event.tokens == found and event.purpose == "support call" and event.statement == "select"

    test()


@pytest.mark.parametrize("count", [1, TURN + 1])
def test_who_may_not_see_may_not_search_but_may_compare_with_tokens(count: int) -> None:
    @scene
    async def test(it: Scene) -> None:
        token = await it.token("a@b.c")
        passed, _ = await it.ask(Find((item(token.decode(), True),) * count, context("token")))
        assert passed == (token,) * count
        refused, events = await it.ask(Find((item("a@b.c", True),) * count, context("token")))
        assert isinstance(refused, Failure) and refused.refusal.code == "may-not-search" and events == ()

    test()


@scene
async def test_a_search_gives_turns_to_others(it: Scene) -> None:
    search = it.tasks.spawn(it.ask(Find((item("a@b.c"),) * (5 * TURN), context())), "search")
    others = 0
    while not search.done():
        others += 1
        await asyncio.sleep(0)
    assert others > 5


@scene
async def test_a_search_of_a_class_that_means_something_else_to_another_process_is_refused(it: Scene) -> None:
    it.vault.configure({}, {"email": "lower case"})
    request = Find((item("a@b.c"),), context())
    assert not it.at_hand(request)
    await it.ask(request)  # there are no values that could be missed
    it.store.known["class email"] = "as they are"
    with pytest.raises(Unavailable, match="class 'email' are made from as they are"):
        await it.ask(request)
    it.vault.configure({}, {"email": "as they are"})
    await it.ask(request)
    assert it.at_hand(request)


# ---- values


@scene
async def test_levels(it: Scene) -> None:
    token = await it.token("ada@example.org")
    shown, (event,) = await it.reveal(context(), ("email", token))
    assert shown == Revealed({}, {}, {token: b"ada@example.org"})
    assert (event.action, event.tokens, event.count) == ("reveal", (token,), 1)
    shown, (event,) = await it.reveal(context("mask"), ("email", token))
    assert shown.tokens[token].level == "mask" and b"ada@" not in (shown.tokens[token].value or b"")
    assert event.action == "mask"
    shown, events = await it.reveal(context("token"), ("email", token))
    assert shown.tokens[token].value == token and events == []
    failure, (event,) = await it.reveal(context("deny"), ("email", token))
    assert failure.refusal.code == "may-not-see" and (event.action, event.outcome) == ("refuse", "may-not-see")


@scene
async def test_one_record_says_all_classes_of_a_result(it: Scene) -> None:
    ann, ada = await it.token("a@b.c"), await it.token("Ada", "person")
    shown, (event,) = await it.reveal(context("reveal"), ("email", ann), ("person", ada))
    assert shown.clear == {ann: b"a@b.c", ada: b"Ada"}
    assert (event.class_name, event.count, dict(event.classes)) == ("", 2, {"email": 1, "person": 1})
    assert set(event.tokens) == {ann, ada} and event.action == "reveal"
    shown, events = await it.reveal(context("reveal", person="mask"), ("email", ann), ("person", ada))
    assert {(e.action, e.class_name, e.tokens) for e in events} == {
        ("mask", "person", (ada,)), ("reveal", "email", (ann,)),
    }  # fmt: skip


@scene
async def test_rights_are_those_of_the_entrys_class_wherever_it_stands(it: Scene) -> None:
    token = await it.token("Ada", "person")
    shown, (event,) = await it.reveal(context("token", email="reveal"), ("email", token), ("email", b"x" * 36))
    assert shown.tokens[token] == Shown("person", "token", token)
    assert event.class_name == "email" and event.count == 1  # the plain value that stood there


@scene
async def test_the_store_is_asked_for_what_is_not_at_hand(it: Scene) -> None:
    token = await it.token("a@b.c")
    it.vault._cache.forget([token])
    request = Reveal((("email", token),), (), context())
    assert not it.at_hand(request)
    shown, _ = await it.ask(request)
    assert shown.clear[token] == b"a@b.c" and it.at_hand(request)


@scene
async def test_a_token_of_ours_without_an_entry_is_an_error_not_a_null(it: Scene) -> None:
    (lost,) = it.vault.find([("email", b"never@stored.org")])
    failure, (event,) = await it.reveal(context(), ("email", lost))
    assert failure.refusal.code == "vault-unavailable" and event.action == "refuse"
    shown, events = await it.reveal(context(), ("", lost))  # in an error text it is only a word
    assert shown == Revealed({}, {}) and events == []


@scene
async def test_an_erased_value_is_null(it: Scene) -> None:
    token = await it.token("a@b.c")
    entry = it.store.entries[tokens.to_binary(token)]
    it.store.entries[entry.token] = type(entry)(
        entry.token, entry.class_name, entry.key_id, entry.version, entry.created, entry.mac, None
    )
    it.vault.forget([token])
    shown, events = await it.reveal(context("deny"), ("email", token))
    assert shown.tokens[token] == Shown("email", "reveal", None) and events == []


@scene
async def test_what_looks_like_a_token_and_is_not_ours_is_a_value_of_its_column(it: Scene) -> None:
    shown, _ = await it.reveal(context(), ("email", STRANGER), ("", b"y" * 36))
    assert shown == Revealed({STRANGER: Shown("email", "reveal", STRANGER)}, {})


@scene
async def test_values_that_lie_in_the_column_as_they_are(it: Scene) -> None:
    old = (("email", b"old@b.c"),)
    before = REGISTRY.get_sample_value("pgveil_plaintext_values_total", {"class": "email"}) or 0.0
    shown, (event,) = await it.reveal(context(), plain=old)
    assert shown.plain[old[0]] == Shown("email", "reveal", b"old@b.c") and (event.tokens, event.count) == ((), 1)
    shown, _ = await it.reveal(context("mask"), plain=old)
    assert b"old" not in (shown.plain[old[0]].value or b"")
    shown, events = await it.reveal(context("token"), plain=old)
    assert shown.plain[old[0]].value == await it.token("old@b.c") and events == []
    failure, _ = await it.reveal(context("deny"), plain=old)
    assert isinstance(failure, Failure)
    assert REGISTRY.get_sample_value("pgveil_plaintext_values_total", {"class": "email"}) == before + 4


@scene
async def test_a_class_that_the_policy_lost_meanwhile(it: Scene) -> None:
    """Statements planned under the policy before are still on their way."""
    token = await it.token("a@b.c")
    it.worlds.renew(policy("version: 1\n"))
    shown, _ = await it.reveal(context("mask"), ("email", token), plain=(("email", b"old@b.c"),))
    assert shown.tokens[token].value != b"a@b.c" and shown.plain[("email", b"old@b.c")].value != b"old@b.c"
    shown, _ = await it.reveal(context("token"), plain=(("email", b"old@b.c"),))
    assert shown.plain[("email", b"old@b.c")].value is None


# ---- catalogs, plans, records


@scene
async def test_catalogs(it: Scene) -> None:
    ask = LoadCatalog("shop", False)
    assert not it.at_hand(ask)
    world, events = await it.ask(ask)
    assert world is it.worlds.known("shop") and events == () and it.answers.now(ask) == (world, ())
    assert not it.at_hand(LoadCatalog("shop", True))
    assert (await it.ask(LoadCatalog("shop", True)))[0] is world and it.shelf.began == 2
    it.worlds.renew(policy("version: 1\n"))
    assert await it.ask(ask) == (None, ()) and await it.ask(LoadCatalog("shop", True)) == (None, ())
    assert it.shelf.began == 2


@scene
async def test_databases_that_changed_are_read_anew(it: Scene) -> None:
    await it.ask(LoadCatalog("shop", False))
    assert it.answers.now(DatabasesChanged("shop")) == (None, ()) and it.at_hand(LoadCatalog("shop", False))
    assert it.answers.now(DatabasesChanged("postgres")) == (None, ()) and not it.at_hand(LoadCatalog("shop", False))


@scene
async def test_plans(it: Scene) -> None:
    world = await it.worlds.load("shop", False)
    plan, events = await it.ask(Analyse(b"select email from customers", True, ("public",), world.snapshot))
    assert isinstance(plan, Plan) and plan.touches and events == ()


class Never(Executor):
    """Makes no plan."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> "Future[Any]":
        self.asked.append(arguments)
        return Future()


@asynchronous
async def test_a_statement_that_takes_too_long_is_refused() -> None:
    store = Store()
    vault = await Vault.open(store, provider(), modes(policy()), sources())
    never = Never()
    it = Scene(store, vault, (never, Inline()))
    world = await it.worlds.load("shop", False)
    failure, _ = await it.ask(Analyse(b"select email from customers", True, None, world.snapshot))
    assert failure.refusal.code == "statement-too-large"
    given_up = never.asked[0][-1]
    assert given_up(), "who makes the plan is to be told"
    long, _ = await it.ask(Analyse(b"select email from customers" + b" " * SHORT, True, ("public",), world.snapshot))
    assert isinstance(long, Plan) and long.touches, "long texts don't wait for short ones, nor short ones for long"
    await vault.close()


@scene
async def test_events_are_recorded_by_class(it: Scene) -> None:
    answer, events = await it.ask(Audit("refuse", ("email", "person"), context(), "may-not-see"))
    assert (answer, events) == (None, ())
    await it.ask(Audit("refuse", (), context(), "syntax"))
    recorded = [record.event for record in await it.vault.audit.tail(10)][-3:]
    assert [(e.class_name, e.outcome) for e in recorded] == [
        ("email", "may-not-see"),
        ("person", "may-not-see"),
        ("", "syntax"),
    ]
    assert {e.role for e in recorded} == {"role"}


def test_notes_and_errors_become_metrics() -> None:
    answers = Answers.__new__(Answers)
    before = REGISTRY.get_sample_value("pgveil_refusals_total", {"code": "syntax"}) or 0.0
    answers.note(Note("refusal", {"code": "syntax"}))
    assert REGISTRY.get_sample_value("pgveil_refusals_total", {"code": "syntax"}) == before + 1
    answers.broken(Refusal("syntax", "x"))
    assert REGISTRY.get_sample_value("pgveil_errors_total", {"kind": "Refusal"})


@scene
async def test_others_are_told_before_the_answer(it: Scene) -> None:
    """What the others say is in the hands of the test."""
    told: list[Any] = []
    peer = Peer(told.append, 60.0)
    await it.ask(LoadCatalog("shop", False))
    it.others.peers.append(peer)
    for request in (CatalogMoved("shop"), DatabasesChanged("postgres"), LoadCatalog("shop", True, changed=True)):
        waits = asyncio.get_running_loop().create_task(it.ask(request))
        await until(lambda: told)
        await turns()
        assert not waits.done()
        peer.known(told[0]["notice"])
        await waits
        told.clear()


@scene
async def test_nobody_has_an_answer_when_the_others_can_not_be_told(it: Scene) -> None:
    peer = Peer(lambda message: None, 60.0, needed=True)
    peer.gone()
    await it.ask(LoadCatalog("shop", False))
    it.others.peers.append(peer)
    for request in (CatalogMoved("shop"), DatabasesChanged("postgres"), LoadCatalog("shop", True, changed=True)):
        with pytest.raises(Unavailable, match="on its own"):
            await it.ask(request)


@scene
async def test_ddl_is_read_back_here_and_there(it: Scene) -> None:
    await it.ask(LoadCatalog("shop", False))
    began = it.shelf.began
    world, _ = await it.ask(LoadCatalog("shop", True, changed=True))
    assert it.shelf.began == began + 1 and world is it.worlds.known("shop")
    it.shelf.gone = True
    with pytest.raises(Unavailable):
        await it.ask(LoadCatalog("shop", True, changed=True))
    assert it.worlds.known("shop") is None, "whoever comes waits for a reading that succeeds"
