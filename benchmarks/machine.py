"""What a measurement has to say about the machine it was made on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

# The sets that kernels of this kind use, of the many that a processor names.
SETS = (
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "sve",
)


def describe() -> dict[str, str]:
    fields = {}
    if Path("/proc/cpuinfo").exists():
        lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
        fields = {key.strip(): value.strip() for key, _, value in lines}
    model = fields.get("model name") or platform.processor() or platform.machine()
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        model = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() or model
    flags = fields.get("flags", fields.get("Features", "")).split()
    return {
        "processor": model,
        "instruction sets": ", ".join(name for name in SETS if name in flags) or platform.machine(),
        "used by tenflowers": os.environ.get("TF_ISA", "the best of them"),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": memory(),
        "system": platform.system(),
    }


def memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, ValueError, OSError):
        return "unknown"
