"""Convolutions: layers of one to three dimensions, the way through Winograd's transforms, and what is refused."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from opinfo.conv import _convolve, _transposed
from opinfo.run import array, tf

nn = tf.nn
F = nn.functional
LAYERS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
RANDOM = np.random.default_rng(0)


def values(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def close(found: tf.Tensor, expected: np.ndarray, tolerance: float = 1e-5) -> None:
    assert tuple(found.shape) == expected.shape
    np.testing.assert_allclose(array(found), expected, rtol=tolerance, atol=tolerance * max(1.0, abs(expected).max()))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_layers_compute_the_sum_over_taps(dims: int) -> None:
    x = values(2, 4, 7, 6, 5)[(slice(None),) * (2 + dims) + (0,) * (3 - dims)]
    for groups, stride, padding, dilation in ((1, 1, 0, 1), (2, 2, 1, 2), (4, 1, "same", 1)):
        layer = LAYERS[dims](4, 8, 3, stride, padding, dilation, groups)
        assert tuple(layer.weight.shape) == (8, 4 // groups, *[3] * dims)
        weight, bias = (array(p).astype(np.float64) for p in (layer.weight, layer.bias))
        expected = _convolve(x.astype(np.float64), weight, bias, stride, padding, dilation, groups)
        close(layer(tf.tensor(x)), expected)
        close(layer(tf.tensor(x[0])), expected[0])


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_transposed_layers_compute_the_sum_over_taps(dims: int) -> None:
    x = values(2, 4, 4, 3, 5)[(slice(None),) * (2 + dims) + (0,) * (3 - dims)]
    for groups, stride, padding, extra, dilation in ((1, 1, 0, 0, 1), (2, 3, 1, 2, 2)):
        layer = TRANSPOSED[dims](4, 6, 3, stride, padding, extra, groups, dilation=dilation)
        assert tuple(layer.weight.shape) == (4, 6 // groups, *[3] * dims)
        weight, bias = (array(p).astype(np.float64) for p in (layer.weight, layer.bias))
        expected = _transposed(x.astype(np.float64), weight, bias, stride, padding, extra, groups, dilation)
        close(layer(tf.tensor(x)), expected)
        close(layer(tf.tensor(x[0])), expected[0])


def test_a_transposed_layer_finds_its_output_padding() -> None:
    down, up = nn.Conv2d(3, 4, 3, stride=3, padding=1), nn.ConvTranspose2d(4, 3, 3, stride=3, padding=1)
    for size in ((7, 8), (9, 10)):
        there = down(tf.zeros(2, 3, *size))
        assert tuple(up(there, output_size=size).shape) == (2, 3, *size)
        assert tuple(up(there, output_size=(2, 3, *size)).shape) == (2, 3, *size)
    with pytest.raises(ValueError, match="output_size"):
        up(tf.zeros(1, 4, 3, 3), output_size=(5, 7))
    with pytest.raises(ValueError, match="output_size"):
        up(tf.zeros(1, 4, 3, 3), output_size=(7,))


@pytest.mark.parametrize(("dims", "kind"), list(product([1, 2, 3], ["plain", "transposed"])))
def test_first_values_and_state(dims: int, kind: str) -> None:
    layer = (LAYERS if kind == "plain" else TRANSPOSED)[dims](8, 4, 3)
    bound = 1 / np.sqrt((8 if kind == "plain" else 4) * 3**dims)
    for parameter in (layer.weight, layer.bias):
        assert abs(array(parameter)).max() <= bound
    assert abs(array(layer.weight)).max() > 0.7 * bound
    assert list(layer.state_dict()) == ["weight", "bias"]
    other = type(layer)(8, 4, 3)
    other.load_state_dict(layer.state_dict())
    x = tf.tensor(values(2, 8, *[5] * dims))
    np.testing.assert_array_equal(array(other(x)), array(layer(x)))
    assert type(layer)(8, 4, 3, bias=False).bias is None


def test_printed_layers() -> None:
    text = "Conv1d(2, 4, kernel_size=(3,), stride=(1,), padding=(1,), padding_mode=circular)"
    assert repr(nn.Conv1d(2, 4, 3, padding=1, padding_mode="circular")) == text
    text = "ConvTranspose3d(2, 4, kernel_size=(3, 3, 3), stride=(2, 2, 2), output_padding=(1, 0, 1), bias=False)"
    assert repr(nn.ConvTranspose3d(2, 4, 3, 2, output_padding=(1, 0, 1), bias=False)) == text


@pytest.mark.parametrize(("mode", "theirs"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
def test_padding_modes(mode: str, theirs: str) -> None:
    layer, x = nn.Conv2d(2, 3, (3, 2), padding="same", padding_mode=mode), values(2, 2, 5, 4)
    found = layer(tf.tensor(x))
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 1)], mode=theirs)
    close(found, _convolve(padded, array(layer.weight), array(layer.bias)))


def test_wrong_layers() -> None:
    for make in (
        lambda: nn.Conv3d(4, 4, (3, 3)),
        lambda: nn.Conv1d(4, 3, 3, groups=2),
        lambda: nn.ConvTranspose2d(4, 4, 3, padding="same"),
        lambda: nn.ConvTranspose2d(4, 4, 3, padding_mode="reflect"),
        lambda: nn.Conv1d(4, 4, 3, padding="same", stride=2),
    ):
        with pytest.raises(ValueError, match=r"kernel_size|groups|padding"):
            make()


def test_wrong_calls() -> None:
    x, w = tf.zeros(1, 2, 5), tf.zeros(3, 2, 3)
    for call in (
        lambda: F.conv1d(x, tf.zeros(3, 2, 3, 1)),
        lambda: F.conv1d(tf.zeros(1, 1, 2, 5), w),
        lambda: F.conv1d(x, tf.zeros(3, 1, 3)),
        lambda: F.conv1d(x, tf.zeros(3, 2, 6)),
        lambda: F.conv1d(x, w, tf.zeros(2)),
        lambda: F.conv1d(x, w, stride=(1, 1)),
        lambda: F.conv1d(x, w, stride=0),
        lambda: F.conv1d(x, w, padding="full"),
        lambda: F.conv3d(tf.zeros(1, 2, 5, 5), w),
        lambda: F.conv_transpose1d(x, w),
        lambda: F.conv_transpose1d(x, tf.zeros(2, 3, 3), tf.zeros(2)),
        lambda: F.conv_transpose1d(x, tf.zeros(2, 3, 3), output_padding=1),
        lambda: F.conv_transpose1d(x, tf.zeros(2, 3, 3), padding=4),
        lambda: F.conv_transpose1d(tf.zeros(1, 2, 0), tf.zeros(2, 3, 3)),
        lambda: F.conv_transpose3d(tf.zeros(1, 2, 3, 3, 3), tf.zeros(2, 3, 3, 3)),
    ):
        with pytest.raises((RuntimeError, ValueError), match=r"conv|padding"):
            call()
    with pytest.raises(RuntimeError, match="dtype"):
        F.conv1d(x, w.double())


@pytest.mark.ours
@pytest.mark.parametrize("channels", [16, 64, 256])
def test_winograd_is_as_exact_as_the_plain_sum(channels: int) -> None:
    x, w = values(4, channels, 16, 16), values(channels, channels, 3, 3) / np.float32(channels) ** 0.5
    g = tf.tensor(values(4, channels, 16, 16))

    def results() -> list[np.ndarray]:
        a, b = tf.tensor(x, requires_grad=True), tf.tensor(w, requires_grad=True)
        y = F.conv2d(a, b, padding=1)
        y.backward(g)
        return [array(y), array(a.grad), array(b.grad)]

    assert tf.backends.cpu.winograd()
    through = results()
    tf.backends.cpu.set_winograd(False)
    try:
        assert not tf.backends.cpu.winograd()
        plain = results()
    finally:
        tf.backends.cpu.set_winograd(True)
    for found, expected in zip(through, plain, strict=True):
        assert not np.array_equal(found, expected)
        assert abs(found - expected).max() < 5e-6 * abs(expected).max()


@pytest.mark.ours
def test_the_first_layer_computes_no_gradient_of_its_input() -> None:
    """The input asks for none, and only the weights' and the bias's come out."""
    layer, x = nn.Conv2d(3, 8, 3), tf.tensor(values(2, 3, 9, 9))
    layer(x).sum().backward()
    assert x.grad is None
    assert layer.weight.grad is not None
    np.testing.assert_allclose(array(layer.bias.grad), np.full(8, 2 * 49), rtol=1e-6)
