"""Logs and metrics: the only text for operators.

Not the audit trail, which is a record of its own. Two tables say all that can come out: FACTS (what a log line may
hold) and METRICS. Invariants: no fact but those in the table, none longer than its bound, no bytes ever, so a value of
the application can't get into a line by being passed along; what a library logs is reduced to who and which error,
since its text may quote anything. Labels of metrics have bounded sets of values.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TextIO

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from proxy.errors import Bug

FactValue = str | int | float | bool
LevelName = Literal["debug", "info", "warning", "error"]

# ---- facts ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fact:
    """type: what it must be. longest: of a text, in characters."""

    type: type
    help: str
    longest: int = 0


def _word(help: str, longest: int = 64) -> Fact:
    return Fact(str, help, longest)


FACTS: Final[dict[str, Fact]] = {
    "link": Fact(int, "number of a link, in this process"),
    "client": _word("address of a client, '' for a Unix socket"),
    "server": _word("address of a server", 255),
    "address": _word("address that is listened on", 255),
    "side": _word("client or server"),
    "user": _word("database account"),
    "database": _word("database"),
    "application": _word("application_name as the client gave it"),
    "role": _word("role of the policy"),
    "class": _word("class of the policy"),
    "table": _word("schema.table", 130),
    "column": _word("schema.table.column", 200),
    "statement": _word("kind of a statement: select, insert, …"),
    "fingerprint": _word("of a statement's shape, literals not in it"),
    "code": _word("of a refusal"),
    "sqlstate": _word("SQLSTATE", 5),
    "outcome": _word("how it ended"),
    "reason": _word("why, in words of pgveil's own", 200),
    "what": _word("what, in words of pgveil's own", 200),
    "error": _word("type of an exception, not its text"),
    "logger": _word("library that logged"),
    "count": Fact(int, "how many"),
    "rows": Fact(int, "how many rows"),
    "tokens": Fact(int, "how many tokens"),
    "bytes": Fact(int, "how many bytes"),
    "seconds": Fact(float, "how long"),
    "file": _word("configuration or policy file", 1024),
    "line": Fact(int, "line in it"),
    "fault": _word("what is wrong in it", 500),
    "advice": _word("what to do about it", 500),
    "digest": _word("of a policy"),
    "head": _word("end of the audit trail, as `audit verify --head` takes it", 200),
    "version": _word("of pgveil, a server or the protocol"),
    "pid": Fact(int, "process"),
    "worker": Fact(int, "number of a worker process"),
    "signal": _word("signal"),
    "dropped": _word("facts that were not fit to be logged", 500),
}

EVENT: Final = re.compile(r"[a-z][a-z0-9-]{0,63}")
LOGGER: Final = logging.getLogger("pgveil")
UNFIT_EVENT: Final = "unfit-event"
LEVELS: Final[dict[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def unfit(name: str, value: object) -> bool:
    """Not a fact that a line may hold."""
    fact = FACTS.get(name)
    if fact is None:
        return True
    if fact.type is str:
        return not isinstance(value, str) or len(value) > fact.longest
    return not isinstance(value, int if fact.type is int else (int, float))


def log(event: str, level: LevelName = "info", **facts: FactValue) -> None:
    """Write one line. event: lower-case words with hyphens. facts: those of FACTS; 'class' goes as `**{'class': …}`.

    What is not fit is left out, counted, and named under `dropped`; without `setup` (in tests) it raises Bug.
    """
    number = LEVELS[level]
    bad = [name for name, value in facts.items() if unfit(name, value)]
    known = EVENT.fullmatch(event) is not None
    if bad or not known:
        if _strict():
            raise Bug(f"not fit for a log: {', '.join(sorted(bad)) or 'the name of the event'}")
        count("errors", kind="unfit-fact")
        facts = {name: value for name, value in facts.items() if name not in bad}
        facts["dropped"] = ",".join(name for name in bad if name in FACTS) or "unknown"
    if LOGGER.isEnabledFor(number):
        LOGGER.log(number, event if known else UNFIT_EVENT, extra={"facts": facts})


def note(kind: str, facts: Mapping[str, FactValue], level: LevelName = "info") -> None:
    """Perform a session's Note: a line, and the counter that goes with its kind."""
    if kind == "refusal":
        count("refusals", code=str(facts.get("code", "")))
    elif kind in ("fatal", "protocol-fault", "reveal-failed"):
        count("errors", kind=kind)
    log(kind, level, **facts)


# ---- lines ---------------------------------------------------------------------------------------------------------


class LineHandler(logging.StreamHandler[TextIO]):
    """Where pgveil's lines go. strict: unfit facts raise."""

    def __init__(self, stream: TextIO, as_json: bool, strict: bool) -> None:
        super().__init__(stream)
        self.strict = strict
        self.setFormatter(JsonLines() if as_json else PlainLines())


