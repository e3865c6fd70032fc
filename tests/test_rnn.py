"""Recurrent layers, their cells, and packed sequences: against NumPy, one sequence and one step at a time."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from opinfo.run import array, tensor, tf
from opinfo.spec import Array

nn = tf.nn
packing = nn.utils.rnn
KINDS = ("RNN_TANH", "RNN_RELU", "LSTM", "GRU")


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def step(mode: str, x: Array, h: Array, c: Array, weights: dict[str, Array]) -> tuple[Array, Array]:
    """The next hidden and cell state of one sequence."""
    a = weights["weight_ih"] @ x + weights.get("bias_ih", 0)
    b = weights["weight_hh"] @ h + weights.get("bias_hh", 0)
    if mode == "RNN_TANH":
        return np.tanh(a + b), c
    if mode == "RNN_RELU":
        return np.maximum(a + b, 0), c
    if mode == "LSTM":
        i, f, g, o = np.split(a + b, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return weights["weight_hr"] @ h if "weight_hr" in weights else h, c
    (ar, az, an), (br, bz, bn) = np.split(a, 3), np.split(b, 3)
    n = np.tanh(an + sigmoid(ar + br) * bn)
    z = sigmoid(az + bz)
    return (1 - z) * n + z * h, c


def run(net: Any, x: Array, h0: Array, c0: Array) -> tuple[Array, Array, Array]:
    """One sequence (steps, features) through all layers; states have a row for each layer and direction."""
    directions = 2 if net.bidirectional else 1
    h_last, c_last = h0.copy(), c0.copy()
    for layer in range(net.num_layers):
        outs = []
        for direction, suffix in enumerate(("", "_reverse")[:directions]):
            end = f"_l{layer}{suffix}"
            weights = {
                name[: -len(end)]: array(value).astype(np.float64)
                for name, value in net.named_parameters()
                if name.endswith(end)
            }
            index = layer * directions + direction
            h, c = h0[index], c0[index]
            steps = list(range(len(x)))[:: -1 if direction else 1]
            out = np.empty((len(x), len(h)))
            for t in steps:
                h, c = step(net.mode, x[t], h, c, weights)
                out[t] = h
            outs.append(out)
            h_last[index], c_last[index] = h, c
        x = np.concatenate(outs, 1)
    return x, h_last, c_last


def make(mode: str, *sizes: int, **options: Any) -> Any:
    tf.manual_seed(0)
    if mode.startswith("RNN"):
        return nn.RNN(*sizes, nonlinearity=mode[4:].lower(), **options)
    return getattr(nn, mode)(*sizes, **options)


def first_states(net: Any, batch: int, rng: Any) -> tuple[Array, Array]:
    parts = net.num_layers * (2 if net.bidirectional else 1)
    h = rng.standard_normal((parts, batch, net.proj_size or net.hidden_size))
    return h, rng.standard_normal((parts, batch, net.hidden_size))


def given(net: Any, h: Any, c: Any) -> Any:
    return (h, c) if net.mode == "LSTM" else h


def last(net: Any, states: Any) -> list[Array]:
    return [array(state) for state in (states if net.mode == "LSTM" else [states])]


LAYERS = [
    pytest.param(mode, dict(zip(("num_layers", "bias", "batch_first", "bidirectional"), choice, strict=True)) | more)
    for mode in KINDS
    for choice in itertools.product((1, 2), (True, False), (False, True), (False, True))
    for more in ([{}, {"proj_size": 3}] if mode == "LSTM" else [{}])
]


@pytest.mark.parametrize(("mode", "options"), LAYERS)
def test_layers(mode: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    net = make(mode, 4, 5, **options).double()
    h, c = first_states(net, 3, rng)
    x = rng.standard_normal((6, 3, 4))
    expected = [run(net, x[:, b], h[:, b], c[:, b]) for b in range(3)]
    out, states = net(tensor(x.swapaxes(0, 1) if net.batch_first else x), given(net, tensor(h), tensor(c)))
    out = array(out).swapaxes(0, 1) if net.batch_first else array(out)
    for b, (want, *want_states) in enumerate(expected):
        np.testing.assert_allclose(out[:, b], want, atol=1e-12)
        for found, wanted in zip(last(net, states), want_states, strict=False):
            np.testing.assert_allclose(found[:, b], wanted, atol=1e-12)
    # One sequence without a batch.
    out, states = net(tensor(x[:, 0]), given(net, tensor(h[:, 0]), tensor(c[:, 0])))
    np.testing.assert_allclose(array(out), expected[0][0], atol=1e-12)
    np.testing.assert_allclose(last(net, states)[0], expected[0][1], atol=1e-12)
    # Without first states they are zeros.
    out, _ = net(tensor(x[:, 0]))
    np.testing.assert_allclose(array(out), run(net, x[:, 0], 0 * h[:, 0], 0 * c[:, 0])[0], atol=1e-12)


@pytest.mark.parametrize(("mode", "options"), LAYERS)
def test_packed(mode: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(2)
    net = make(mode, 4, 5, **options).double()
    lengths = [2, 5, 1, 5]
    h, c = first_states(net, 4, rng)
    sequences = [rng.standard_normal((n, 4)) for n in lengths]
    packed = packing.pack_sequence([tensor(each) for each in sequences], enforce_sorted=False)
    out, states = net(packed, given(net, tensor(h), tensor(c)))
    unpacked = packing.unpack_sequence(out)
    for b, x in enumerate(sequences):
        want, *want_states = run(net, x, h[:, b], c[:, b])
        np.testing.assert_allclose(array(unpacked[b]), want, atol=1e-12)
        for found, wanted in zip(last(net, states), want_states, strict=False):
            np.testing.assert_allclose(found[:, b], wanted, atol=1e-12)


@pytest.mark.parametrize("mode", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_sizes_of_vectors_and_panels(mode: str, dtype: str) -> None:
    rng = np.random.default_rng(3)
    tolerance = {"float32": 3e-6, "bfloat16": 2e-2, "float16": 2e-3}[dtype]
    for inputs, hidden, batch in [(7, 33, 17), (3, 96, 2), (1, 1, 1), (40, 256, 5)]:
        net = make(mode, inputs, hidden).to(getattr(tf, dtype))
        x = array(tensor(rng.standard_normal((4, batch, inputs)).astype(np.float32)).to(getattr(tf, dtype)).float())
        out, _ = net(tensor(x).to(getattr(tf, dtype)))
        assert out.dtype == getattr(tf, dtype)
        zeros = np.zeros((1, hidden))
        wide = net.double()
        want = np.stack([run(wide, x[:, b].astype(np.float64), zeros, zeros)[0] for b in range(batch)], 1)
        np.testing.assert_allclose(array(out.float()), want, atol=tolerance)


def function(net: Any, packed: bool) -> Any:
    """The outputs of a layer as a function of its input, its states and its weights."""
    names = [name for name, _ in net.named_parameters()]

    def call(x: Any, h: Any, c: Any, *weights: Any) -> Any:
        states = [h, c] if net.mode == "LSTM" else [h]
        sizes = [3, 2, 2] if packed else None
        rows = x.reshape(-1, x.size(-1))[:7] if packed else x
        assert len(names) == len(weights)
        made = tf._core._rnn(
            net.mode, rows, sizes, states, list(weights), net.bias, net.num_layers, 0.0, True, net.bidirectional, False
        )
        return tuple(made)

    return call


@pytest.mark.ours
@pytest.mark.parametrize("mode", KINDS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}, {"bias": False}])
def test_derivatives(mode: str, packed: bool, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(4)
    net = make(mode, 2, 3, **options).double()
    h, c = first_states(net, 3, rng)
    weights = [weight.detach().requires_grad_() for weight in net.parameters()]
    inputs = (*(tensor(a).requires_grad_() for a in (rng.standard_normal((3, 3, 2)), h, c)), *weights)
    call = function(net, packed)
    assert tf.autograd.gradcheck(call, inputs)
    if not options:
        assert tf.autograd.gradgradcheck(call, inputs)


@pytest.mark.ours
def test_projection_derivatives() -> None:
    rng = np.random.default_rng(5)
    net = make("LSTM", 2, 3, proj_size=2).double()
    h, c = first_states(net, 3, rng)
    weights = [weight.detach().requires_grad_() for weight in net.parameters()]
    inputs = (*(tensor(a).requires_grad_() for a in (rng.standard_normal((3, 3, 2)), h, c)), *weights)
    assert tf.autograd.gradcheck(function(net, False), inputs)
    assert tf.autograd.gradgradcheck(function(net, False), inputs)


def test_only_what_is_asked_for_has_a_gradient() -> None:
    net = nn.LSTM(2, 3)
    net.weight_ih_l0.requires_grad_(False)
    x = tf.ones(4, 1, 2)
    net(x)[1][1].sum().backward()
    assert x.grad is None
    assert net.weight_ih_l0.grad is None
    assert net.weight_hh_l0.grad is not None
    # The hidden weights matter to the cell state at every step but the first.
    assert float(net.weight_hh_l0.grad.abs().sum()) > 0


@pytest.mark.parametrize(("mode", "cell"), [("RNN_TANH", "RNNCell"), ("LSTM", "LSTMCell"), ("GRU", "GRUCell")])
@pytest.mark.parametrize("bias", [True, False])
def test_cells(mode: str, cell: str, bias: bool) -> None:
    rng = np.random.default_rng(6)
    net = getattr(nn, cell)(4, 5, bias=bias).double()
    weights = {name: array(value) for name, value in net.named_parameters()}
    x, h, c = rng.standard_normal((3, 4)), rng.standard_normal((3, 5)), rng.standard_normal((3, 5))

    def call(x: Array, h: Array, c: Array) -> list[Array]:
        found = net(tensor(x), (tensor(h), tensor(c)) if mode == "LSTM" else tensor(h))
        return [array(each) for each in (found if mode == "LSTM" else [found])]

    for found, wanted in zip(
        call(x, h, c), zip(*(step(mode, *row, weights) for row in zip(x, h, c, strict=True)), strict=True), strict=False
    ):
        np.testing.assert_allclose(found, np.stack(wanted), atol=1e-12)
    for found, wanted in zip(call(x[0], h[0], c[0]), step(mode, x[0], h[0], c[0], weights), strict=False):
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    first = net(tensor(x))
    want = step(mode, x[1], 0 * h[1], 0 * c[1], weights)[0]
    np.testing.assert_allclose(array(first[0] if mode == "LSTM" else first)[1], want, atol=1e-12)


def test_relu_cell() -> None:
    net = nn.RNNCell(2, 3, nonlinearity="relu")
    x = tf.ones(4, 2)
    want = tf.relu(x @ net.weight_ih.t() + net.bias_ih + net.bias_hh)
    np.testing.assert_allclose(array(net(x).detach()), array(want.detach()), rtol=1e-6)
    with pytest.raises(RuntimeError, match="Unknown nonlinearity: gelu"):
        nn.RNNCell(2, 3, nonlinearity="gelu")(x)


def test_dropout_between_layers() -> None:
    net = nn.GRU(3, 40, num_layers=2, dropout=0.5)
    x = tf.ones(2, 1, 3)
    assert not bool((net(x)[0] == net(x)[0]).all())
    # The first layer is before any dropout, so its last state is the same.
    assert bool((net(x)[1][0] == net(x)[1][0]).all())
    net.eval()
    assert bool((net(x)[0] == net(x)[0]).all())
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        nn.GRU(3, 4, dropout=0.5)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: nn.LSTM(2, 3), "LSTM(2, 3)"),
        (
            lambda: nn.LSTM(2, 4, 2, False, True, 0.1, True, 3),
            "LSTM(2, 4, proj_size=3, num_layers=2, bias=False, batch_first=True, dropout=0.1, bidirectional=True)",
        ),
        (lambda: nn.RNN(2, 3, 2, "relu"), "RNN(2, 3, num_layers=2)"),
        (lambda: nn.GRUCell(2, 3, bias=False), "GRUCell(2, 3, bias=False)"),
        (lambda: nn.RNNCell(2, 3, nonlinearity="relu"), "RNNCell(2, 3, nonlinearity=relu)"),
    ],
)
def test_text(build: Any, text: str) -> None:
    assert repr(build()) == text


def test_parameters() -> None:
    net = nn.LSTM(4, 16, num_layers=2, bidirectional=True, proj_size=3)
    kinds = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"]
    ends = ["_l0", "_l0_reverse", "_l1", "_l1_reverse"]
    assert [name for name, _ in net.named_parameters()] == [kind + end for end in ends for kind in kinds]
    assert [[tuple(w.shape) for w in part] for part in net.all_weights][2] == [(64, 6), (64, 3), (64,), (64,), (3, 16)]
    assert all(float(w.detach().abs().max()) <= 0.25 for w in net.parameters())
    net.flatten_parameters()
    # A parameter that is set anew is the one that is used.
    net = nn.RNN(2, 3)
    for name, weight in net.named_parameters():
        setattr(net, name, nn.Parameter(tf.zeros_like(weight)))
    assert not net(tf.ones(2, 2))[0].any()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.LSTM(0, 3), ValueError, "input_size must be greater than zero"),
        (lambda: nn.LSTM(2.0, 3), TypeError, "input_size should be of type int"),
        (lambda: nn.LSTM(2, 3, proj_size=3), ValueError, "proj_size has to be smaller than hidden_size"),
        (lambda: nn.GRU(2, 3, dropout=2), ValueError, "dropout should be a number in range"),
        (lambda: nn.GRU(2, 3, bias=1), TypeError, "bias should be of type bool"),
        (lambda: nn.RNN(2, 3, nonlinearity="sin"), ValueError, "Unknown nonlinearity 'sin'"),
        (lambda: nn.LSTM(2, 3)(tf.ones(2)), ValueError, "LSTM: Expected input to be 2D or 3D, got 1D"),
        (lambda: nn.LSTM(2, 3)(tf.ones(2, 1, 5)), RuntimeError, "Expected 2, got 5"),
        (lambda: nn.LSTM(2, 3)(tf.ones(2, 1, 2).double()), ValueError, "does not match weight dtype"),
        (lambda: nn.GRU(2, 3)(tf.ones(2, 1, 2), tf.ones(1, 2, 3)), RuntimeError, r"Expected hidden size \(1, 1, 3\)"),
        (lambda: nn.GRU(2, 3)(tf.ones(2, 1, 2), tf.ones(2, 3)), RuntimeError, "hx should also be 3-D"),
        (lambda: nn.GRUCell(2, 3)(tf.ones(2, 1, 2)), ValueError, "GRUCell: Expected input to be 1D or 2D"),
        (lambda: packing.pack_padded_sequence(tf.ones(3, 2), [1, 3]), RuntimeError, "sorted in decreasing order"),
        (lambda: packing.pack_padded_sequence(tf.ones(3, 2), [3, 0]), RuntimeError, "greater than 0"),
        (lambda: packing.pack_padded_sequence(tf.ones(3, 2), [3]), RuntimeError, "len"),
        (lambda: packing.pad_sequence([tf.ones(2)], padding_side="top"), RuntimeError, "padding_side"),
    ],
)
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_packing() -> None:
    a, b, c = tf.tensor([1.0, 2.0]), tf.tensor([3.0, 4.0, 5.0]), tf.tensor([6.0])
    padded = packing.pad_sequence([a, b, c], batch_first=True, padding_value=-1.0)
    assert padded.tolist() == [[1, 2, -1], [3, 4, 5], [6, -1, -1]]
    left = packing.pad_sequence([a, b, c], padding_side="left")
    assert left.tolist() == [[0, 3, 0], [1, 4, 0], [2, 5, 6]]
    packed = packing.pack_padded_sequence(padded, tf.tensor([2, 3, 1]), batch_first=True, enforce_sorted=False)
    assert packed.data.tolist() == [3, 1, 6, 4, 2, 5]
    assert packed.batch_sizes.tolist() == [3, 2, 1]
    assert packed.sorted_indices.tolist() == [1, 0, 2]
    assert packed.unsorted_indices.tolist() == [1, 0, 2]
    again, lengths = packing.pad_packed_sequence(packed, batch_first=True, padding_value=-1.0, total_length=4)
    assert again.tolist() == [[1, 2, -1, -1], [3, 4, 5, -1], [6, -1, -1, -1]]
    assert lengths.tolist() == [2, 3, 1]
    assert [each.tolist() for each in packing.unpack_sequence(packed)] == [[1, 2], [3, 4, 5], [6]]
    assert packed.double().data.dtype == tf.float64
    assert packed.float() is packed
    with pytest.raises(ValueError, match="total_length"):
        packing.pad_packed_sequence(packed, total_length=2)
    grown = tf.tensor([[1.0, 2.0], [3.0, 4.0]]).requires_grad_()
    packing.pack_padded_sequence(grown, [2, 1]).data.sum().backward()
    assert grown.grad.tolist() == [[1, 1], [1, 0]]


def test_threads_do_not_change_a_bit() -> None:
    before = tf.get_num_threads()
    net, x = nn.LSTM(50, 130), tf.randn(5, 33, 50)
    found = []
    for threads in (1, 2, 3):
        tf.set_num_threads(threads)
        net.zero_grad()
        out, (h, c) = net(x)
        (out.sum() + c.sum()).backward()
        found.append([out, h, c, *(weight.grad for weight in net.parameters())])
    tf.set_num_threads(before)
    for other in found[1:]:
        assert all(bool((a == b).all()) for a, b in zip(found[0], other, strict=True))
