"""What a module saves and loads: ``state_dict`` and ``load_state_dict``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .._core import Tensor
from ..autograd.grad_mode import no_grad
from ..errors import CheckpointError
from .hooks import RemovableHandle
from .parameter import Parameter

if TYPE_CHECKING:
    from .module import Module

__all__ = ["IncompatibleKeys", "StateDict"]

_EXTRA_STATE = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` gives: the keys that were missing, and those that nothing took."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"

    def __str__(self) -> str:
        return repr(self)


class StateDict:
    """The part of ``Module`` that gathers tensors by their dotted names and puts them back."""

    _version = 1
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]
    _state_dict_hooks: OrderedDict[int, Callable[..., Any]]
    _state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_post_hooks: OrderedDict[int, Callable[..., Any]]

    def get_extra_state(self) -> Any:
        """What ``state_dict`` holds besides tensors, for a class that overrides this and ``set_extra_state``."""
        raise NotImplementedError(f"{type(self).__name__} has no extra state: override get_extra_state to give it one")

    def set_extra_state(self, state: Any) -> None:
        """Take up what ``get_extra_state`` gave, for a class that overrides both."""
        raise NotImplementedError(f"{type(self).__name__} has no extra state: override set_extra_state to load one")

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by name, in order; they share the module's memory.

        The names begin with ``prefix``; ``destination`` is filled if given. With ``keep_vars`` the tensors are the
        parameters themselves, else they are detached.

        >>> nn.Linear(2, 1).state_dict().keys()
        odict_keys(['weight', 'bias'])
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()  # type: ignore[attr-defined]
        metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = metadata
        for pre_hook in self._state_dict_pre_hooks.values():
            pre_hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=destination, prefix=prefix + name + ".", keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            result = hook(self, destination, prefix, metadata)
            if result is not None:
                raise RuntimeError("state_dict: a state_dict post-hook must return None")
        return destination

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for name, tensor in self._state_items():
            destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if type(self).get_extra_state is not StateDict.get_extra_state:
            destination[prefix + _EXTRA_STATE] = self.get_extra_state()

    def _state_items(self) -> Iterator[tuple[str, Tensor]]:
        """This module's own parameters and persistent buffers."""
        for name, parameter in self._parameters.items():
            if parameter is not None:
                yield name, parameter
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                yield name, buffer

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy the tensors of ``state_dict`` into the parameters and buffers of the same names.

        With ``strict``, missing and unexpected names are a ``CheckpointError``; a tensor of another shape always is.
        With ``assign`` the tensors take the places of the module's instead of being copied.

        >>> model = nn.Linear(2, 1)
        >>> model.load_state_dict({"weight": tf.ones(1, 2), "bias": tf.zeros(1)})
        <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a mapping of names to tensors, not {type(state_dict).__name__}")
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        metadata = getattr(state_dict, "_metadata", None)
        entries = OrderedDict(state_dict)  # the pre-hooks may rename entries, which is not to reach the caller's

        def load(module: StateDict, entries: Mapping[str, Any], prefix: str) -> None:
            local = {} if metadata is None else dict(metadata.get(prefix[:-1], {}))
            if assign:
                local["assign_to_params_buffers"] = True
            module._load_from_state_dict(entries, prefix, local, True, missing, unexpected, errors)
            for name, child in module._modules.items():
                if child is not None:
                    below = prefix + name + "."
                    load(child, OrderedDict((k, v) for k, v in entries.items() if k.startswith(below)), below)
            keys = IncompatibleKeys(missing, unexpected)
            for hook in module._load_state_dict_post_hooks.values():
                if hook(module, keys) is not None:
                    raise RuntimeError("load_state_dict: a post-hook must change the keys in place and return None")

        load(self, entries, "")
        if strict:
            if missing:
                errors.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
            if unexpected:
                errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
        if errors:
            lines = "\n\t".join(errors)
            raise CheckpointError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{lines}")
        return IncompatibleKeys(missing, unexpected)

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load this module's own entries; what does not fit goes into the three lists."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, tensor in list(self._state_items()):
            key = prefix + name
            if key in state_dict:
                self._load_tensor(name, tensor, key, state_dict[key], assign, error_msgs)
            elif strict:
                missing_keys.append(key)

        extra = prefix + _EXTRA_STATE
        if type(self).set_extra_state is not StateDict.set_extra_state:
            if extra in state_dict:
                self.set_extra_state(state_dict[extra])
            elif strict:
                missing_keys.append(extra)
        elif strict and extra in state_dict:
            unexpected_keys.append(extra)

        if strict:
            for key in state_dict:
                if key.startswith(prefix) and key != extra:
                    first, *rest = key[len(prefix) :].split(".", 1)
                    if rest:
                        known = first in self._modules
                    else:
                        known = first in self._parameters or first in self._buffers
                        known = known and first not in self._non_persistent_buffers_set
                    if not known:
                        unexpected_keys.append(key)

    def _load_tensor(
        self, name: str, tensor: Tensor, key: str, source: Any, assign: bool, error_msgs: list[str]
    ) -> None:
        if not isinstance(source, Tensor):
            error_msgs.append(f'"{key}": expected a tensor in the checkpoint, but found {type(source).__name__}')
            return
        if tensor.shape != source.shape and not (tensor.ndim == 0 and source.shape == (1,)):
            error_msgs.append(
                f"size mismatch for {key}: copying a param with shape {source.shape} from checkpoint, "
                f"the shape in current model is {tensor.shape}."
            )
            return
        try:
            if not assign:
                with no_grad():
                    tensor.copy_(source if source.ndim == tensor.ndim else source[0])
            elif isinstance(tensor, Parameter):
                taken = source if isinstance(source, Parameter) else Parameter(source, tensor.requires_grad)
                setattr(self, name, taken.requires_grad_(tensor.requires_grad))
            else:
                setattr(self, name, source)
        except Exception as error:
            error_msgs.append(f'while loading "{key}" of shape {source.shape} into {tensor.shape}: {error}')

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before ``state_dict`` gathers this module's tensors."""
        return _add(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` afterwards; it changes ``state_dict`` in place."""
        return _add(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call a hook before loading, with the module and then ``_load_from_state_dict``'s arguments."""
        return _add(self._load_state_dict_pre_hooks, _WithModule(self, hook))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after loading; it may change the lists of keys in place."""
        return _add(self._load_state_dict_post_hooks, hook)


class _WithModule:
    """A load hook and its module, as a method is a function and its object; copies and pickles with the module."""

    def __init__(self, module: StateDict, hook: Callable[..., Any]) -> None:
        self.module = module
        self.hook = hook

    def __call__(self, *args: Any) -> Any:
        return self.hook(self.module, *args)


def _add(hooks: OrderedDict[int, Callable[..., Any]], hook: Callable[..., Any]) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)
