"""Runs the Python tests of kernels with each instruction set that this machine has but would not choose.

python scripts/each_isa.py [arguments of pytest]
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The best first: the first that a machine has is what it would choose. "amx" is "avx512" with tile registers.
SETS = ("amx", "avx512", "avx2", "neon", "portable")
SUBJECTS = (
    "accuracy",
    "attention",
    "conv",
    "fuzz",
    "forward",
    "gradients",
    "in_place_and_out",
    "indexing",
    "layers",
    "layouts",
    "movement",
    "optim",
    "promotion",
    "rnn",
    "threads",
    "transformer",
)


def has(name: str, environment: dict[str, str]) -> bool:
    """Whether the package starts with this set: it refuses one that the machine does not have."""
    program = [sys.executable, "-W", "error", "-c", "import tenflowers"]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    if done.returncode and "TF_ISA" not in done.stderr:
        sys.exit(f"TF_ISA={name}: {done.stderr}")
    return done.returncode == 0


def main() -> int:
    tests = [str(ROOT / "tests" / f"test_{subject}.py") for subject in SUBJECTS]
    failed = []
    best, *others = (name for name in SETS if has(name, {**os.environ, "TF_ISA": name}))
    print(f"TF_ISA={best}: left out, this machine chooses it", flush=True)
    for name in others:
        print(f"TF_ISA={name}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", *tests, *sys.argv[1:]]
        if subprocess.run(command, env={**os.environ, "TF_ISA": name}, cwd=ROOT, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed with {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