def setup(
    format: Literal["plain", "json"] = "plain",
    level: LevelName = "info",
    stream: TextIO | None = None,
    strict: bool = False,
) -> None:
    """Send pgveil's lines, and what is left of the libraries', to `stream` (stderr). Again: the last call counts."""
    handler = LineHandler(sys.stderr if stream is None else stream, format == "json", strict)
    LOGGER.handlers[:] = [handler]
    LOGGER.propagate = False
    LOGGER.setLevel(LEVELS[level])
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)


def teardown() -> None:
    """Undo `setup`."""
    for logger in (LOGGER, logging.getLogger()):
        logger.handlers[:] = [each for each in logger.handlers if not isinstance(each, LineHandler)]
    LOGGER.propagate = True
    LOGGER.setLevel(logging.NOTSET)


def _strict() -> bool:
    handlers = [each for each in LOGGER.handlers if isinstance(each, LineHandler)]
    return not handlers or handlers[0].strict


def _line(record: logging.LogRecord) -> tuple[str, Mapping[str, FactValue]]:
    """Event and facts; of a library's record only the logger and the type of the exception."""
    facts = getattr(record, "facts", None)
    if record.name == LOGGER.name and isinstance(facts, dict):
        return record.msg, facts
    kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
    return "library-log", {"logger": record.name[:64], "error": kind}


