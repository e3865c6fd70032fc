"""``save`` and ``load``: safetensors files whose metadata holds the tree that the tensors hang in.

A file is read without executing anything of it, and other readers of safetensors find its tensors under the path they
have in the tree, such as ``model.fc.weight``. Tensors of complex dtype are stored as ``name.real`` and ``name.imag``.
"""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from ._core import Tensor, _load_safetensors, _save_safetensors, device, from_numpy
from ._size import Size
from .errors import DeserializationError, SerializationError, UnsupportedError

__all__ = ["load", "save"]

_KEY = "tenflowers"
_FORMAT = 1

# In the tree, lists, strings, integers, finite floats, booleans and null stand for themselves; everything else is an
# object whose first key says what it is.


def save(obj: object, f: str | os.PathLike[str] | IO[bytes]) -> None:
    """Write a tree of tensors, such as the state of a model and its optimizer, to a file or an open binary file.

    The tree is made of dicts (with keys that are strings or integers), ``OrderedDict``, lists, tuples, tensors,
    numbers, strings, booleans and None; for anything else a ``TypeError`` names its place. A tensor that occurs several
    times is stored once; what a view does not show of its memory is not stored. A named file is replaced as a whole or
    not at all.

    >>> tf.save({"weight": tf.ones(2), "epoch": 3}, "state.safetensors")
    >>> tf.load("state.safetensors")
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    writer = _Writer()
    tree = writer.encode(obj, ())
    import json

    metadata = {_KEY: json.dumps({"format": _FORMAT, "tree": tree}, separators=(",", ":"))}
    if isinstance(f, (str, os.PathLike)):
        _save_safetensors(_path("save", f), writer.tensors, metadata)
        return
    if not hasattr(f, "write"):
        raise TypeError(f"save: expected a path or an open binary file, not {type(f).__name__}")
    with _temporary() as path:
        _save_safetensors(path, writer.tensors, metadata)
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                f.write(block)


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: str | device | None = None,
    pickle_module: None = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
) -> Any:
    """Read what ``save`` wrote; a safetensors file of another origin gives the dict of its tensors.

    ``map_location`` is the device of all tensors. Nothing in a file is executed, whatever ``weights_only`` says. Raises
    ``DeserializationError`` for a damaged file, and ``UnsupportedError`` for PyTorch's pickled format.

    >>> tf.save([tf.arange(2), "x"], "list.safetensors")
    >>> tf.load("list.safetensors", map_location="cpu")
    [tensor([0, 1]), 'x']
    """
    if pickle_module is not None:
        raise UnsupportedError("load: pickle_module is not supported: files hold no pickles")
    if mmap:
        raise UnsupportedError("load: mmap=True is not supported")
    if map_location is not None and not isinstance(map_location, (str, device)):
        kind = type(map_location).__name__
        raise UnsupportedError(f"load: map_location must be a device or its name: {kind} is not supported")
    if isinstance(f, (str, os.PathLike)):
        tensors, metadata = _read(_path("load", f))
    elif hasattr(f, "read"):
        with _temporary() as path:
            with open(path, "wb") as file:
                while block := f.read(1 << 20):
                    file.write(block)
            tensors, metadata = _read(path)
    else:
        raise TypeError(f"load: expected a path or an open binary file, not {type(f).__name__}")
    if map_location is not None:
        tensors = {name: tensor.to(map_location) for name, tensor in tensors.items()}
    if _KEY not in metadata:
        return tensors
    import json

    try:
        header = json.loads(metadata[_KEY])
        if header["format"] == _FORMAT:
            return _Reader(tensors).decode(header["tree"])
        found = header["format"]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DeserializationError(f"load: the tree in the file's metadata is damaged: {error!r}") from error
    raise UnsupportedError(f"load: the file has format {found!r} of a later version: this one reads format {_FORMAT}")


def _read(path: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        return _load_safetensors(path)
    except DeserializationError:
        # Only now: the length that begins a file of ours may look like the start of another format.
        with open(path, "rb") as file:
            start = file.read(4)
        if start[:2] == b"\x80\x02" or start == b"PK\x03\x04":
            text = f"load: {path} is a pickled file of PyTorch, which is not supported: use safetensors"
            raise UnsupportedError(text) from None
        raise


def _path(what: str, f: str | os.PathLike[str]) -> str:
    path = os.fspath(f)
    if not isinstance(path, str):
        raise TypeError(f"{what}: the path must be a string, not {type(path).__name__}")
    return path


@contextmanager
def _temporary() -> Iterator[str]:
    import tempfile  # it brings half of the standard library along

    with tempfile.TemporaryDirectory() as folder:
        yield os.path.join(folder, "tensors.safetensors")


class _Writer:
    """Turns a tree into JSON, and collects its tensors by name."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[Any, str] = {}
        self._taken = {"__metadata__"}  # which safetensors keeps for itself
        self._open: set[int] = set()

    def encode(self, value: Any, path: tuple[str | int, ...]) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is int or kind is str:
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind is complex:
            return {"complex": [self.encode(value.real, path), self.encode(value.imag, path)]}
        if isinstance(value, Tensor):
            return self._encode_tensor(value, path)
        if kind is Size:
            return {"size": list(value)}
        if kind not in (dict, OrderedDict, list, tuple):
            name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
            raise SerializationError(f"save: {_place(path)} is of type {name}, which a file cannot hold")
        if id(value) in self._open:
            raise SerializationError(f"save: {_place(path)} contains itself, which a file cannot hold")
        self._open.add(id(value))
        try:
            if kind is list or kind is tuple:
                items = [self.encode(item, (*path, place)) for place, item in enumerate(value)]
                return items if kind is list else {"tuple": items}
            return self._encode_dict(value, path)
        finally:
            self._open.discard(id(value))

    def _encode_dict(self, value: dict[Any, Any], path: tuple[str | int, ...]) -> Any:
        pairs = []
        for key, item in value.items():
            if type(key) is not str and type(key) is not int:
                kind = type(key).__name__
                raise SerializationError(
                    f"save: {_place(path)} has the key {key!r} of type {kind}: keys are strings or integers"
                )
            pairs.append([key, self.encode(item, (*path, key))])
        if type(value) is dict:
            return {"dict": pairs}
        encoded: dict[str, Any] = {"ordered_dict": pairs}
        if hasattr(value, "_metadata"):  # the versions that a module's state_dict carries
            encoded["metadata"] = self.encode(value._metadata, (*path, "_metadata"))
        return encoded

    def _encode_tensor(self, tensor: Tensor, path: tuple[str | int, ...]) -> Any:
        from .nn.parameter import Buffer, Parameter

        encoded: dict[str, Any] = {"tensor": self._name(tensor, path)}
        if tensor.is_complex():
            encoded["complex"] = True
        if tensor.requires_grad:
            encoded["requires_grad"] = True
        if isinstance(tensor, Parameter):
            encoded["parameter"] = True
        elif isinstance(tensor, Buffer):
            encoded["buffer"] = tensor.persistent
        return encoded

    def _name(self, tensor: Tensor, path: tuple[str | int, ...]) -> str:
        """The name that a tensor is stored under: its path, or where the same elements have been stored before."""
        same: Any = id(tensor)
        if tensor.numel():
            layout = (tuple(tensor.shape), tuple(tensor.stride()))
            same = (tensor.data_ptr(), *layout, tensor.dtype, str(tensor.device))
        if same in self._names:
            return self._names[same]
        wanted = ".".join(map(str, path)) or "tensor"
        endings = (".real", ".imag") if tensor.is_complex() else ("",)
        name, number = wanted, 1
        while any(name + ending in self._taken for ending in endings):
            number += 1
            name = f"{wanted}#{number}"
        self._names[same] = name
        self._taken.update(name + ending for ending in endings)
        plain = tensor.detach()
        if tensor.is_complex():
            array = plain.to("cpu").numpy()
            self.tensors[f"{name}.real"] = from_numpy(array.real.copy())
            self.tensors[f"{name}.imag"] = from_numpy(array.imag.copy())
        else:
            self.tensors[name] = plain.contiguous()
        return name


