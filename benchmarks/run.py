"""Measures this package beside PyTorch, or NumPy where PyTorch is not installed: the same work in turn, as ratios.

python -m benchmarks.run [--threads 1] [--only REGEX] [--rounds 5] [--json FILE] [--peer-python PYTHON]

Each module runs in a process of its own that stays; only one works at a time. In a round a workload is measured in one
and then in the other, and which of them begins changes. The ratio is the median of the rounds' ratios: below 1 is
faster than the peer. So both see the same machine, whatever else it does.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .machine import describe
from .workloads import WORKLOADS, Workload

ROOT = Path(__file__).resolve().parent.parent
# Threads of a pool may look for work for a moment after a call; meanwhile the other process would be slowed down.
PAUSE = 0.01


class Process:
    """A worker that measures one module."""

    def __init__(self, python: str, module: str, threads: int) -> None:
        count = str(threads)
        names = (
            "OMP_NUM_THREADS",
            "MKL_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "VECLIB_MAXIMUM_THREADS",
            "TF_NUM_THREADS",
        )
        self.module = module
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", module, "--threads", count],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **dict.fromkeys(names, count)},
        )
        self.about = self.read()

    def read(self) -> dict[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            return {"error": f"the process of {self.module} ended with {self.process.wait()}"}
        found: dict[str, Any] = json.loads(line)
        return found

    def measure(self, name: str, budget: float) -> dict[str, Any]:
        assert self.process.stdin
        time.sleep(PAUSE)
        try:
            print(json.dumps({"name": name, "budget": budget}), file=self.process.stdin, flush=True)
        except OSError:
            return {"error": f"the process of {self.module} has ended"}
        return self.read()

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def why_not(python: str, module: str) -> str | None:
    """Why an interpreter does not import a module; none where it does."""
    try:
        done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, text=True, check=False)
    except OSError as error:
        return f"{python}: {error.strerror}"
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["no message"])[-1]


def choose_peer(asked: str, python: str) -> str:
    if asked == "numpy":
        return asked
    problem = why_not(python, "torch")
    if problem is None:
        return "torch"
    message = f"PyTorch cannot be imported by {python} ({problem}). Name an interpreter that has it by --peer-python"
    if asked == "torch":
        sys.exit(f"{message}, or measure beside NumPy by --peer numpy.")
    print(f"{message}. Measured beside NumPy instead: only what NumPy has.", file=sys.stderr)
    return "numpy"


def compare(workload: Workload, ours: Process, theirs: Process, rounds: int, budget: float) -> dict[str, Any]:
    """The medians of both and of their ratio, and the quartiles of the latter; or why there are none."""
    pairs: list[tuple[float, float]] = []
    for number in range(rounds):
        order = (ours, theirs) if number % 2 == 0 else (theirs, ours)
        answers = {process.module: process.measure(workload.name, budget) for process in order}
        for module, answer in answers.items():
            if "error" in answer:
                return {"error": f"{module}: {answer['error']}"}
        pairs.append((answers[ours.module]["seconds"], answers[theirs.module]["seconds"]))
    ratios = sorted(a / b for a, b in pairs)
    found = {
        "ours": statistics.median(a for a, _ in pairs),
        "theirs": statistics.median(b for _, b in pairs),
        "ratio": statistics.median(ratios),
        "low": ratios[len(ratios) // 4],
        "high": ratios[-1 - len(ratios) // 4],
    }
    if workload.flops:
        found["gflops"] = workload.flops / found["ours"] / 1e9
    return found


def mean(ratios: list[float]) -> float:
    """The geometric mean: twice as fast and half as fast cancel."""
    return math.exp(statistics.fmean(map(math.log, ratios)))


def show(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1, help="threads of both (1)")
    parser.add_argument("--only", default="", help="those whose family or name matches this regular expression")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each in turn (5)")
    parser.add_argument("--budget", type=float, default=0.1, help="seconds of a measurement (0.1)")
    parser.add_argument("--peer", choices=("auto", "torch", "numpy"), default="auto")
    parser.add_argument("--peer-python", default=sys.executable, help="the interpreter that has the peer (this one)")
    parser.add_argument("--json", type=Path, help="the file for benchmarks.report")
    parser.add_argument("--list", action="store_true", help="only name the workloads")
    args = parser.parse_args()

    chosen = [w for w in WORKLOADS.values() if re.search(args.only, f"{w.family}: {w.name}")]
    if args.list:
        for workload in chosen:
            print(f"{workload.family}: {workload.name}")
        return 0
    peer = choose_peer(args.peer, args.peer_python)
    if peer == "numpy":
        chosen = [w for w in chosen if w.numpy]
    if not chosen:
        sys.exit(f"no workload beside {peer} matches {args.only!r}; --list names all")
    processes = Process(sys.executable, "tenflowers", args.threads), Process(args.peer_python, peer, args.threads)
    for process in processes:
        if "error" in process.about:
            sys.exit(f"{process.module}: {process.about['error']}")

    results: dict[str, dict[str, Any]] = {}
    families: dict[str, list[float]] = {}
    print(f"{'':22} {'':46} {'tenflowers':>10} {peer:>10} {'ratio':>7}")
    for workload in chosen:
        found = compare(workload, *processes, args.rounds, args.budget)
        results[workload.name] = {"family": workload.family, **found}
        if "error" in found:
            print(f"{workload.family:22} {workload.name:46} {found['error']}", flush=True)
            continue
        families.setdefault(workload.family, []).append(found["ratio"])
        print(
            f"{workload.family:22} {workload.name:46} {show(found['ours']):>10} {show(found['theirs']):>10} "
            f"{found['ratio']:7.2f}" + (f"  {found['gflops']:.0f} GFLOP/s" if "gflops" in found else ""),
            flush=True,
        )
    about = [process.about for process in processes]
    for process in processes:
        process.close()

    every = [ratio for ratios in families.values() for ratio in ratios]
    if every:
        print()
        for family, ratios in families.items():
            print(f"{family:22} mean {mean(ratios):5.2f}, worst {max(ratios):5.2f}, of {len(ratios)}")
        ahead = sum(ratio <= 1 for ratio in every)
        print(f"{'all':22} mean {mean(every):5.2f}; {ahead} of {len(every)} as fast as {peer} or faster")
    failed = [name for name, found in results.items() if "error" in found]
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        run = {
            "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
            "machine": describe(),
            "threads": args.threads,
            "rounds": args.rounds,
            "peer": peer,
            "ours": about[0],
            "theirs": about[1],
            "results": results,
        }
        args.json.write_text(json.dumps(run, indent=1) + "\n")
    if failed:
        print(f"{len(failed)} did not run: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
