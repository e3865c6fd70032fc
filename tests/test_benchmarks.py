"""Every workload of the benchmarks runs; the comparison, its report and the check against limits do what they say."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from opinfo.run import array, tf

pytestmark = pytest.mark.ours

ROOT = Path(__file__).resolve().parent.parent
LIMITS = (("wide", 30.0), ("narrow", 0.5))


@pytest.fixture(scope="module")
def workloads() -> ModuleType:
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module("benchmarks.workloads")
    finally:
        sys.path.remove(str(ROOT))


@pytest.mark.parametrize("module", ["tenflowers", "numpy"])
def test_every_workload_runs(workloads: ModuleType, module: str) -> None:
    peer = workloads.Peer(module)
    for workload in workloads.WORKLOADS.values():
        build = workload.numpy if module == "numpy" else workload.build
        if build is not None and workload.family != "import":
            build(peer)()


def test_workloads_that_numpy_shares_compute_the_same(workloads: ModuleType) -> None:
    families = {"elementwise", "reductions", "softmax", "matrix products", "movement", "indexing", "normalization"}
    # These give something else: places, a list of arrays, or what has been changed in place.
    other = {"sort rows of 1000, with places 1M", "nonzero 1M"}
    for workload in workloads.WORKLOADS.values():
        if workload.numpy is None or workload.family not in families or workload.name in other:
            continue
        ours = array(workload.build(workloads.Peer("tenflowers"))())
        theirs = workload.numpy(workloads.Peer("numpy"))()
        assert ours.shape == theirs.shape, workload.name
        size = max(1.0, float(abs(theirs).max()))
        assert abs(ours.astype(float) - theirs).max() <= 1e-4 * size, workload.name


def run(*args: str) -> subprocess.CompletedProcess[str]:
    paths = [str(Path(tf.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    program = [sys.executable, "-m", *args]
    return subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_a_run_and_its_report(tmp_path: Path) -> None:
    found = tmp_path / "run.json"
    asked = ("--peer", "numpy", "--only", "matmul 64$|a \\+ b", "--rounds", "2", "--budget", "0", "--json", str(found))
    done = run("benchmarks.run", *asked)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(found.read_text())["results"]) == {"matmul 64", "a + b"}
    done = run("benchmarks.report", str(found), "--to", str(tmp_path / "docs"))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "docs" / "benchmarks.md").read_text()
    assert "| matmul 64 |" in page
    assert "GFLOP/s" in page
    assert (tmp_path / "docs" / "benchmarks.svg").read_text().startswith("<?xml")


def test_a_peer_that_is_not_there_is_named() -> None:
    done = run("benchmarks.run", "--peer", "torch", "--peer-python", "/nowhere/python", "--only", "a \\+ b")
    assert done.returncode == 1
    assert "PyTorch cannot be imported by /nowhere/python" in done.stderr
    assert "--peer-python" in done.stderr


def test_what_is_over_its_limit_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    limits, regression = (importlib.import_module(f"benchmarks.{name}") for name in ("limits", "regression"))
    for name in ("OMP", "MKL", "OPENBLAS", "TF"):
        monkeypatch.setenv(f"{name}_NUM_THREADS", "1")
    steps = [limits.Check(name, limit, lambda: sum(range(9000)), lambda: sum(range(3000))) for name, limit in LIMITS]
    monkeypatch.setattr(limits, "checks", lambda: steps)
    monkeypatch.setattr(regression, "PAUSE", 0.0)
    monkeypatch.setattr(sys, "argv", ["regression", "--rounds", "2"])
    assert regression.main() == 1
    said = capsys.readouterr().out
    assert "1 of 2 are over their limits" in said
    assert said.rstrip().endswith("over")
    assert "narrow" in said.splitlines()[-1]
