"""Suites of others, direct and through pgveil: nobody should be able to tell which is which.

    python -m tests.outside.suites NAME --work DIR [--version 15] [--place pgveil]… [--keep]

Fetches the suite's source into DIR (once), runs it at each of `places.NAMES` on a fresh cluster, and prints the tests
whose outcome is not that of the direct runs, with the words of the failure in DIR/VERSION/NAME-PLACE.log. Exit code 1
where a test differs through pgveil, refusals at `revealing` excepted. Not part of `make test`: the suites are not ours
to ship, and take minutes.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.outside import django, go, libpq_pipeline, node, places, python, rust
from tests.outside.regress import refusals
from tests.outside.suite import Outcomes, Suite

SUITES: Mapping[str, Suite] = {
    suite.name: suite
    for suite in (
        *libpq_pipeline.SUITES, *python.SUITES, *django.SUITES, *go.SUITES, *rust.SUITES, *node.SUITES,
    )
}  # fmt: skip


def run(suite: Suite, name: str, args: argparse.Namespace, out: Path) -> Outcomes:
    """At one place; {} where there is no such place. Kept as JSON in `out`, and taken from there with --keep."""
    kept = out / f"{suite.name}-{name}.json"
    if args.keep and kept.exists():
        return dict(json.loads(kept.read_text()))
    began = time.monotonic()
    with places.place(name, args.version, suite.needs(args.work), out) as place:
        if place is None:
            return {}
        outcomes = suite.run(args.work, place)
        if place.pgveil is not None:
            place.file(suite.name, "pgveil.log").write_text(place.pgveil.log)
            refused = Counter(refusals(place.pgveil.log))
            for code, count in refused.most_common():
                print(f"{count:6} refused: {code}")
    kept.write_text(json.dumps(outcomes, indent=0, sort_keys=True))
    print(f"{name:12} {dict(Counter(outcomes.values()))} in {time.monotonic() - began:.0f} s", flush=True)
    return outcomes


def compare(name: str, direct: Outcomes, again: Outcomes, other: Outcomes) -> list[str]:
    """The tests with another outcome than both direct runs."""
    lines = []
    for test in sorted(set(direct) | set(other)):
        usual = {direct.get(test, "absent"), again.get(test, "absent")}
        got = other.get(test, "absent")
        if got not in usual and got != "refused":
            lines.append(f"{name:12} {test}: {' or '.join(sorted(usual))} direct, {got} here")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=sorted(SUITES))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--version", default="15")
    parser.add_argument("--place", action="append", default=[], choices=places.NAMES)
    parser.add_argument("--keep", action="store_true", help="take what DIR has of an earlier run")
    args = parser.parse_args()
    args.work = args.work.resolve()
    args.work.mkdir(parents=True, exist_ok=True)
    suite = SUITES[args.suite]
    suite.fetch(args.work)
    out = args.work / args.version
    out.mkdir(exist_ok=True)
    found = {name: run(suite, name, args, out) for name in places.chosen(args.place)}
    direct, again = found.pop("direct"), found.pop("again")
    unsteady = sorted(test for test in set(direct) | set(again) if direct.get(test) != again.get(test))
    print(f"differ by themselves: {unsteady}")
    differing = {name: compare(name, direct, again, other) for name, other in found.items() if other}
    for lines in differing.values():
        print("\n".join(lines))
    return 1 if any(differing.get(name) for name in ("pgveil", "protecting", "revealing")) else 0


if __name__ == "__main__":
    sys.exit(main())
