"""``Optimizer``, the base of all: groups of parameters, their options and their state."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

from .._core import Tensor, float32
from ..autograd.grad_mode import enable_grad, no_grad
from ..errors import OptimizerError, UnsupportedError
from ..nn.hooks import RemovableHandle
from ..nn.module import clear_gradients

__all__ = ["Optimizer", "required"]

Params = Iterable[Tensor] | Iterable[dict[str, Any]] | Iterable[tuple[str, Tensor]]


class _Required:
    """The default of an option that every group has to give."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class Optimizer:
    """The base of optimizers: a subclass defines ``step``, and finds parameters in ``param_groups``, what it remembers
    of each in ``state[parameter]``.

    ``params`` are tensors, or dicts with "params" and options of their own, or pairs of a name and a tensor.
    ``defaults`` are the options of groups that do not give them.
    """

    _hooks_of_step: tuple[OrderedDict[int, Any], OrderedDict[int, Any]]
    param_groups: list[dict[str, Any]]
    state: defaultdict[Tensor, dict[str, Any]]

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError("Optimizer: params must be an iterable of tensors or dicts, not one tensor")
        self.defaults = defaults
        self._hooks_of_step = (OrderedDict(), OrderedDict())
        self._step_called = False
        self.state = defaultdict(dict)
        self.param_groups = []
        groups: list[Any] = list(params)
        if not groups:
            raise OptimizerError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _hooked(cls.__dict__["step"])  # type: ignore[method-assign]

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.setdefault("_hooks_of_step", (OrderedDict(), OrderedDict()))
        self.__dict__.setdefault("_step_called", False)

    def __repr__(self) -> str:
        lines = []
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return f"{type(self).__name__} (\n" + "\n".join(lines) + "\n)"

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters by their gradients; ``closure``, if given, computes the loss anew and is called first.

        Returns what the closure returned.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define step")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros (``set_to_none=False``)."""
        clear_gradients(self._parameters(), set_to_none)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a dict with "params" and options; options that it lacks are the optimizer's."""
        if not isinstance(param_group, dict):
            raise TypeError(f"add_param_group: expected a dict, not {type(param_group).__name__}")
        params = param_group["params"]
        if isinstance(params, (set, frozenset)):
            raise TypeError("add_param_group: the parameters must have an order, which a set has not: use a list")
        entries = [params] if isinstance(params, Tensor) else list(params)
        names = [entry[0] for entry in entries if isinstance(entry, tuple)]
        tensors = [entry[1] if isinstance(entry, tuple) else entry for entry in entries]
        if names and len(names) != len(tensors):
            raise OptimizerError("add_param_group: all parameters must have names, or none of them")
        for tensor in tensors:
            if not isinstance(tensor, Tensor):
                kind = type(tensor).__name__
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {kind}")
            if not tensor.is_leaf:
                raise OptimizerError("can't optimize a non-leaf Tensor")
        if len({id(tensor) for tensor in tensors}) != len(tensors):
            import warnings

            warnings.warn("optimizer contains a parameter group with duplicate parameters", stacklevel=3)
        present = {id(tensor) for tensor in self._parameters()}
        if not present.isdisjoint(id(tensor) for tensor in tensors):
            raise OptimizerError("some parameters appear in more than one parameter group")
        if self.param_groups and ("param_names" in self.param_groups[0]) != bool(names):
            raise OptimizerError("add_param_group: all groups must have names of their parameters, or none of them")

        param_group["params"] = tensors
        if names:
            param_group["param_names"] = names
        for option, default in self.defaults.items():
            if default is required and option not in param_group:
                raise OptimizerError(f"parameter group didn't specify a value of required parameter {option}")
            param_group.setdefault(option, default)
        self.param_groups.append(param_group)

    def state_dict(self) -> dict[str, Any]:
        """The state and the groups, parameters replaced by their numbers, as ``load_state_dict`` takes it."""
        numbers = {id(tensor): number for number, tensor in enumerate(self._parameters())}
        groups = []
        for group in self.param_groups:
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [numbers[id(tensor)] for tensor in group["params"]]
            groups.append(packed)
        state = {numbers[id(key)] if isinstance(key, Tensor) else key: value for key, value in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up a state that ``state_dict`` gave, for groups of the same sizes.

        Tensors are copied, and brought to the dtype and the device of their parameter.
        """
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise OptimizerError(
                "loaded state dict has a different number of parameter groups: "
                f"{len(saved)} for {len(self.param_groups)}"
            )
        for number, (group, loaded) in enumerate(zip(self.param_groups, saved, strict=True)):
            if len(group["params"]) != len(loaded["params"]):
                raise OptimizerError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"{len(loaded['params'])} parameters for {len(group['params'])} in group {number}"
                )
        numbers = [number for loaded in saved for number in loaded["params"]]
        tensors = dict(zip(numbers, self._parameters(), strict=True))
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in tensors:
                state[tensors[key]] = _fitted(value, tensors[key])
            else:
                state[key] = _copied(value)
        groups = []
        for group, loaded in zip(self.param_groups, saved, strict=True):
            # Options that the saved state does not know have their defaults.
            fresh = dict(self.defaults)
            fresh.update((key, _copied(value)) for key, value in loaded.items() if key != "params")
            if "param_names" in group and "param_names" not in loaded:
                fresh["param_names"] = group["param_names"]
            fresh["params"] = group["params"]
            groups.append(fresh)
        self.__setstate__({"state": state, "param_groups": groups})

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before ``step``; unless None, it returns other ``(args, kwargs)``."""
        return _add(self._hooks_of_step[0], hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after ``step``."""
        return _add(self._hooks_of_step[1], hook)

    def _parameters(self) -> Iterator[Tensor]:
        for group in self.param_groups:
            yield from group["params"]


def _add(hooks: OrderedDict[int, Any], hook: Callable[..., Any]) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def _hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` with the hooks around it, outside of the history; the closure records again."""

    @wraps(step)
    def call(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if type(self).step is not call:  # a subclass calls its parent's step: the hooks are run by its own
            return step(self, *args, **kwargs)
        before, after = self._hooks_of_step
        for hook in list(before.values()):
            changed = hook(self, args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(f"step_pre_hook: it must return None or (args, kwargs), not {changed!r}")
                args, kwargs = changed
        self._step_called = True
        result = step(self, *args, **kwargs)
        for hook in list(after.values()):
            hook(self, args, kwargs)
        return result

    return call


def run_closure(closure: Callable[[], Any] | None) -> Any:
    """The loss that a closure computes, with history, or None without one."""
    if closure is None:
        return None
    with enable_grad():
        return closure()


def check_implementation(name: str, foreach: bool | None, fused: bool | None, **unsupported: bool) -> None:
    """``foreach`` and ``fused`` choose between PyTorch's implementations, which agree; here there is one, fused."""
    if foreach and fused:
        raise RuntimeError(f"{name}: `fused` and `foreach` cannot be True together")
    for option, value in unsupported.items():
        if value:
            raise UnsupportedError(f"{name}: {option}=True is not supported")


def as_number(name: str, option: str, value: float | Tensor) -> float:
    """An option as a number, also where it is a tensor of one element."""
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise OptimizerError(f"{name}: {option} must be one number, not a tensor of {value.numel()}")
        return float(value.item())
    return value


def check_not_negative(name: str, **options: float) -> None:
    """Raise for an option that is below zero, or not a number."""
    for option, value in options.items():
        if not value >= 0.0:
            raise OptimizerError(f"{name}: {option} must not be negative: {value}")


def by_dtype(params: list[Tensor], *others: list[Tensor]) -> Iterator[tuple[list[Tensor], ...]]:
    """The lists in step, parted so that the parameters of each part have one dtype."""
    places: dict[Any, list[int]] = {}
    for place, param in enumerate(params):
        places.setdefault(param.dtype, []).append(place)
    if len(places) == 1:
        yield (params, *others)
        return
    for chosen in places.values():
        yield tuple([each[place] for place in chosen] if each else [] for each in (params, *others))


def _fitted(value: Any, param: Tensor, key: str | None = None) -> Any:
    """A copy of a parameter's state; tensors with its dtype, except counts of steps, which are float32."""
    if isinstance(value, Tensor):
        with no_grad():
            if key == "step":
                return value.to(float32).clone()
            return (value.to(dtype=param.dtype) if param.is_floating_point() else value).to(param.device).clone()
    if isinstance(value, dict):
        return {name: _fitted(each, param, name) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_fitted(each, param) for each in value)
    return _copied(value)


def _copied(value: Any) -> Any:
    from copy import deepcopy

    return deepcopy(value)
