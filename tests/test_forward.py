"""Values, shapes and dtypes of every operation, against NumPy and SciPy."""

from __future__ import annotations

from typing import Any

import pytest
from opinfo import OPS, OpInfo, Sample
from opinfo.run import (
    arguments,
    array,
    assert_results,
    caller,
    callers,
    dtypes_of,
    results,
    samples,
    tensor,
    tf,
    usual_dtype,
)
from opinfo.spec import Array

CASES = [pytest.param(op, dtype, id=f"{op.id}-{dtype}") for op in OPS for dtype in dtypes_of(op)]
REFUSED = [pytest.param(op, dtype, id=f"{op.id}-{dtype}") for op in OPS for dtype in op.refused]
PURE = [pytest.param(op, id=op.id) for op in OPS if not op.writes]
RANDOM = [pytest.param(op, id=op.id) for op in OPS if op.random]

# PyTorch warns of some results that are well defined, and so may we.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0"),
    pytest.mark.filterwarnings("ignore:.*discards the imaginary part"),
    pytest.mark.filterwarnings("ignore:.*reduce argument of torch.scatter"),
]


@pytest.mark.parametrize(("op", "dtype"), CASES)
def test_values(op: OpInfo, dtype: str) -> None:
    """Every way to make every call gives the reference's values in PyTorch's dtype."""
    calls = 0
    for sample in samples(op, dtype):
        for place, call in callers(op, sample):
            args, kwargs = arguments(sample, dtype)
            assert_results(op, sample, dtype, call(*args, **kwargs), f"as {place}")
            calls += 1
    assert calls, "a row without calls tests nothing"


@pytest.mark.parametrize("op", PURE)
def test_inputs_stay_as_they_are(op: OpInfo) -> None:
    """No call changes what it was given, unless its name says so."""
    dtype = usual_dtype(op)
    seen: list[tuple[Any, Array]] = []

    def build(values: Array, dtype: str) -> Any:
        made = tensor(values, dtype)
        seen.append((made, values))
        return made

    for sample in samples(op, dtype):
        args, kwargs = arguments(sample, dtype, build)
        caller(op, sample)(*args, **kwargs)
        for made, before in seen:
            assert array(made).tobytes() == before.tobytes(), f"{op.id}{sample}"
        seen.clear()


@pytest.mark.parametrize("op", PURE)
def test_no_history_without_a_reason(op: OpInfo) -> None:
    """What comes of inputs that need no gradient needs none."""
    dtype = usual_dtype(op)
    for sample in samples(op, dtype):
        args, kwargs = arguments(sample, dtype)
        if not kwargs.get("requires_grad"):
            for part in results(caller(op, sample)(*args, **kwargs)):
                assert not part.requires_grad, f"{op.id}{sample}"
                assert part.is_leaf, f"{op.id}{sample}"


@pytest.mark.parametrize(("op", "dtype"), REFUSED)
def test_refused(op: OpInfo, dtype: str) -> None:
    """A dtype for which the operation has no meaning is an error, not a guess."""
    sample = samples(op, dtype)[0]
    args, kwargs = arguments(sample, dtype)
    with pytest.raises((RuntimeError, TypeError, ValueError)):
        caller(op, sample)(*args, **kwargs)


@pytest.mark.parametrize("op", RANDOM)
def test_seeds(op: OpInfo) -> None:
    """One seed gives one result, and the next call another."""
    dtype = usual_dtype(op)

    def call(each: Any) -> list[bytes]:
        args, kwargs = arguments(each, dtype)
        return [array(part).tobytes() for part in results(caller(op, each)(*args, **kwargs))]

    differs = False
    for sample in samples(op, dtype):
        tf.manual_seed(7)
        first, second = call(sample), call(sample)
        tf.manual_seed(7)
        assert call(sample) == first, f"{op.id}{sample}"
        differs |= first != second
    assert differs, "two calls in a row gave the same numbers"


@pytest.mark.parametrize("op", [param for param in RANDOM if param.id != "dropout"])
def test_generators(op: OpInfo) -> None:
    """A generator of one's own is drawn from instead of the default one, which stays where it was."""
    dtype = usual_dtype(op)
    for sample in samples(op, dtype):
        generator = tf.Generator()

        def call(sample: Sample = sample, generator: Any = generator) -> bytes:
            args, kwargs = arguments(sample, dtype)
            return array(caller(op, sample)(*args, **kwargs, generator=generator)).tobytes()

        generator.manual_seed(11)
        tf.manual_seed(1)
        first, second = call(), call()
        untouched = tf.rand(4).tolist()
        tf.manual_seed(1)
        assert tf.rand(4).tolist() == untouched, f"{op.id}{sample} drew from the default generator"
        generator.manual_seed(11)
        assert [call(), call()] == [first, second], f"{op.id}{sample}"
