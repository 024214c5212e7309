"""What operators read: only facts of the table, in one line each; metrics with bounded labels."""

import ast
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from proxy import observe
from proxy.errors import Bug


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    yield io.StringIO()
    observe.teardown()


def value(name: str, **labels: str) -> float:
    return observe.REGISTRY.get_sample_value(name, labels) or 0.0


def test_plain_lines(stream: io.StringIO) -> None:
    observe.setup("plain", "info", stream)
    observe.log("link-open", link=7, client="10.0.0.1", seconds=0.25, user='a b"\n')
    observe.log("hidden", "debug", link=7)
    line = stream.getvalue()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info link-open link=7 client=10\.0\.0\.1 seconds=0\.25 "
        r'user="a b\\"\\n"\n',
        line,
    )


def test_json_lines(stream: io.StringIO) -> None:
    observe.setup("json", "debug", stream)
    observe.log("refused", "warning", **{"class": "email", "code": "may-not-see"})
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {"level": "warning", "event": "refused", "class": "email", "code": "may-not-see"}


UNFIT: list[dict[str, object]] = [
    {"value": "ann@example.com"},
    {"table": b"bytes"},
    {"link": "seven"},
    {"seconds": "1"},
    {"code": "x" * 65},
    {"client": None},
]


@pytest.mark.parametrize("facts", UNFIT)
def test_what_is_not_fit_raises_in_tests(facts: dict[str, object]) -> None:
    with pytest.raises(Bug, match="not fit for a log"):
        observe.log("event", **facts)  # type: ignore[arg-type]


def test_an_event_is_no_sentence() -> None:
    with pytest.raises(Bug, match="name of the event"):
        observe.log("Could not store ann@example.com")


def test_setup_can_be_strict(stream: io.StringIO) -> None:
    observe.setup(stream=stream, strict=True)
    with pytest.raises(Bug):
        observe.log("event", value="x")


@pytest.mark.parametrize("facts", UNFIT)
def test_what_is_not_fit_is_dropped_and_counted_in_production(facts: dict[str, object], stream: io.StringIO) -> None:
    before = value("pgveil_errors_total", kind="unfit-fact")
    observe.setup("json", "info", stream)
    observe.log("event", rows=3, **facts)  # type: ignore[arg-type]
    line = json.loads(stream.getvalue())
    known = next(iter(facts)) in observe.FACTS
    assert (line["rows"], line["dropped"]) == (3, next(iter(facts)) if known else "unknown")
    assert value("pgveil_errors_total", kind="unfit-fact") == before + 1


def test_a_bad_event_has_no_name_in_production(stream: io.StringIO) -> None:
    observe.setup("json", "info", stream)
    observe.log("ann@example.com")
    assert json.loads(stream.getvalue())["event"] == "unfit-event"


def test_libraries_texts_are_left_out(stream: io.StringIO) -> None:
    observe.setup("plain", "info", stream)
    try:
        raise ValueError("ann@example.com")
    except ValueError:
        logging.getLogger("asyncio").exception("failed for %s", "ann@example.com")
    logging.getLogger("other").error("ann@example.com")
    logging.getLogger("other").info("not even this")
    lines = stream.getvalue().splitlines()
    assert [line.partition(" ")[2] for line in lines] == [
        "error library-log logger=asyncio error=ValueError",
        'error library-log logger=other error=""',
    ]


def test_the_last_setup_counts(stream: io.StringIO) -> None:
    observe.setup("plain", "info", io.StringIO())
    observe.setup("json", "info", stream)
    observe.log("once")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_note_is_a_line_and_a_count(stream: io.StringIO) -> None:
    observe.setup("json", "info", stream)
    refusals = value("pgveil_refusals_total", code="syntax")
    broken = value("pgveil_errors_total", kind="protocol-fault")
    observe.note("refusal", {"code": "syntax", "sqlstate": "42601"})
    observe.note("protocol-fault", {"side": "client", "what": "a length of 3"}, "warning")
    observe.note("link-closed", {"reason": "client left"})
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == [
        "refusal",
        "protocol-fault",
        "link-closed",
    ]
    assert value("pgveil_refusals_total", code="syntax") == refusals + 1
    assert value("pgveil_errors_total", kind="protocol-fault") == broken + 1