def _moment(record: logging.LogRecord) -> str:
    """RFC 3339, UTC, milliseconds."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event, facts = _line(record)
        whole = {"time": _moment(record), "level": record.levelname.lower(), "event": event, **facts}
        return json.dumps(whole)


class PlainLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event, facts = _line(record)
        shown = "".join(f" {name}={_plain(value)}" for name, value in facts.items())
        return f"{_moment(record)} {record.levelname.lower()} {event}{shown}"


PLAIN: Final = re.compile(r"[!#-<>-\[\]-~]+")


def _plain(value: FactValue) -> str:
    """As it is, or as a JSON string: no client writes a second line or a second fact into a log by its name."""
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) else json.dumps(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value).lower()


# ---- metrics -------------------------------------------------------------------------------------------------------

MOST_CLASSES: Final = 200  # of a policy; more share one label, so that a mistake can't fill Prometheus
OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the table. labels: label -> its values, or how many different ones are kept before 'other'."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Mapping[str, tuple[str, ...] | int]
    buckets: tuple[float, ...] = ()
    mode: Literal["sum", "min", "max"] = "sum"  # of a gauge: what several processes of one pgveil have together

    @property
    def full_name(self) -> str:
        return f"pgveil_{self.name}" + ("_total" if self.type == "counter" else "")


# From a cached look-up to a time-out, in seconds.
LATENCY: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
STATEMENTS: Final = ("select", "insert", "update", "delete", "merge", "copy", "utility")


def _counter(name: str, help: str, **labels: tuple[str, ...] | int) -> Metric:
    return Metric(name, "counter", help, labels)


def _gauge(name: str, help: str, mode: Literal["sum", "min", "max"] = "sum", **labels: tuple[str, ...] | int) -> Metric:
    return Metric(name, "gauge", help, labels, mode=mode)


def _latency(name: str, help: str, **labels: tuple[str, ...] | int) -> Metric:
    return Metric(name, "histogram", help, labels, LATENCY)


METRICS: Final[tuple[Metric, ...]] = (
    _gauge("open_links", "Links open now."),
    _counter(
        "links",
        "Links that ended, by how.",
        outcome=("closed", "refused", "failed", "fault", "cancel", "drained", "idle"),
    ),
    _gauge("upstream_links", "Links open now, by the server that they go to.", server=100),
    _counter(
        "upstream_dials",
        "Tries to bring a link to a server. not-accepting: it said 57P03; unfit: not what `target_session_attrs` asks"
        " for; unjudged: that could not be asked.",
        server=100,
        outcome=("reached", "refused", "timeout", "tls", "name", "failed", "not-accepting", "unfit", "unjudged"),
    ),
    _counter(
        "statements",
        "Statements, by kind and by what became of them. passed: touches nothing protected.",
        kind=STATEMENTS,
        outcome=("passed", "protected", "refused", "failed"),
    ),
    _counter("refusals", "Refusals, by code (see the page on refusals).", code=100),
    _counter("plan_cache_hits", "Statements whose plan was known."),
    _counter("plan_cache_misses", "Statements that had to be analysed."),
    _gauge("plan_cache_size", "Plans that are kept."),
    _latency("analyse_seconds", "Time to understand a statement not seen before."),
    _counter(
        "values",
        "Values that were tokenised, searched for, revealed, masked, denied or left as tokens, by class.",
        action=("tokenised", "searched", "revealed", "masked", "denied", "token"),
        **{"class": MOST_CLASSES},
    ),
    _counter(
        "plaintext_values",
        "Values found in a protected column that are no tokens, by class.",
        **{"class": MOST_CLASSES},
    ),
    _counter(
        "unknown_tokens",
        "Tokens in protected columns that the vault did not make or has no value for, by class.",
        why=("foreign", "lost"),
        **{"class": MOST_CLASSES},
    ),
    _latency("vault_seconds", "Time of a call to the vault.", call=("tokenise", "find", "reveal", "erase")),
    _latency("audit_seconds", "Time until an audit row was durable."),
    _counter(
        "bytes",
        "Bytes forwarded, by where they went.",
        direction=("to_server", "to_client"),
    ),
    _counter("policy_reloads", "Times that policy files were read, by outcome.", outcome=("loaded", "same", "failed")),
    _gauge("policy_loaded_timestamp_seconds", "When the policy in use was loaded, seconds since 1970.", "min"),
    _counter(
        "certificate_reloads",
        "Times that changed certificate files were read, by outcome.",
        outcome=("loaded", "failed"),
    ),
    _counter("catalog_refreshes", "Times that the catalog was read, by outcome.", outcome=("loaded", "failed")),
    _gauge("catalog_drift", "Protected columns that the catalog does not have as the policy says.", "max"),
    _gauge("workers", "Processes that serve links, of those that `workers` asks for."),
    _counter("workers_lost", "Worker processes that ended without being asked to; each is started again."),
    _counter("errors", "Errors that should not be, by kind.", kind=50),
)

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for every counter
REGISTRY: Final = CollectorRegistry()
ProcessCollector(namespace="pgveil", registry=REGISTRY)


def _collector(metric: Metric) -> Counter | Gauge | Histogram:
    name, labels = f"pgveil_{metric.name}", tuple(metric.labels)
    if metric.type == "counter":
        return Counter(name, metric.help, labels, registry=REGISTRY)
    if metric.type == "gauge":
        return Gauge(name, metric.help, labels, registry=REGISTRY)
    return Histogram(name, metric.help, labels, registry=REGISTRY, buckets=metric.buckets)


class Series:
    """A metric and those of its label sets that were used."""

    __slots__ = ("children", "collector", "metric", "seen")

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.collector = _collector(metric)
        self.children: dict[tuple[str, ...], Counter | Gauge | Histogram] = {}
        self.seen: dict[str, set[str]] = {label: set() for label in metric.labels}

    def child(self, labels: Mapping[str, str]) -> Counter | Gauge | Histogram:
        """Raises Bug for labels that the metric does not have."""
        if labels.keys() != self.metric.labels.keys():
            raise Bug(f"metric {self.metric.full_name} has labels {sorted(self.metric.labels)}")
        if not labels:
            return self.collector
        key = tuple([self._bounded(label, labels[label]) for label in self.metric.labels])
        child = self.children.get(key)
        if child is None:
            child = self.children[key] = self.collector.labels(*key)
        return child

    def _bounded(self, label: str, value: str) -> str:
        bound, seen = self.metric.labels[label], self.seen[label]
        if value in seen:
            return value
        if value not in bound if isinstance(bound, tuple) else len(seen) >= bound:
            return OTHER
        seen.add(value)
        return value


COUNTERS: Final = {metric.name: Series(metric) for metric in METRICS if metric.type == "counter"}
GAUGES: Final = {metric.name: Series(metric) for metric in METRICS if metric.type == "gauge"}
HISTOGRAMS: Final = {metric.name: Series(metric) for metric in METRICS if metric.type == "histogram"}


def _series(table: Mapping[str, Series], name: str) -> Series:
    try:
        return table[name]
    except KeyError:
        raise Bug(f"no such metric: {name}") from None


def count(name: str, amount: float = 1, **labels: str) -> None:
    """Add to a counter. name: without 'pgveil_' and '_total'. Raises Bug for a metric or label that is not there."""
    child = _series(COUNTERS, name).child(labels)
    assert isinstance(child, Counter)
    child.inc(amount)


def set_gauge(name: str, value: float, **labels: str) -> None:
    """Raises Bug as `count` does."""
    child = _series(GAUGES, name).child(labels)
    assert isinstance(child, Gauge)
    child.set(value)


def add_gauge(name: str, amount: float, **labels: str) -> None:
    """Raises Bug as `count` does."""
    child = _series(GAUGES, name).child(labels)
    assert isinstance(child, Gauge)
    child.inc(amount)


def took(name: str, seconds: float, **labels: str) -> None:
    """Put a duration into a histogram. Raises Bug as `count` does."""
    child = _series(HISTOGRAMS, name).child(labels)
    assert isinstance(child, Histogram)
    child.observe(seconds)
