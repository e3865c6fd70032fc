"""Calls rows of the table with arguments that are partly wrong: `python fuzz.py SEED CALLS`.

Each call is named before it is made, so the last line names the one that ended the process. Only `Exception`s may come
out (a panic that crosses into Python is a BaseException), and after each of them the process still has to compute.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
from opinfo import OPS, OpInfo, Sample
from opinfo.run import caller, dtypes_of, results, samples, tensor, tf, to_module
from opinfo.spec import Array, DType, carrier

if sys.platform == "linux":
    import resource

# Beyond what the process has when it starts: what asks for more has to be refused, not granted.
MEMORY = 1 << 30
INTEGERS = [0, 1, -1, 2, -2, 3, 4, 5, -7, 31, 100, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**62, 2**63 - 1, -(2**63),
            2**63, 2**64, 10**30]  # fmt: skip
FLOATS = [0.0, -0.0, 0.5, -1.5, 1e-320, 1e300, float("inf"), float("-inf"), float("nan")]
OTHERS = [None, True, False, "", "sum", "mean", "floor", b"x", 1j, {}, object(), int, slice(None), Ellipsis, range(3)]
SHAPES = [(), (0,), (1,), (3,), (4,), (2, 3), (3, 4), (0, 3), (1, 1), (3, 1), (2, 3, 4), (1, 2, 4, 4), (2, 0, 3)]
NAMES = ["bool", "uint8", "uint16", "uint64", "int8", "int32", "int64", "float16", "bfloat16", "float32", "float64",
         "complex64", "complex128"]  # fmt: skip


def any_array(rng: random.Random) -> tuple[Array, str]:
    dtype, shape = rng.choice(NAMES), rng.choice(SHAPES)
    values = np.array([rng.choice([0, 1, 2, 3, 7]) for _ in range(int(np.prod(shape)))]).reshape(shape)
    return values.astype(carrier(dtype)), dtype


def any_tensor(rng: random.Random) -> Any:
    values, dtype = any_array(rng)
    made = tensor(values, dtype)
    kind = rng.randrange(6)
    if kind == 0 and made.ndim:
        made = made.transpose(0, -1)
    elif kind == 1 and made.ndim:
        made = made[..., ::2]
    elif kind == 2:
        made = made.expand(2, *made.shape)
    elif kind == 3 and dtype.startswith(("float", "bfloat", "complex")):
        made.requires_grad_()
    return made


def any_value(rng: random.Random, depth: int = 0) -> Any:
    kind = rng.randrange(9)
    if kind < 3:
        return any_tensor(rng)
    if kind < 5:
        return rng.choice(INTEGERS)
    if kind == 5:
        return rng.choice(FLOATS)
    if kind == 6 and depth < 2:
        return rng.choice([list, tuple])(any_value(rng, depth + 1) for _ in range(rng.randrange(4)))
    if kind == 7:
        return getattr(tf, rng.choice(NAMES))
    return rng.choice(OTHERS)


def spoiled(rng: random.Random, value: Any) -> Any:
    """Something in place of a good argument: often of the same kind, and wrong."""
    kind = rng.randrange(4)
    if kind == 0:
        return any_value(rng)
    if isinstance(value, bool) or value is None or isinstance(value, (str, DType)):
        return any_value(rng)
    if isinstance(value, int):
        return rng.choice(INTEGERS)
    if isinstance(value, float):
        return rng.choice(FLOATS)
    if isinstance(value, (list, tuple)) and value:
        parts = list(value)
        at = rng.randrange(len(parts))
        if kind == 1:
            parts.pop(at)
        elif kind == 2:
            parts.insert(at, parts[at])
        else:
            parts[at] = spoiled(rng, parts[at])
        return type(value)(parts)
    return any_tensor(rng)


def arguments(rng: random.Random, op: OpInfo, sample: Sample, dtype: str) -> tuple[list[Any], dict[str, Any]]:
    args, kwargs = list(sample.args), dict(sample.kwargs)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        kind = rng.randrange(10)
        if kind < 6 and args:
            at = rng.randrange(len(args))
            args[at] = spoiled(rng, args[at])
        elif kind < 8 and kwargs:
            name = rng.choice(sorted(kwargs))
            kwargs[name] = spoiled(rng, kwargs[name])
        elif kind == 8 and args:
            args.pop()
        else:
            name = rng.choice(["dim", "keepdim", "dtype", "out", "p", "size", "other", "axis", "nonsense", "inplace"])
            kwargs[name] = any_value(rng)
    return [to_module(value, dtype) for value in args], {name: to_module(v, dtype) for name, v in kwargs.items()}


def use(found: Any) -> None:
    """Touch what came out: print it, read it, differentiate it."""
    for part in results(found):
        if not isinstance(part, tf.Tensor):
            continue
        repr(part)
        if part.numel() <= 10_000:
            part.tolist()
            if part.requires_grad:
                part.abs().sum().backward()


def show(value: Any) -> str:
    if isinstance(value, tf.Tensor):
        return f"<{value.dtype} {list(value.shape)} {list(value.stride())}>"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(show, value))})"
    return repr(value)


def limit_memory() -> None:
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def main() -> None:
    seed, calls = int(sys.argv[1]), int(sys.argv[2])
    limit_memory()
    rng = random.Random(seed)
    tf.manual_seed(seed)
    table = {(op.id, dtype): (op, samples(op, dtype)) for op in OPS for dtype in dtypes_of(op)[::3]}
    keys = sorted(table)
    refused = 0
    for _ in range(calls):
        op, given = table[rng.choice(keys)]
        dtype = rng.choice(NAMES)
        sample = rng.choice(given)
        problem = ""
        try:
            args, kwargs = arguments(rng, op, sample, dtype)
            call = caller(op, sample)
            in_place = rng.randrange(4) == 0 and args and hasattr(args[0], f"{op.name}_")
            print(op.id, "in place" if in_place else "", show(args), show(tuple(kwargs.items())), flush=True)
            use(getattr(args[0], f"{op.name}_")(*args[1:], **kwargs) if in_place else call(*args, **kwargs))
        except Exception as error:
            problem = str(error)
            refused += 1
        # A panic that the front end caught is an Exception too, but one that nobody asked for.
        assert "internal error" not in problem, "a panic inside the extension"
        assert (tf.ones(3) * 2).sum().item() == 6.0, "the process is of no use any more"
        assert tf.is_grad_enabled()
    assert refused < calls, "nothing was ever accepted"
    print(f"{refused} refused")
    print("done", calls)


if __name__ == "__main__":
    main()
