"""Random arguments to every row of the table: an exception is fine, an abort, a hang or a broken process is not.

The calls run in a process of their own with little memory to spare. `TF_FUZZ_CALLS` sets how many (10,000 unless told).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CALLS = int(os.environ.get("TF_FUZZ_CALLS", "10000"))
PROCESSES = 4


@pytest.mark.parametrize("part", range(PROCESSES))
def test_only_exceptions(part: int) -> None:
    script = Path(__file__).with_name("fuzz.py")
    calls = -(-CALLS // PROCESSES)
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-X", "faulthandler", str(script), str(part), str(calls)],
        capture_output=True,
        text=True,
        timeout=120 + calls // 20,
        check=False,
    )
    last = "\n".join(found.stdout.splitlines()[-3:])
    assert found.returncode == 0, f"ended with {found.returncode} after:\n{last}\n{found.stderr[-3000:]}"
    assert last.endswith(f"done {calls}"), last
