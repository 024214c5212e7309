"""How fast fields are taken out of DataRows and others put in: values a second, one core.

Run: python -m benchmarks.rows
"""

import time

from proxy.wire.frames import Frames
from proxy.wire.messages import build_data_row
from proxy.wire.rows import collect, rewrite

ROWS = 20_000
TOKEN = b"c2ca8524-eab3-8e54-8384-f53815c2cd1e"
ROW = build_data_row([b"123456", TOKEN, b"some note", TOKEN, None, b"2024-01-01", TOKEN, b"t"])
COLUMNS = (1, 3, 6)


def main() -> None:
    data = ROW * ROWS
    started = time.perf_counter()
    out: list[bytes | None] = []
    collect(data, 0, len(data), COLUMNS, 8, out)
    collected = time.perf_counter()
    rewrite(data, 0, len(data), COLUMNS, [b"ada@example.org"] * len(out))
    written = time.perf_counter()
    frames = Frames("server")
    frames.feed(data)
    while frames.next():
        pass
    scanned = time.perf_counter()
    print(f"collect  {len(out) / (collected - started):12,.0f} values/s")
    print(f"rewrite  {len(out) / (written - collected):12,.0f} values/s")
    print(f"both     {len(out) / (written - started):12,.0f} values/s")
    print(f"scan     {ROWS / (scanned - written):12,.0f} frames/s")


if __name__ == "__main__":
    main()
