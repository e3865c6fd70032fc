"""The examples of the operations, the Python package and the README run, and show what they say."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opinfo.run import IS_TORCH, tf

pytestmark = pytest.mark.ours

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^\s*```.*$", re.MULTILINE)


def public_rows() -> list[Any]:
    """The rows of the table but the private ones, under their names; overloads are counted."""
    seen: Counter[str] = Counter()
    found = []
    for row in [] if IS_TORCH else tf._core._schemas():
        if row["places"] != ["private"]:
            seen[row["name"]] += 1
            found.append(pytest.param(row, id=f"{row['name']}-{seen[row['name']]}"))
    return found


def documented() -> list[Any]:
    """Everything in the package's modules whose docstring has an example."""
    if IS_TORCH:
        return []
    finder = doctest.DocTestFinder()
    modules = [tf.__name__, *(module.name for module in pkgutil.walk_packages(tf.__path__, "tenflowers."))]
    tests = [test for name in modules for test in finder.find(importlib.import_module(name), name, globs={})]
    return [pytest.param(test, id=test.name) for test in tests if test.examples]


def run(test: doctest.DocTest) -> None:
    # The table's documentation stands flush left, printed matrices too.
    runner = doctest.DocTestRunner(verbose=False)
    report: list[str] = []
    runner.run(test, out=report.append)
    assert not runner.failures, "".join(report)


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What examples may use; files they write go to a folder of their own, and settings they make are undone."""
    monkeypatch.chdir(tmp_path)
    yield {"tf": tf, "nn": tf.nn, "F": tf.nn.functional, "np": np, "Size": tf.Size}
    tf.set_printoptions(profile="default")


@pytest.mark.parametrize("row", public_rows())
def test_operation(row: dict[str, Any], names: dict[str, Any]) -> None:
    text = FENCE.sub("", row["doc"])
    test = doctest.DocTestParser().get_doctest(text, names, row["name"], None, None)
    assert test.examples, f"{row['name']} has no example: add one to the comment of its row"
    assert test.examples[-1].want, f"the example of {row['name']} does not show a result"
    run(test)


@pytest.mark.parametrize("test", documented())
def test_docstring(test: doctest.DocTest, names: dict[str, Any]) -> None:
    test.globs = names
    run(test)


def readme_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)


def test_the_readme_shows_the_first_steps() -> None:
    script = ast.parse((ROOT / "examples/python/first_steps.py").read_text("utf-8"))
    script.body = script.body[1:]  # its docstring
    assert ast.unparse(script) in [ast.unparse(ast.parse(block)) for block in readme_blocks("python")]


def test_the_sessions_in_the_readme(names: dict[str, Any]) -> None:
    blocks = readme_blocks("pycon")
    assert blocks
    for block in blocks:
        run(doctest.DocTestParser().get_doctest(block, names, "README", "README.md", None))


def test_the_first_steps(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/python/first_steps.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tensor([[ 6., 12.],\n        [12., 26.]])\n" in done.stdout
    loss = re.search(r"loss (\S+)", done.stdout)
    assert loss
    assert float(loss[1]) < 0.1
    assert (tmp_path / "model.safetensors").exists()