def test_counters_gauges_and_durations() -> None:
    before = value("pgveil_values_total", action="revealed", **{"class": "email"})
    observe.count("values", 3, action="revealed", **{"class": "email"})
    assert value("pgveil_values_total", action="revealed", **{"class": "email"}) == before + 3
    observe.set_gauge("plan_cache_size", 10)
    observe.add_gauge("plan_cache_size", -3)
    assert value("pgveil_plan_cache_size") == 7
    observe.took("vault_seconds", 0.003, call="find")
    assert value("pgveil_vault_seconds_count", call="find") >= 1
    assert b"pgveil_vault_seconds_bucket" in generate_latest(observe.REGISTRY)


def test_labels_are_bounded() -> None:
    series = observe.Series.__new__(observe.Series)
    metric = observe.Metric("test_bounded", "counter", "test", {"kind": 2, "how": ("a", "b")})
    registry = observe.REGISTRY
    series.__init__(metric)  # type: ignore[misc]
    try:
        for kind in ("x", "y", "z", "x"):
            series.child({"kind": kind, "how": "c"}).inc()  # type: ignore[union-attr]
        assert set(series.children) == {("x", "other"), ("y", "other"), ("other", "other")}
    finally:
        registry.unregister(series.collector)


@pytest.mark.parametrize(
    "call",
    [
        lambda: observe.count("nothing"),
        lambda: observe.count("open_links"),
        lambda: observe.count("values", action="revealed"),
        lambda: observe.count("plan_cache_hits", kind="x"),
        lambda: observe.set_gauge("values", 1),
        lambda: observe.took("links", 1),
    ],
)
def test_metrics_that_are_not_there(call: object) -> None:
    with pytest.raises(Bug):
        call()  # type: ignore[operator]


def test_names_follow_prometheus() -> None:
    for metric in observe.METRICS:
        assert re.fullmatch(r"pgveil_[a-z_]+", metric.full_name)
        assert metric.full_name.endswith("_total") == (metric.type == "counter")
        assert metric.type != "histogram" or metric.full_name.endswith("_seconds")
    exposed = re.findall(r"^# TYPE (\S+)", generate_latest(observe.REGISTRY).decode(), re.M)
    assert all(name.startswith("pgveil_") for name in exposed)


PRODUCT = Path(observe.__file__).parent


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Calls of this module's functions, imported by name or called on the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            of_module = isinstance(node.func, ast.Name) or getattr(node.func.value, "id", "") == "observe"
            if of_module and name in ("log", "count", "set_gauge", "add_gauge", "took"):
                yield name, node


def labels_of(call: ast.Call) -> set[str]:
    """Keywords of a call, those in a `**{…}` included."""
    named = {word.arg for word in call.keywords if word.arg is not None}
    spread = [word.value for word in call.keywords if word.arg is None and isinstance(word.value, ast.Dict)]
    return named | {key.value for each in spread for key in each.keys if isinstance(key, ast.Constant)}


def wrong(name: str, call: ast.Call) -> bool:
    given = labels_of(call)
    if name == "log":
        return not given <= {"level", *observe.FACTS}
    table = {"count": observe.COUNTERS, "took": observe.HISTOGRAMS}.get(name, observe.GAUGES)
    spread = any(word.arg is None and not isinstance(word.value, ast.Dict) for word in call.keywords)
    if spread or not call.args or not isinstance(call.args[0], ast.Constant):
        return False  # only running it can tell
    series = table.get(call.args[0].value)
    return series is None or given - {"amount"} != set(series.metric.labels)


def test_every_call_in_the_product_names_what_is_there() -> None:
    found = [
        f"{path.relative_to(PRODUCT)}:{call.lineno}"
        for path in sorted(PRODUCT.rglob("*.py"))
        if "observe" in (text := path.read_text(encoding="utf-8"))
        for name, call in calls(ast.parse(text))
        if wrong(name, call)
    ]
    assert found == []
