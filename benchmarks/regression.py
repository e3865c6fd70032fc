"""Fails when something has become much slower: ratios to NumPy, which does the same in the same process.

python -m benchmarks.regression [--only REGEX]

Ours and NumPy's run in turn, and the least time of many rounds counts: a busy machine makes single runs slower, but
rarely all of them. What is over its limit is measured further, twice, after a pause, before it fails. The limits are
wide: they catch a kernel that has lost its vector code or its blocking, and not ten per cent. For those there is
`python -m benchmarks.run`.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .limits import Check, Step

PAUSE = 3.0


def least(step: Step, budget: float, found: float) -> float:
    """The least time of a run, of as many as go into the budget, and of what was found before."""
    end = time.perf_counter() + budget
    while True:
        start = time.perf_counter()
        step()
        now = time.perf_counter()
        found = min(found, now - start)
        if now > end:
            return found


def measure(check: Check, rounds: int, ours: float, theirs: float) -> tuple[float, float]:
    """The least times of both, measured in turn, and of what was found before."""
    check.ours()
    check.numpy()
    for _ in range(rounds):
        ours = least(check.ours, 0.01, ours)
        theirs = least(check.numpy, 0.01, theirs)
    return ours, theirs


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="those whose name matches this regular expression")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of each (15)")
    args = parser.parse_args()
    # Read when NumPy and this package start.
    for name in ("OMP", "MKL", "OPENBLAS", "TF"):
        os.environ[f"{name}_NUM_THREADS"] = "1"
    from .limits import checks

    chosen = [check for check in checks() if re.search(args.only, check.name)]
    if not chosen:
        sys.exit(f"nothing matches {args.only!r}")

    over: list[str] = []
    print(f"{'':26} {'ours':>10} {'NumPy':>10} {'ratio':>7} {'limit':>7}")
    for check in chosen:
        ours = theirs = float("inf")
        for attempt in range(3):
            if attempt:
                time.sleep(PAUSE)
            ours, theirs = measure(check, args.rounds, ours, theirs)
            ratio = ours / theirs
            line = f"{check.name:26} {ours * 1e6:7.0f} us {theirs * 1e6:7.0f} us {ratio:7.2f} {check.limit:7.2f}"
            if ratio <= check.limit:
                break
            line += "  over"
        else:
            over.append(line)
        print(line, flush=True)
    if over:
        print(f"\n{len(over)} of {len(chosen)} are over their limits, after three attempts:")
        print("\n".join(over))
    return bool(over)


if __name__ == "__main__":
    sys.exit(main())
