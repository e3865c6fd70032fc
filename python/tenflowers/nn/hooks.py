"""Hooks of modules: the handle that takes one off again, and what a backward hook needs of the history."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from .._core import Tensor, cat, is_grad_enabled
from ..errors import UnsupportedError

__all__ = ["HOOK_FIELDS", "BackwardHook", "Hooked", "RemovableHandle"]

_Gradients = tuple["Tensor | None", ...]
_Hooks = OrderedDict[int, Callable[..., Any]]

# The dictionaries of hooks that every module has.
HOOK_FIELDS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class RemovableHandle:
    """What registering a hook gives: ``remove()`` takes the hook off; as a context manager it does so at the end."""

    _count = 0

    def __init__(self, hooks: OrderedDict[int, Any], *flags: OrderedDict[int, Any]) -> None:
        self._places = [weakref.ref(each) for each in (hooks, *flags)]
        self.id = RemovableHandle._count
        RemovableHandle._count += 1

    def remove(self) -> None:
        """Take the hook off; doing so again does nothing."""
        for place in self._places:
            hooks = place()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class Hooked:
    """The part of ``Module`` that calls ``forward`` and the hooks around it."""

    _forward_hooks: _Hooks
    _forward_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks_always_called: OrderedDict[int, bool]
    _forward_pre_hooks: _Hooks
    _forward_pre_hooks_with_kwargs: OrderedDict[int, bool]
    _backward_hooks: _Hooks
    _backward_pre_hooks: _Hooks
    forward: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks:
            return self._call_with_hooks(args, kwargs)
        return self.forward(*args, **kwargs)

    def _call_with_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        pending = set(self._forward_hooks_always_called)
        result = None
        try:
            for key, hook in list(self._forward_pre_hooks.items()):
                if key in self._forward_pre_hooks_with_kwargs:
                    changed = hook(self, args, kwargs)
                    if changed is not None:
                        if not (isinstance(changed, tuple) and len(changed) == 2):
                            raise RuntimeError(
                                f"forward_pre_hook: with kwargs it must return None or (args, kwargs), not {changed!r}"
                            )
                        args, kwargs = changed
                else:
                    changed = hook(self, args)
                    if changed is not None:
                        args = changed if isinstance(changed, tuple) else (changed,)
            backward = None
            if self._backward_hooks or self._backward_pre_hooks:
                backward = BackwardHook(self, [*self._backward_hooks.values()], [*self._backward_pre_hooks.values()])
                args = backward.inputs(args)
            result = self.forward(*args, **kwargs)
            for key, hook in list(self._forward_hooks.items()):
                pending.discard(key)
                result = self._run_forward_hook(key, hook, args, kwargs, result)
            return result if backward is None else backward.outputs(result)
        except Exception:
            # Hooks registered with always_call have not run yet where something before them failed.
            for key, hook in list(self._forward_hooks.items()):
                if key in pending:
                    try:
                        result = self._run_forward_hook(key, hook, args, kwargs, result)
                    except Exception as error:
                        import warnings

                        warnings.warn(f"forward hook with always_call=True failed in turn: {error!r}", stacklevel=3)
            raise

    def _run_forward_hook(
        self, key: int, hook: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> Any:
        if key in self._forward_hooks_with_kwargs:
            changed = hook(self, args, kwargs, result)
        else:
            changed = hook(self, args, result)
        return result if changed is None else changed

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before ``forward``; what it returns, unless None, replaces the arguments.

        With ``with_kwargs`` it is ``hook(module, args, kwargs)``, which returns None or both.
        """
        handle = RemovableHandle(self._forward_pre_hooks, self._forward_pre_hooks_with_kwargs)
        _put(self._forward_pre_hooks, handle, hook, prepend)
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.id] = True
        return handle

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, result)`` after ``forward``; what it returns, unless None, replaces the result.

        With ``with_kwargs`` it is ``hook(module, args, kwargs, result)``; with ``always_call`` it runs even if
        ``forward`` or another hook fails.
        """
        handle = RemovableHandle(
            self._forward_hooks, self._forward_hooks_with_kwargs, self._forward_hooks_always_called
        )
        _put(self._forward_hooks, handle, hook, prepend)
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        return handle

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of the module's inputs are known.

        Both are tuples, with None for what has no gradient; a returned tuple replaces ``grad_input``. Only positional
        arguments that are tensors, and results that are a tensor or a tuple, are seen.
        """
        handle = RemovableHandle(self._backward_hooks)
        _put(self._backward_hooks, handle, hook, prepend)
        return handle

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` when the gradients of the module's outputs are known.

        A returned tuple replaces ``grad_output``.
        """
        handle = RemovableHandle(self._backward_pre_hooks)
        _put(self._backward_pre_hooks, handle, hook, prepend)
        return handle


class BackwardHook:
    """One call of a module whose gradients its hooks see: those of its outputs, then those of its inputs.

    ``inputs`` and ``outputs`` replace the tensors that go in and come out by views of them that the hooks watch.
    """

    def __init__(
        self, module: Any, hooks: Sequence[Callable[..., Any]], pre_hooks: Sequence[Callable[..., Any]]
    ) -> None:
        self._module = module
        self._hooks = hooks
        self._pre_hooks = pre_hooks
        self._grad_outputs: _Gradients | None = None
        self._n_inputs = 0
        self._input_places: list[int] = []

    def inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self._n_inputs = len(args)
        if not self._hooks:
            return args
        watched, self._input_places = _watched(self._module, "inputs", args, self._inputs_done)
        return watched

    def outputs(self, result: Any) -> Any:
        if isinstance(result, Tensor):
            watched, places = _watched(self._module, "outputs", (result,), self._outputs_done)
            return watched[0]
        if isinstance(result, tuple):
            watched, places = _watched(self._module, "outputs", result, self._outputs_done)
            if not places:
                return result
            make = getattr(type(result), "_make", type(result))  # named tuples take their fields one by one
            return make(watched)
        return result

    def _outputs_done(self, gradients: _Gradients) -> _Gradients | None:
        changed = False
        for hook in self._pre_hooks:
            replaced = hook(self._module, gradients)
            if replaced is not None:
                gradients, changed = _replacement("full_backward_pre_hook", replaced, len(gradients)), True
        if self._input_places:
            self._grad_outputs = gradients
        else:
            # No input needs a gradient: the hooks are called here, and there is nothing that they could replace.
            for hook in self._hooks:
                if hook(self._module, (None,) * self._n_inputs, gradients) is not None:
                    raise RuntimeError(
                        "full_backward_hook: it must return None where no input of the module requires a gradient"
                    )
        return gradients if changed else None

    def _inputs_done(self, gradients: _Gradients) -> _Gradients | None:
        grad_outputs, self._grad_outputs = self._grad_outputs, None
        if grad_outputs is None:
            return None  # a pass that does not come by the outputs, such as the second of a double backward
        changed = False
        for hook in self._hooks:
            replaced = hook(self._module, gradients, grad_outputs)
            if replaced is not None:
                gradients, changed = _replacement("full_backward_hook", replaced, len(gradients)), True
        return gradients if changed else None


def _put(hooks: _Hooks, handle: RemovableHandle, hook: Callable[..., Any], prepend: bool) -> None:
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)


def _replacement(what: str, given: Any, count: int) -> _Gradients:
    replaced: _Gradients = given if isinstance(given, tuple) else (given,)
    if len(replaced) != count:
        raise RuntimeError(f"{what}: the hook returned {len(replaced)} gradients where {count} were expected")
    return replaced


def _watched(
    module: Any, what: str, values: tuple[Any, ...], done: Callable[[_Gradients], _Gradients | None]
) -> tuple[tuple[Any, ...], list[int]]:
    """``values`` with each tensor that requires a gradient replaced by a view of it, and where those stand.

    ``done`` is called once in a backward pass, with the gradients at all places (None elsewhere), and may replace them.
    Several tensors pass through one joint tensor, since a hook sees the gradient of one tensor only; those of them that
    no gradient reaches have one of zeros then.
    """
    if not is_grad_enabled():
        return values, []
    places = [i for i, value in enumerate(values) if isinstance(value, Tensor) and value.requires_grad]
    if not places:
        return values, places
    tensors = [values[i] for i in places]
    if len({tensor.dtype for tensor in tensors}) > 1:
        name = type(module).__name__
        raise UnsupportedError(f"{name}: backward hooks with {what} of several dtypes are not supported")

    count = len(values)

    def spread(gradients: Sequence[Tensor]) -> _Gradients:
        row: list[Tensor | None] = [None] * count
        for place, gradient in zip(places, gradients, strict=True):
            row[place] = gradient
        return tuple(row)

    if len(tensors) == 1:
        (only,) = tensors
        view = only.view(only.shape)

        def single(gradient: Tensor) -> Tensor | None:
            replaced = done(spread([gradient]))
            return None if replaced is None else replaced[places[0]]

        view.register_hook(single)
        views = [view]
    else:
        sizes = [tensor.numel() for tensor in tensors]
        shapes = [tensor.shape for tensor in tensors]
        joint = cat([tensor.reshape(-1) for tensor in tensors])

        def several(gradient: Tensor) -> Tensor | None:
            pieces = [piece.view(shape) for piece, shape in zip(gradient.split(sizes), shapes, strict=True)]
            replaced = done(spread(pieces))
            if replaced is None:
                return None
            parts = [piece if (new := replaced[i]) is None else new for i, piece in zip(places, pieces, strict=True)]
            return cat([part.reshape(-1) for part in parts])

        joint.register_hook(several)
        views = [piece.view(shape) for piece, shape in zip(joint.split(sizes), shapes, strict=True)]
    row = list(values)
    for place, view in zip(places, views, strict=True):
        row[place] = view
    return tuple(row), places
