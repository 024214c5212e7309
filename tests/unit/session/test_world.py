"""The cache of plans: by shape, settings and pinned literals, bounded."""

from proxy.session.world import MAX_PINNED, PlanCache, World
from proxy.sql.plan import Plan
from proxy.sql.shape import shape
from tests.unit.session.driver import SHOP


def put(cache: PlanCache, text: bytes, plan: Plan) -> None:
    cut = shape(text, True)
    cache.put((cut.key, True, None), text, cut, plan)


def get(cache: PlanCache, text: bytes) -> Plan | None:
    cut = shape(text, True)
    return cache.get((cut.key, True, None), text, cut)


def test_one_plan_a_shape() -> None:
    cache, plan = PlanCache(10), Plan()
    assert get(cache, b"select 'a'") is None
    put(cache, b"select 'a'", plan)
    assert get(cache, b"select 'b'") is plan
    assert cache.take_counts() == (1, 1) and cache.take_counts() == (0, 0)


def test_pinned_literals_have_their_own_plans() -> None:
    cache, one, two = PlanCache(10), Plan(pinned=(0,)), Plan(pinned=(0,))
    put(cache, b"select x order by '1'", one)
    put(cache, b"select x order by '2'", two)
    assert get(cache, b"select x order by '1'") is one and get(cache, b"select x order by '2'") is two
    assert get(cache, b"select x order by '3'") is None


def test_another_set_of_pins_starts_anew() -> None:
    cache, one, two = PlanCache(10), Plan(pinned=(0,)), Plan()
    put(cache, b"select 'a'", one)
    put(cache, b"select 'b'", two)
    assert get(cache, b"select 'a'") is two


def test_bounds() -> None:
    cache = PlanCache(2)
    for name in (b"a", b"b", b"c"):
        put(cache, b"select " + name, Plan())
    assert len(cache) == 2 and get(cache, b"select a") is None
    for number in range(MAX_PINNED + 1):
        put(cache, b"select '%d'" % number, Plan(pinned=(0,)))
    assert get(cache, b"select '0'") is None


def test_a_pinned_literal_that_cannot_be_read_is_not_kept() -> None:
    cache = PlanCache(2)
    put(cache, rb"select E'\uD800'", Plan(pinned=(0,)))
    assert len(cache) == 0


def test_a_new_world_has_no_plan_of_the_one_before() -> None:
    one, two = (World(SHOP.policy, SHOP.snapshot, version, plans=1) for version in (1, 2))
    assert not one.moved
    put(one.plans, b"select 'a'", Plan())
    put(one.plans, b"select b", Plan())
    assert get(one.plans, b"select b") and not get(one.plans, b"select 'a'"), "one, as was asked for"
    assert get(two.plans, b"select b") is None
    assert (one.version, two.version) == (1, 2)
