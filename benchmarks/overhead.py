"""What a small call costs, beside PyTorch where it is installed and NumPy elsewhere; and what an import costs.

python benchmarks/overhead.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tenflowers as tf

CODES = ("a + b", "a * 2.0", "a.exp()", "a @ b", "a.sum()", "a.t()", "a[0]")
IN_NUMPY = {"a.exp()": "np.exp(a)", "a.t()": "a.T"}


def calling(code: str, names: dict[str, Any]) -> Callable[[], float]:
    """What measures the seconds for one run of `code`."""
    timer = timeit.Timer(code, globals=names)
    return lambda: timer.timeit(20_000) / 20_000


def in_turn(ours: Callable[[], float], theirs: Callable[[], float], rounds: int) -> tuple[float, float]:
    """The medians of both, measured in turn so that both see the same machine."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def importing(modules: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {modules}"], check=True)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each (7)")
    rounds = parser.parse_args().rounds

    values = np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    ours = {"a": tf.from_numpy(values.copy()), "b": tf.from_numpy(values.copy())}
    theirs: dict[str, Any] = {"a": values, "b": values.copy(), "np": np}
    other = "NumPy"
    if importlib.util.find_spec("torch"):
        import torch

        other, theirs = "PyTorch", {"a": torch.from_numpy(values.copy()), "b": torch.from_numpy(values.copy())}

    print(f"{'2x2, float32':14} {'tenflowers':>12} {other:>12} {'ratio':>8}")
    for code in CODES:
        there = IN_NUMPY.get(code, code) if other == "NumPy" else code
        a, b = in_turn(calling(code, ours), calling(there, theirs), rounds)
        print(f"{code:14} {a * 1e9:9.0f} ns {b * 1e9:9.0f} ns {a / b:8.2f}")

    both, numpy = in_turn(lambda: importing("numpy, tenflowers"), lambda: importing("numpy"), rounds)
    print(f"import tenflowers: {(both - numpy) * 1e3:.0f} ms beyond NumPy's {numpy * 1e3:.0f} ms")
    extension = Path(tf._core.__file__)
    print(f"{extension.name}: {extension.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
