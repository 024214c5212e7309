"""What several processes counted, on one page."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from proxy.net.tally import Page, lasting, merged, tally, together


def registry(links: float, drift: float, loaded: float, seconds: float) -> CollectorRegistry:
    made = CollectorRegistry()
    Counter("pgveil_errors", "E.", ("kind",), registry=made).labels("a").inc(links)
    Gauge("pgveil_open_links", "L.", registry=made).set(links)
    Gauge("pgveil_catalog_drift", "D.", registry=made).set(drift)
    Gauge("pgveil_policy_loaded_timestamp_seconds", "P.", registry=made).set(loaded)
    Histogram("pgveil_audit_seconds", "A.", registry=made, buckets=(0.1, 1.0)).observe(seconds)
    return made


def test_a_page_of_one_is_that_of_its_registry() -> None:
    one = registry(2, 1, 7, 0.5)
    assert sorted(generate_latest(Page(tally(one))).splitlines()) == sorted(generate_latest(one).splitlines())


def test_counts_are_added_and_gauges_as_the_table_says() -> None:
    both = Page(merged([tally(registry(2, 1, 7, 0.5)), tally(registry(3, 4, 5, 0.05))]))
    found = {(s.name, *s.labels.values()): s.value for family in both.collect() for s in family.samples}
    assert found["pgveil_errors_total", "a"] == 5 and found["pgveil_open_links",] == 5
    assert found["pgveil_catalog_drift",] == 4 and found["pgveil_policy_loaded_timestamp_seconds",] == 5
    assert found["pgveil_audit_seconds_bucket", "0.1"] == 1 and found["pgveil_audit_seconds_count",] == 2


def test_what_a_process_counted_stays_when_it_is_gone() -> None:
    left = lasting(tally(registry(2, 1, 7, 0.5)))
    assert {name for name, *_ in left} == {"pgveil_errors", "pgveil_audit_seconds"}


def test_what_all_say_of_themselves() -> None:
    one = {
        "links": 1,
        "vault": True,
        "draining": False,
        "drift": ["a"],
        "columns": {"x": "y"},
        "policy": {"digest": "d"},
    }
    other = {
        "links": 2,
        "vault": False,
        "draining": True,
        "drift": ["b", "a"],
        "columns": {},
        "policy": {"digest": "d"},
    }
    there = {"upstream": [{"server": "s", "links": 1}]}
    assert together([one | there, other | there]) == {
        "links": 3,
        "vault": False,
        "draining": True,
        "drift": ["a", "b"],
        "columns": {"x": "y"},
        "policy": {"digest": "d"},
        "upstream": [{"server": "s", "links": 2}],
    }
    assert together([]) == {}
