"""Modules that hold others: ``Sequential``, ``ModuleList``, ``ModuleDict``, ``ParameterList``, ``ParameterDict``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from operator import index
from typing import Any, SupportsIndex, TypeVar, overload

from .._core import Tensor
from .module import Module
from .parameter import Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]

_S = TypeVar("_S", bound="Sequential")
_L = TypeVar("_L", bound="ModuleList")


def _place(what: str, place: SupportsIndex, size: int) -> int:
    """A place in a list of ``size``, counted from the end if negative."""
    at = index(place)
    if not -size <= at < size:
        raise IndexError(f"{what}: index {at} is out of range for {size} entries")
    return at % size


class _Numbered(Module):
    """Children named "0", "1", ...; what ``Sequential`` and ``ModuleList`` share."""

    def _name(self, place: SupportsIndex) -> str:
        return next(islice(self._modules, _place(self._get_name(), place, len(self)), None))

    def _take(self, modules: Iterable[Any]) -> None:
        """Let ``modules`` be the children."""
        self._modules.clear()
        for number, module in enumerate(modules):
            self.add_module(str(number), module)

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __setitem__(self, place: SupportsIndex, module: Module) -> None:
        setattr(self, self._name(place), module)

    def __delitem__(self, place: SupportsIndex | slice) -> None:
        kept = list(self._modules.values())
        del kept[place]
        self._take(kept)

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]

    def insert(self, index: SupportsIndex, module: Module) -> Any:
        """Put ``module`` before the one at ``index``."""
        if not isinstance(module, Module):
            raise TypeError(f"{self._get_name()}.insert: expected a Module, not {type(module).__name__}")
        modules = list(self._modules.values())
        size = len(modules)
        at = index.__index__()
        if not -size <= at <= size:
            raise IndexError(f"{self._get_name()}.insert: index {at} is out of range for {size} entries")
        modules.insert(at, module)
        self._take(modules)
        return self

    def pop(self, key: SupportsIndex = -1) -> Any:
        """Take out the module at ``key`` and give it."""
        module = self._modules[self._name(key)]
        del self[key]
        return module


class Sequential(_Numbered):
    """Modules called one after the other, each with the result of the one before.

    >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> net(tf.zeros(3, 4)).shape
    tenflowers.Size([3, 2])
    """

    @overload
    def __init__(self, *args: Module) -> None: ...
    @overload
    def __init__(self, arg: OrderedDict[str, Module], /) -> None: ...
    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], OrderedDict):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            self._take(args)

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            assert module is not None
            input = module(input)
        return input

    @overload
    def __getitem__(self: _S, place: slice) -> _S: ...
    @overload
    def __getitem__(self, place: SupportsIndex) -> Any: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            chosen: Any = list(self._modules.items())[place]
            return type(self)(OrderedDict(chosen))
        return self._modules[self._name(place)]

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            return NotImplemented
        return Sequential(*self, *other)

    def __iadd__(self: _S, other: Sequential) -> _S:
        if not isinstance(other, Sequential):
            return NotImplemented
        return self.extend(other)

    def __mul__(self, times: int) -> Sequential:
        return Sequential(*self._repeated(times))

    __rmul__ = __mul__

    def __imul__(self: _S, times: int) -> _S:
        return self.extend(self._repeated(times)[len(self) :])

    def _repeated(self, times: int) -> list[Module]:
        if not isinstance(times, int):
            raise TypeError(f"Sequential: can be repeated by an integer, not by {type(times).__name__}")
        if times <= 0:
            raise ValueError(f"Sequential: must be repeated at least once, not {times} times")
        return list(self) * times

    def append(self: _S, module: Module) -> _S:
        """Add ``module`` at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self: _S, sequential: Iterable[Module]) -> _S:
        """Add all of ``sequential`` at the end."""
        for module in list(sequential):
            self.append(module)
        return self


