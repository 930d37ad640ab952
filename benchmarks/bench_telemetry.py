"""How fast synthetic events are made and written: `python benchmarks/bench_telemetry.py [N]`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ruledeploy.telemetry import Emitted, attack_day, to_ndjson

START = datetime(2026, 11, 23, tzinfo=UTC)


def rate(count: int, use: Callable[[Emitted], object]) -> float:
    """Events per second over an attack day of about `count` events."""
    began = time.perf_counter()
    made = 0
    for emitted in attack_day(1, START, noise=count):
        use(emitted)
        made += 1
    return made / (time.perf_counter() - began)


def main() -> None:
    """Print the best of three for making events, and for making and writing them."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    for name, use in (("generate", id), ("generate + NDJSON", to_ndjson)):
        best = max(rate(count, use) for _ in range(3))
        print(f"{name:20} {best:12,.0f} events/s")


if __name__ == "__main__":
    main()
