"""``Module``, the base of every layer and model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar, overload

from .._core import Tensor, bfloat16, device, dtype, empty_like, float16, float32, float64
from ..autograd.grad_mode import no_grad
from ..errors import UnsupportedError
from .hooks import HOOK_FIELDS, Hooked
from .parameter import Buffer, Parameter
from .state_dict import StateDict

__all__ = ["Module"]

_M = TypeVar("_M", bound="Module")


def _forward_unimplemented(self: Module, *args: Any, **kwargs: Any) -> NoReturn:
    raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')


class Module(Hooked, StateDict):
    """The base of every layer and model: it lists the parameters, buffers and modules assigned to its attributes.

    A subclass calls ``super().__init__()`` before it assigns any, and defines ``forward``; ``module(x)`` runs the hooks
    and ``forward``.

    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = nn.Parameter(tf.tensor(2.0))
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(tf.ones(2))
    tensor([2., 2.], grad_fn=<MulBackward0>)
    """

    training: bool

    # Declared as a value so that type checkers let subclasses choose their own arguments.
    forward: Callable[..., Any] = _forward_unimplemented

    def __init__(self) -> None:
        # Not by plain assignment: __setattr__ would look for the dictionaries that are made here.
        fields = self.__dict__
        fields["training"] = True
        fields["_parameters"] = {}
        fields["_buffers"] = {}
        fields["_non_persistent_buffers_set"] = set()
        fields["_modules"] = {}
        for name in HOOK_FIELDS:
            fields[name] = OrderedDict()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in HOOK_FIELDS:
            self.__dict__.setdefault(name, OrderedDict())

    # -- attributes ---------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        fields = self.__dict__
        for registry in ("_parameters", "_buffers", "_modules"):
            held = fields.get(registry)
            if held is not None and name in held:
                return held[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        fields = self.__dict__
        parameters = fields.get("_parameters")
        if isinstance(value, Parameter):
            if parameters is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            self._forget(name, "_buffers", "_modules")
            self.register_parameter(name, value)
            return
        if parameters is not None and name in parameters:
            if value is not None:
                raise TypeError(_cannot_assign(value, "parameter", name, "Parameter or None"))
            self.register_parameter(name, None)
            return
        modules = fields.get("_modules")
        if isinstance(value, Module):
            if modules is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            self._forget(name, "_parameters", "_buffers")
            modules[name] = value
            return
        if modules is not None and name in modules:
            if value is not None:
                raise TypeError(_cannot_assign(value, "child module", name, "Module or None"))
            modules[name] = None
            return
        buffers = fields.get("_buffers")
        if isinstance(value, Buffer):
            if buffers is None:
                raise AttributeError("cannot assign buffers before Module.__init__() call")
            self._forget(name, "_parameters", "_modules")
            self.register_buffer(name, value, value.persistent)
        elif buffers is not None and name in buffers:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(_cannot_assign(value, "buffer", name, "Tensor, Buffer or None"))
            buffers[name] = value
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            super().__delattr__(name)

    def _forget(self, name: str, *registries: str) -> None:
        """Take a name from where it was before something of another kind is assigned to it."""
        fields = self.__dict__
        fields.pop(name, None)
        for registry in registries:
            fields[registry].pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[:1].isdigit())

    def _check_name(self, what: str, name: Any, registry: dict[str, Any]) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {type(name).__name__}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')
        if hasattr(self, name) and name not in registry:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under ``name``; None stands for one that this module does without."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_name("parameter", name, self._parameters)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(_cannot_assign(param, "parameter", name, "Parameter or None"))
            if param.grad_fn is not None:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}': "
                    f"to express '{name}' as a function of another tensor, compute it in forward()"
                )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is kept but not trained; one that is not ``persistent`` is left out of ``state_dict``."""
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_name("buffer", name, self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(_cannot_assign(tensor, "buffer", name, "Tensor or None"))
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under ``name``."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{_typename(module)} is not a Module subclass")
        if not isinstance(name, str):
            raise TypeError(f"module name should be a string. Got {type(name).__name__}")
        if hasattr(self, name) and name not in self._modules:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'module name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError('module name can\'t be empty string ""')
        self._modules[name] = module

    register_module = add_module

    def get_submodule(self, target: str) -> Module:
        """The module of the dotted name ``target`` (this one for ""); ``AttributeError`` if there is none."""
        module: Module = self
        for item in target.split(".") if target else ():
            if not hasattr(module, item):
                raise AttributeError(f"{type(module).__name__} has no attribute `{item}`")
            module = getattr(module, item)
            if not isinstance(module, Module):
                raise AttributeError(f"`{item}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put ``module`` at the dotted name ``target``; with ``strict`` only where there is a module already."""
        if target == "":
            raise ValueError("set_submodule: cannot set the module itself: target must not be empty")
        if not isinstance(module, Module):
            raise ValueError(f"set_submodule: {_typename(module)} is not a Module")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if hasattr(parent, name):
            if not isinstance(getattr(parent, name), Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        elif strict:
            raise AttributeError(f"{type(parent).__name__} has no attribute `{name}`")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of the dotted name ``target``; ``AttributeError`` if there is none."""
        found = self._get_tensor(target)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{target.rpartition('.')[2]}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer of the dotted name ``target``; ``AttributeError`` if there is none."""
        path, _, name = target.rpartition(".")
        found = self._get_tensor(target)
        if name not in self.get_submodule(path)._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        assert isinstance(found, Tensor)
        return found

    def _get_tensor(self, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        if not hasattr(module, name):
            raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
        return getattr(module, name)

    # -- walking over what there is -----------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below, with their dotted names, parents first; each once, unless told otherwise."""
        seen = set() if memo is None else memo
        if self in seen:
            return
        if remove_duplicate:
            seen.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(seen, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below, each once."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below, with their names, each once."""
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly below, each once."""
        for _, module in self.named_children():
            yield module

    def _named_members(
        self, registry: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        below = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for path, module in below:
            for name, member in module.__dict__[registry].items():
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield f"{path}.{name}" if path else name, member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their dotted names; shared ones once, unless told otherwise."""
        yield from self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once, as an optimizer takes them."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their dotted names."""
        yield from self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    # -- mode, gradients, dtype and device ------------------------------------------------------------------------

    def train(self: _M, mode: bool = True) -> _M:
        """Set this module and all below to training, or to evaluation (``mode=False``): it matters for some layers."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: _M) -> _M:
        """Set this module and all below to evaluation."""
        return self.train(False)

    def requires_grad_(self: _M, requires_grad: bool = True) -> _M:
        """Say for all parameters whether they are trained."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros (``set_to_none=False``)."""
        clear_gradients(self.parameters(), set_to_none)

    def apply(self: _M, fn: Callable[[Module], Any]) -> _M:
        """Call ``fn`` on every module below, children first, and then on this one.

        >>> net = nn.Linear(1, 1).apply(lambda m: nn.init.ones_(m.weight))
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self: _M, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> _M:
        """Replace the content of every parameter, gradient and buffer by ``fn`` of it; parameters stay the objects."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        with no_grad():
            for parameter in self._parameters.values():
                if parameter is not None:
                    gradient = parameter.grad
                    parameter.data = fn(parameter.data)
                    if gradient is not None:
                        gradient.data = fn(gradient.data)
            for name, buffer in self._buffers.items():
                if buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    @overload
    def to(
        self: _M, device: device | str | None = None, dtype: dtype | None = None, non_blocking: bool = False
    ) -> _M: ...
    @overload
    def to(self: _M, dtype: dtype, non_blocking: bool = False) -> _M: ...
    @overload
    def to(self: _M, tensor: Tensor, non_blocking: bool = False) -> _M: ...
    def to(self: _M, *args: Any, **kwargs: Any) -> _M:
        """Move parameters and buffers to a device, and those of floating or complex dtype to a dtype, in place.

        Takes ``to(device, dtype)``, ``to(dtype)`` or ``to(tensor)``; returns the module itself.
        """
        place, kind, non_blocking = _parse_to(args, kwargs)
        if kind is not None and not (kind.is_floating_point or kind.is_complex):
            raise TypeError(f"Module.to: only floating point or complex dtypes are accepted, not {kind}")
        more: dict[str, Any] = {"non_blocking": True} if non_blocking else {}
        if place is not None:
            more["device"] = place

        def convert(tensor: Tensor) -> Tensor:
            if kind is not None and (tensor.is_floating_point() or tensor.is_complex()):
                return tensor.to(dtype=kind, **more)
            return tensor.to(**more) if more else tensor

        return self._apply(convert)

    def to_empty(self: _M, *, device: device | str | None, recurse: bool = True) -> _M:
        """Give all parameters and buffers new memory on a device, not initialised."""
        return self._apply(lambda tensor: empty_like(tensor, device=device), recurse)

    def type(self: _M, dst_type: dtype) -> _M:
        """Convert all parameters and buffers to a dtype."""
        return self._apply(lambda tensor: tensor.to(dst_type))

    def _to_floating(self: _M, kind: dtype) -> _M:
        return self._apply(lambda tensor: tensor.to(kind) if tensor.is_floating_point() else tensor)

    def float(self: _M) -> _M:
        """Convert floating parameters and buffers to float32."""
        return self._to_floating(float32)

    def double(self: _M) -> _M:
        """Convert floating parameters and buffers to float64."""
        return self._to_floating(float64)

    def half(self: _M) -> _M:
        """Convert floating parameters and buffers to float16."""
        return self._to_floating(float16)

    def bfloat16(self: _M) -> _M:
        """Convert floating parameters and buffers to bfloat16."""
        return self._to_floating(bfloat16)

    def cpu(self: _M) -> _M:
        """Move all parameters and buffers to the CPU."""
        return self._apply(lambda tensor: tensor.to("cpu"))

    def cuda(self, device: device | int | None = None) -> NoReturn:
        """Raise ``UnsupportedError``: there is no CUDA device."""
        raise UnsupportedError(f"Module.cuda: there is no CUDA device {'' if device is None else device}".rstrip())

    # -- text ---------------------------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return self.__class__.__name__

    def extra_repr(self) -> str:
        """What a subclass adds to its printed form, between the brackets."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        extras = extra.split("\n") if extra else []
        children = [f"({name}): {_indented(repr(module))}" for name, module in self._modules.items()]
        if len(extras) == 1 and not children:
            return f"{self._get_name()}({extras[0]})"
        lines = extras + children
        body = "\n  " + "\n  ".join(lines) + "\n" if lines else ""
        return f"{self._get_name()}({body})"


def clear_gradients(parameters: Iterator[Tensor], set_to_none: bool) -> None:
    """Drop the gradients, or cut them from their history and fill them with zeros."""
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None:
            if set_to_none:
                parameter.grad = None
            elif gradient.grad_fn is not None:
                parameter.grad = gradient.detach().zero_()
            else:
                gradient.requires_grad_(False).zero_()


def _parse_to(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[device | str | None, dtype | None, bool]:
    """The device, the dtype and ``non_blocking`` of ``Module.to``'s three forms."""
    given = dict(kwargs)
    if given.pop("memory_format", None) is not None:
        raise UnsupportedError("Module.to: memory_format is not supported: tensors have PyTorch's contiguous format")
    first = args[0] if args else None
    if isinstance(first, Tensor):
        names: tuple[str, ...] = ("tensor", "non_blocking")
    elif isinstance(first, dtype):
        names = ("dtype", "non_blocking")
    else:
        names = ("device", "dtype", "non_blocking")
    if len(args) > len(names):
        raise TypeError(f"Module.to: takes at most {len(names)} positional arguments, got {len(args)}")
    for name, value in zip(names, args, strict=False):
        if name in given:
            raise TypeError(f"Module.to: got several values for {name!r}")
        given[name] = value
    like = given.pop("tensor", None)
    place, kind = given.pop("device", None), given.pop("dtype", None)
    non_blocking = given.pop("non_blocking", False)
    if given:
        raise TypeError(f"Module.to: got an unexpected argument {next(iter(given))!r}")
    if like is not None:
        place, kind = like.device, like.dtype
    if kind is not None and not isinstance(kind, dtype):
        raise TypeError(f"Module.to: dtype must be a dtype, not {type(kind).__name__}")
    if place is not None and not isinstance(place, (str, device)):
        raise TypeError(f"Module.to: device must be a device or a string, not {type(place).__name__}")
    if not isinstance(non_blocking, bool):
        raise TypeError(f"Module.to: non_blocking must be True or False, not {type(non_blocking).__name__}")
    return place, kind, non_blocking


def _typename(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _cannot_assign(value: object, what: str, name: str, expected: str) -> str:
    return f"cannot assign '{_typename(value)}' as {what} '{name}' ({expected} expected)"


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
