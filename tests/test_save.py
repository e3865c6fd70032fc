"""Saving and loading: what comes back is what went in, and a file is there whole or not at all."""

from __future__ import annotations

import io
import json
import math
import os
import random
import signal
import struct
import subprocess
import sys
import textwrap
import time
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opinfo.run import array, tensor, tf

nn = tf.nn


def round_trip(value: Any) -> Any:
    file = io.BytesIO()
    tf.save(value, file)
    file.seek(0)
    return tf.load(file)


def same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, tf.Tensor):
        assert found.dtype == expected.dtype
        assert tuple(found.shape) == tuple(expected.shape)
        assert found.requires_grad == expected.requires_grad
        np.testing.assert_array_equal(array(found), array(expected))
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        assert [type(key) for key in found] == [type(key) for key in expected]
        for key, value in expected.items():
            same(found[key], value)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif isinstance(expected, float) and math.isnan(expected):
        assert math.isnan(found)
    else:
        assert found == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**70),
        1.5,
        -0.0,
        math.inf,
        -math.inf,
        math.nan,
        5e-324,
        2 - 3j,
        complex(math.inf, -0.0),
        "",
        'naïve \n"text" \U0001f600',
        [],
        (),
        {},
        [1, [2.0, ("a", None)], {"k": (True,)}],
        {"1": "text", 1: "number", -5: [], "": {}},
        OrderedDict([("b", 1), ("a", OrderedDict())]),
        {"tensor": 3, "dict": [["a", 1]], "float": "nan"},
    ],
    ids=repr,
)
def test_plain_values(value: Any) -> None:
    same(round_trip(value), value)


@pytest.mark.parametrize(
    "dtype",
    [
        "bool",
        "uint8",
        "int8",
        "int16",
        "int32",
        "int64",
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    ],
)
def test_tensors_of_every_dtype(dtype: str) -> None:
    values = np.random.default_rng(0).integers(0, 100, (3, 4))
    made = tensor(values + 1j * values[::-1] if dtype.startswith("complex") else values).to(getattr(tf, dtype))
    empty = made[:0]
    same(round_trip([made, made[1, 1], empty]), [made, made[1, 1], empty])


def test_tensors_that_are_not_contiguous() -> None:
    base = tensor(np.arange(24.0).reshape(4, 6))
    for view in (base.t(), base[::2, 1:3], base[1], base[:, 0].expand(2, 4)):
        same(round_trip({"x": view})["x"], view)


def test_history_and_kinds_of_tensors() -> None:
    weight = nn.Parameter(tf.ones(2))
    frozen = nn.Parameter(tf.arange(2), requires_grad=False)
    leaf = tf.ones(2, requires_grad=True)
    found = round_trip({"w": weight, "frozen": frozen, "leaf": leaf, "result": leaf * 2, "plain": tf.ones(1)})
    assert type(found["w"]) is nn.Parameter
    assert found["w"].requires_grad
    assert type(found["frozen"]) is nn.Parameter
    assert not found["frozen"].requires_grad
    assert found["leaf"].requires_grad
    assert found["result"].requires_grad
    assert found["result"].is_leaf
    assert not found["plain"].requires_grad


@pytest.mark.ours
def test_a_tensor_is_stored_once(tmp_path: Path) -> None:
    x = tensor(np.arange(1000.0))
    path = tmp_path / "x"
    weight = nn.Parameter(x)
    tf.save({"a": x, "b": [x, x.detach(), x.view(-1)], "w": weight, "data": weight.data, "part": x[:5]}, path)
    assert path.stat().st_size < 8 * 1005 + 2000
    found = tf.load(path)
    assert found["a"] is found["b"][0]
    assert found["a"].data_ptr() == found["w"].data_ptr() == found["data"].data_ptr()
    assert found["part"].tolist() == [0, 1, 2, 3, 4]
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    state = round_trip(tied.state_dict())
    assert state["0.weight"] is state["1.weight"]


@pytest.mark.ours
def test_equal_paths_do_not_collide() -> None:
    c = tensor(np.array([1 + 2j]))
    tree = {"a.b": tf.zeros(1), "a": {"b": tf.ones(1)}, "a.b#2": tf.full((1,), 2.0), 1: tf.arange(1), "1": tf.arange(2)}
    same(round_trip(tree), tree)
    tree = {"c.real": tf.zeros(1), "c": c, "c.imag": tf.ones(1), "__metadata__": tf.ones(2), "": tf.ones(3)}
    same(round_trip(tree), tree)


def test_model_and_optimizer_go_on_as_if_never_stopped(tmp_path: Path) -> None:
    def make() -> tuple[Any, Any, Any]:
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 1))
        optimizer = tf.optim.Adam(model.parameters(), lr=0.1)
        return model, optimizer, tf.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)

    def train(model: Any, optimizer: Any, schedule: Any, steps: range) -> None:
        for step in steps:
            x = tensor(np.random.default_rng(step).standard_normal((8, 3)).astype(np.float32))
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
            schedule.step()

    one = make()
    train(*one, range(3))
    path = tmp_path / "checkpoint"
    tf.save({"epoch": 3, "parts": [part.state_dict() for part in one]}, path)
    train(*one, range(3, 6))
    other = make()
    loaded = tf.load(path)
    for part, state in zip(other, loaded["parts"], strict=True):
        part.load_state_dict(state)
    train(*other, range(loaded["epoch"], 6))
    for (name, a), (_, b) in zip(one[0].state_dict().items(), other[0].state_dict().items(), strict=True):
        np.testing.assert_array_equal(array(a), array(b), err_msg=name)


