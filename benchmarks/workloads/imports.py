"""How long a program waits for its imports, NumPy's included."""

from __future__ import annotations

import subprocess
import sys

from .registry import Peer, Step, workload


def importing(p: Peer) -> Step:
    modules = "numpy" if p.is_numpy else f"numpy, {p.name}"
    program = [sys.executable, "-c", f"import {modules}"]
    return lambda: subprocess.run(program, check=True, stdin=subprocess.DEVNULL)


workload("import", "import", importing, numpy=True)