class _Reader:
    """Turns JSON back into the tree."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self._tensors = tensors
        self._made: dict[tuple[str, ...], Tensor] = {}

    def decode(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "tensor" in value:
            return self._decode_tensor(value)
        if "dict" in value:
            return {key: self.decode(item) for key, item in value["dict"]}
        if "ordered_dict" in value:
            ordered = OrderedDict((key, self.decode(item)) for key, item in value["ordered_dict"])
            if "metadata" in value:
                ordered._metadata = self.decode(value["metadata"])  # type: ignore[attr-defined]
            return ordered
        if "tuple" in value:
            return tuple(self.decode(item) for item in value["tuple"])
        if "float" in value:
            return float(value["float"])
        if "complex" in value:
            real, imaginary = value["complex"]
            return complex(self.decode(real), self.decode(imaginary))
        if "size" in value:
            return Size(value["size"])
        raise ValueError(f"unknown entry {next(iter(value), '')!r}")

    def _decode_tensor(self, value: dict[str, Any]) -> Tensor:
        """One tensor object for all places where one was saved as the same kind of tensor."""
        which = (value["tensor"], *sorted(f"{key}={flag}" for key, flag in value.items() if key != "tensor"))
        if which not in self._made:
            self._made[which] = self._make(value)
        return self._made[which]

    def _make(self, value: dict[str, Any]) -> Tensor:
        from .nn.parameter import Buffer, Parameter

        name = value["tensor"]
        tensor = self._complex(name) if value.get("complex") else self._tensors[name]
        if value.get("parameter"):
            return Parameter(tensor, bool(value.get("requires_grad")))
        if "buffer" in value:
            return Buffer(tensor, persistent=value["buffer"])
        # Another entry may be the same elements without history, hence an object of its own.
        return tensor.detach().requires_grad_() if value.get("requires_grad") else tensor

    def _complex(self, name: str) -> Tensor:
        import numpy as np

        parts = self._tensors[f"{name}.real"], self._tensors[f"{name}.imag"]
        real, imaginary = (part.to("cpu").numpy() for part in parts)
        array = np.empty(real.shape, np.result_type(real.dtype, np.complex64))
        array.real, array.imag = real, imaginary
        return from_numpy(array).to(parts[0].device)


def _place(path: tuple[str | int, ...]) -> str:
    return "the object" if not path else "obj" + "".join(f"[{step!r}]" for step in path)
