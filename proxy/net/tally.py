"""The metrics of several processes as one page.

Each process has its own registry. What it counted is read as plain values, which go to the process that has the page;
that one keeps what processes counted that are gone. Gauges are added up, but for those that say otherwise in the table.

prometheus_client's own way for several processes has a file a process and a write into it for each count; this has no
cost while nobody asks. A process that is killed takes what it counted in its last second with it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, final

from prometheus_client import CollectorRegistry, Metric

from proxy.observe import METRICS

# Name, type, help, samples: (name, labels, value).
Sample = tuple[str, tuple[tuple[str, str], ...], float]
Family = tuple[str, str, str, tuple[Sample, ...]]
Tally = tuple[Family, ...]

MODES: Final[Mapping[str, str]] = {each.full_name: each.mode for each in METRICS if each.type == "gauge"} | {
    "pgveil_process_max_fds": "min",
    "pgveil_process_start_time_seconds": "min",
}


def tally(registry: CollectorRegistry) -> Tally:
    """What a process has counted."""
    return tuple(
        (
            family.name,
            family.type,
            family.documentation,
            tuple([(each.name, tuple(sorted(each.labels.items())), each.value) for each in family.samples]),
        )
        for family in registry.collect()
    )


def lasting(of: Tally) -> Tally:
    """What stays when the process is gone."""
    return tuple(family for family in of if family[1] in ("counter", "histogram"))


def merged(tallies: Iterable[Tally]) -> Tally:
    kinds: dict[str, tuple[str, str]] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for each in tallies:
        for name, kind, text, samples in each:
            kinds[name] = kind, text
            known = values.setdefault(name, {})
            for sample, labels, value in samples:
                key = sample, labels
                known[key] = value if key not in known else _one(MODES.get(name, "sum"), known[key], value)
    return tuple(
        (name, kind, text, tuple([(*key, value) for key, value in values[name].items()]))
        for name, (kind, text) in kinds.items()
    )


def _one(mode: str, one: float, other: float) -> float:
    return min(one, other) if mode == "min" else max(one, other) if mode == "max" else one + other


@final
class Page(CollectorRegistry):
    """What `generate_latest` takes."""

    def __init__(self, of: Tally) -> None:
        super().__init__(auto_describe=False)
        self._of = of

    def collect(self) -> Iterator[Metric]:
        for name, kind, text, samples in self._of:
            family = Metric(name, text, kind)
            for sample, labels, value in samples:
                family.add_sample(sample, dict(labels), value)
            yield family


def together(details: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """What /readyz says of all processes: numbers added up, lists and mappings united, and what has to hold for all of
    them (draining: for any)."""
    found: dict[str, object] = {}
    for each in details:
        for name, value in each.items():
            found[name] = _both(name, found[name], value) if name in found else value
    return found


def _both(name: str, one: object, other: object) -> object:
    if isinstance(one, bool) and isinstance(other, bool):
        return one or other if name == "draining" else one and other
    if isinstance(one, int) and isinstance(other, int):
        return one + other
    if isinstance(one, dict) and isinstance(other, dict):
        return together([one, other])
    if isinstance(one, list) and isinstance(other, list):
        if name == "upstream":
            return [together(pair) for pair in zip(one, other, strict=True)]
        return one + [each for each in other if each not in one]
    return one
