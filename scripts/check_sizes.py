"""Holds source files to their size: a warning above 400 lines, a failure above 800. Generated files are excepted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

AIM, LIMIT = 400, 800
ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("benchmarks", "crates", "examples", "include", "python", "scripts", "tests")
SUFFIXES = {".c", ".cpp", ".h", ".hpp", ".py", ".pyi", ".rs"}
GENERATED = {"include/tenflowers.h", "python/tenflowers/_core.pyi"}


def sources() -> Iterator[tuple[str, int]]:
    """The name and the number of lines of every file that people write."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix in SUFFIXES and name not in GENERATED and "target" not in path.parts[len(ROOT.parts) :]:
                yield name, len(path.read_bytes().splitlines())


def main() -> int:
    failed = False
    for name, lines in sources():
        if lines > AIM:
            print(f"{'error' if lines > LIMIT else 'warning'}: {name} has {lines} lines (aim {AIM}, limit {LIMIT})")
        failed |= lines > LIMIT
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
