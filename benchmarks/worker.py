"""The process that measures one module: it reads what to run, a line each, and answers with seconds.

python -m benchmarks.worker tenflowers --threads 2
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time

from .workloads import WORKLOADS, Peer, Step

# A reading of the clock should be a small part of what lies between two of them.
LEAST = 2e-3


def seconds(step: Step, times: int) -> float:
    start = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - start) / times


class Worker:
    def __init__(self, module: str, threads: int) -> None:
        self.peer = Peer(module)
        # NumPy's threads are set by the environment, before it starts.
        with contextlib.suppress(AttributeError):
            self.peer.m.set_num_threads(threads)
        self.name, self.times = "", 1
        self.step: Step | None = None

    def prepare(self, name: str) -> Step:
        """The step of a workload, warm: its first runs fill caches and start threads."""
        workload = WORKLOADS[name]
        build = workload.numpy if self.peer.is_numpy else workload.build
        if build is None:
            raise NotImplementedError(f"NumPy has nothing like {name!r}")
        step = build(self.peer)
        step()
        once = min(seconds(step, 1) for _ in range(2))
        self.name, self.step, self.times = name, step, max(1, round(LEAST / max(once, 1e-7)))
        return step

    def measure(self, name: str, budget: float) -> float:
        step = self.step if self.step is not None and name == self.name else self.prepare(name)
        found: list[float] = []
        end = time.perf_counter() + budget
        while len(found) < 3 or time.perf_counter() < end:
            found.append(seconds(step, self.times))
        return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("module")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    answers = sys.stdout
    # What a module prints must not be taken for an answer.
    sys.stdout = sys.stderr
    try:
        worker = Worker(args.module, args.threads)
        answer: dict[str, object] = {"version": str(getattr(worker.peer.m, "__version__", "unknown"))}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps({**answer, "python": sys.version.split()[0]}), file=answers, flush=True)
    if "error" in answer:
        return
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"seconds": worker.measure(asked["name"], asked["budget"])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
