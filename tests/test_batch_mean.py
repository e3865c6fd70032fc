"""The batch mean of BatchNorm is right to the last place of float32, wherever the mean is small beside the elements."""

from __future__ import annotations

import numpy as np
import pytest
from opinfo.run import array, tf

pytestmark = pytest.mark.ours


@pytest.mark.parametrize("shape", [(8, 16, 28, 28), (2, 3, 130, 70), (64, 5, 3), (1000, 70), (7, 600)])
@pytest.mark.parametrize("shift", [0.0, 0.01, 100.0])
def test_the_batch_mean_is_rounded_once(shape: tuple[int, ...], shift: float) -> None:
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(shape) + shift).astype(np.float32)
    mean, var = tf.zeros(shape[1]), tf.ones(shape[1])
    tf.nn.functional.batch_norm(tf.from_numpy(x), mean, var, training=True, momentum=1.0)
    dims = (0, *range(2, len(shape)))
    true = x.mean(dims, dtype=np.float64)
    away = np.abs(array(mean).astype(np.float64) - true) / np.spacing(np.abs(true).astype(np.float32))
    assert away.max() <= 1, f"{away.max():.3g} ulp"
    np.testing.assert_allclose(array(var), x.var(dims, dtype=np.float64, ddof=1), rtol=2e-6)