class ModuleList(_Numbered):
    """A list of modules, which are children of it.

    >>> layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    >>> len(list(layers.parameters()))
    6
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    @overload
    def __getitem__(self: _L, place: slice) -> _L: ...
    @overload
    def __getitem__(self, place: SupportsIndex) -> Any: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            chosen: Any = list(self._modules.values())[place]
            return type(self)(chosen)
        return self._modules[self._name(place)]

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList(chain(self, other))

    def __iadd__(self: _L, other: Iterable[Module]) -> _L:
        return self.extend(other)

    def append(self: _L, module: Module) -> _L:
        """Add ``module`` at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self: _L, modules: Iterable[Module]) -> _L:
        """Add all of ``modules`` at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"ModuleList.extend: expected an iterable of modules, not {type(modules).__name__}")
        for module in list(modules):
            self.append(module)
        return self

    def __repr__(self) -> str:
        texts = [repr(module) for module in self]
        if not texts:
            return f"{self._get_name()}()"
        lines = []
        first = 0
        for place, text in enumerate(texts):
            if place + 1 < len(texts) and texts[place + 1] == text:
                continue
            # A run of equal modules is one line.
            number = f"({first})" if first == place else f"({first}-{place})"
            count = "" if first == place else f"{place - first + 1} x "
            lines.append(f"{number}: {count}{text}".replace("\n", "\n  "))
            first = place + 1
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


class ModuleDict(Module):
    """Modules by name, which are children of it, in the order in which they were put in.

    >>> acts = nn.ModuleDict({"relu": nn.ReLU(), "tanh": nn.Tanh()})
    >>> acts["relu"]
    ReLU()
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Take out all modules."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Take out the module at ``key`` and give it."""
        return self._modules.pop(key)

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def items(self) -> Iterable[tuple[str, Any]]:
        """The names and modules."""
        return self._modules.items()

    def values(self) -> Iterable[Any]:
        """The modules."""
        return self._modules.values()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Put in all of ``modules``, a mapping or pairs, in its order."""
        for name, module in _pairs("ModuleDict.update", modules):
            self[name] = module


def _pairs(what: str, given: Any) -> list[tuple[str, Any]]:
    if isinstance(given, (Mapping, ModuleDict, ParameterDict)):
        return list(given.items())
    if not isinstance(given, Iterable):
        raise TypeError(f"{what}: expected a mapping or an iterable of pairs, not {type(given).__name__}")
    pairs = []
    for place, pair in enumerate(given):
        if not isinstance(pair, Iterable):
            raise TypeError(f"{what}: item {place} must be a pair, not {type(pair).__name__}")
        pair = tuple(pair)
        if len(pair) != 2:
            raise ValueError(f"{what}: item {place} must be a pair, but has {len(pair)} entries")
        pairs.append(pair)
    return pairs


def _as_parameter(value: Any) -> Any:
    return Parameter(value) if isinstance(value, Tensor) and not isinstance(value, Parameter) else value


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
        size = "x".join(str(size) for size in value.shape)
        return f"{kind} containing: [{value.dtype} of size {size}]"
    return f"Object of type: {type(value).__name__}"


class ParameterList(Module):
    """A list of parameters; a tensor put in becomes one, and anything else is just kept.

    >>> nn.ParameterList([tf.zeros(2), tf.zeros(3)])
    ParameterList(
        (0): Parameter containing: [tenflowers.float32 of size 2]
        (1): Parameter containing: [tenflowers.float32 of size 3]
    )
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    @overload
    def __getitem__(self, place: SupportsIndex) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> ParameterList: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return type(self)(list(self)[place])
        return getattr(self, str(_place("ParameterList", place, self._size)))

    def __setitem__(self, place: SupportsIndex, value: Any) -> None:
        setattr(self, str(_place("ParameterList", place, self._size)), _as_parameter(value))

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([self[place] for place in range(self._size)])

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def append(self, value: Any) -> ParameterList:
        """Add ``value`` at the end."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add all of ``values`` at the end."""
        if isinstance(values, Tensor) or not isinstance(values, Iterable):
            raise TypeError(f"ParameterList.extend: expected a list of tensors, not {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def pop(self, place: SupportsIndex = -1) -> Any:
        """Take out the entry at ``place`` and give it."""
        values = list(self)
        at = _place("ParameterList", place, self._size)
        taken = values.pop(at)
        for number, value in enumerate(values[at:], at):
            # Entries of several kinds: an attribute may change between parameter and plain value.
            delattr(self, str(number))
            setattr(self, str(number), value)
        self._size -= 1
        delattr(self, str(self._size))
        return taken

    def extra_repr(self) -> str:
        return "\n".join(f"  ({place}): {_described(value)}" for place, value in enumerate(self))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ParameterList should not be called.")


class ParameterDict(Module):
    """Parameters by name; a tensor put in becomes one, and anything else is just kept.

    >>> list(nn.ParameterDict({"w": tf.zeros(2)}).keys())
    ['w']
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"ParameterDict: keys must be strings, not {type(key).__name__}")
        if key not in self._keys and hasattr(self, key):
            raise KeyError(f"attribute '{key}' already exists")
        if key in self._keys:
            delattr(self, key)
        setattr(self, key, _as_parameter(value))
        self._keys[key] = None

    def __delitem__(self, key: str) -> None:
        if key not in self._keys:
            raise KeyError(key)
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._keys.keys()

    def items(self) -> Iterable[tuple[str, Any]]:
        """The names and values."""
        return [(key, self[key]) for key in self._keys]

    def values(self) -> Iterable[Any]:
        """The values."""
        return [self[key] for key in self._keys]

    def get(self, key: str, default: Any = None) -> Any:
        """The value at ``key``, or ``default``."""
        return self[key] if key in self._keys else default

    def pop(self, key: str) -> Any:
        """Take out the value at ``key`` and give it."""
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        """Take out everything."""
        for key in list(self._keys):
            del self[key]

    def update(self, parameters: Any) -> None:
        """Put in all of ``parameters``, a mapping or pairs, in its order."""
        for key, value in _pairs("ParameterDict.update", parameters):
            self[key] = value

    def extra_repr(self) -> str:
        return "\n".join(f"  ({key}): {_described(value)}" for key, value in self.items())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("ParameterDict should not be called.")