def test_state_dict_keeps_its_versions() -> None:
    state = round_trip(nn.BatchNorm1d(2).state_dict())
    assert state._metadata[""]["version"] == 2


@pytest.mark.ours
def test_files_are_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    tf.save({"model": nn.Linear(2, 1).state_dict(), "epoch": 1}, str(path))
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + size])
    assert sorted(header) == ["__metadata__", "model.bias", "model.weight"]
    assert header["model.weight"]["dtype"] == "F32"
    assert header["model.weight"]["shape"] == [1, 2]


@pytest.mark.ours
def test_safetensors_files_of_others(tmp_path: Path) -> None:
    header = json.dumps({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    path = tmp_path / "other.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<2f", 1, 2))
    found = tf.load(path)
    assert list(found) == ["x"]
    assert found["x"].tolist() == [1, 2]


@pytest.mark.ours
@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, {"b": {2}}]}, r"obj\['a'\]\[1\]\['b'\] is of type set"),
        (object(), "the object is of type object"),
        ({"x": (nn.Linear(1, 1),)}, r"obj\['x'\]\[0\] is of type tenflowers.nn.linear.Linear"),
        ({"x": np.ones(2)}, r"obj\['x'\] is of type numpy.ndarray"),
        ({"x": np.float64(2)}, r"obj\['x'\] is of type numpy.float64"),
        ({"x": {1.5: 2}}, r"obj\['x'\] has the key 1.5 of type float"),
        ({True: 2}, "the object has the key True of type bool"),
        (Counter("ab"), "Counter"),
        ([b"bytes"], r"obj\[0\] is of type bytes"),
        ([tf.float32], r"obj\[0\] is of type .*dtype"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_saved(value: Any, text: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"before")
    with pytest.raises(TypeError, match=text):
        tf.save(value, path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.ours
def test_a_tree_that_contains_itself() -> None:
    tree: dict[str, Any] = {"a": []}
    tree["a"].append(tree)
    with pytest.raises(TypeError, match=r"obj\['a'\]\[0\] contains itself"):
        tf.save(tree, io.BytesIO())
    twice = [1]
    same(round_trip([twice, twice]), [twice, twice])


@pytest.mark.ours
def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "x"
    tf.save({"x": tf.arange(100)}, path)
    raw = path.read_bytes()
    for damaged in (b"", raw[:5], raw[: len(raw) // 2], raw[:-1], b"\xff" * 100):
        path.write_bytes(damaged)
        with pytest.raises((RuntimeError, ValueError)):
            tf.load(path)
    for tree in ("{", "[]", '{"format":1}', '{"format":1,"tree":{"tensor":"y"}}', '{"format":1,"tree":{"what":1}}'):
        header = json.dumps({"__metadata__": {"tenflowers": tree}}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header)
        with pytest.raises(ValueError, match="damaged"):
            tf.load(path)
    header = json.dumps({"__metadata__": {"tenflowers": '{"format":2,"tree":1}'}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(NotImplementedError, match="format 2"):
        tf.load(path)
    with pytest.raises(FileNotFoundError):
        tf.load(tmp_path / "missing")


@pytest.mark.ours
def test_what_is_not_supported_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x"
    tf.save([tf.ones(1)], path)
    assert tf.load(path, map_location="cpu", weights_only=True)[0].item() == 1
    assert tf.load(path, tf.device("cpu"), weights_only=False)[0].item() == 1
    with pytest.raises(NotImplementedError, match="map_location"):
        tf.load(path, map_location=lambda storage, place: storage)
    with pytest.raises(NotImplementedError, match="mmap"):
        tf.load(path, mmap=True)
    with pytest.raises(NotImplementedError, match="pickle_module"):
        tf.load(path, pickle_module=json)
    path.write_bytes(b"PK\x03\x04" + b"\0" * 100)
    with pytest.raises(NotImplementedError, match="PyTorch"):
        tf.load(path)
    for wrong in (3, None, b"x"):
        with pytest.raises(TypeError):
            tf.save(1, wrong)
        with pytest.raises(TypeError):
            tf.load(wrong)


WRITER = """
    import sys
    import tenflowers as tf

    path = sys.argv[1]
    number = int(sys.argv[2])
    while True:
        number += 1
        tf.save({"number": number, "x": tf.full((300_000,), float(number))}, path)
        print("written", flush=True)
"""


@pytest.mark.ours
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    """The process is killed at random moments of writing: the old or the new content is there, never a part."""
    path = tmp_path / "state"
    chance = random.Random(0)
    number = 0
    tf.save({"number": 0, "x": tf.zeros(300_000)}, path)
    for _ in range(8):
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"written\n"
            time.sleep(chance.uniform(0.0, 0.1))
            process.send_signal(signal.SIGKILL)
        found = tf.load(path)
        assert found["number"] > number
        number = found["number"]
        values = array(found["x"])
        assert values.shape == (300_000,)
        assert (values == number).all()
