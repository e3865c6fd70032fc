"""Modules: registration, state, hooks, text, and what the layers compute."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest
from opinfo.run import array, tensor, tf

nn = tf.nn
rng = np.random.default_rng(0)


def values(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.BatchNorm1d(4)])
        self.scale = nn.Parameter(tf.ones(4))
        self.register_buffer("seen", tf.zeros(2))
        self.register_buffer("scratch", tf.zeros(1), persistent=False)
        self.none = None

    def forward(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(self.first(x) if x.shape[-1] == 3 else x)
        return x * self.scale


# -- registration ---------------------------------------------------------------------------------------------------


def test_names_of_everything() -> None:
    net = Net()
    assert [name for name, _ in net.named_parameters()] == [
        "scale",
        "first.weight",
        "first.bias",
        "blocks.0.weight",
        "blocks.0.bias",
        "blocks.1.weight",
        "blocks.1.bias",
    ]
    assert [name for name, _ in net.named_parameters("p", recurse=False)] == ["p.scale"]
    assert [name for name, _ in net.named_buffers()] == [
        "seen",
        "scratch",
        "blocks.1.running_mean",
        "blocks.1.running_var",
        "blocks.1.num_batches_tracked",
    ]
    assert [name for name, _ in net.named_modules()] == ["", "first", "blocks", "blocks.0", "blocks.1"]
    assert [name for name, _ in net.named_children()] == ["first", "blocks"]
    assert len(list(net.children())) == 2
    assert next(net.buffers()) is net.seen
    assert list(net.state_dict()) == [
        "scale",
        "seen",
        "first.weight",
        "first.bias",
        "blocks.0.weight",
        "blocks.0.bias",
        "blocks.1.weight",
        "blocks.1.bias",
        "blocks.1.running_mean",
        "blocks.1.running_var",
        "blocks.1.num_batches_tracked",
    ]


def test_shared_members_are_listed_once() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    net.append(net[0])
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert len(list(net.named_parameters(remove_duplicate=False))) == 6
    assert len(list(net.modules())) == 3
    assert len(list(net.named_modules(remove_duplicate=False))) == 4
    assert len(net.state_dict()) == 6


def test_assignment_moves_a_name_between_kinds() -> None:
    net = nn.Module()
    net.x = 1
    net.x = nn.Parameter(tf.ones(1))
    assert "x" not in net.__dict__
    assert [name for name, _ in net.named_parameters()] == ["x"]
    with pytest.raises(TypeError, match=r"cannot assign .* as parameter 'x'"):
        net.x = nn.Linear(1, 1)
    net.y = tf.ones(1)
    net.y = nn.Linear(1, 1)
    del net.x
    net.x = net.y
    del net.y
    assert "y" not in net.__dict__
    assert list(net._parameters) == []
    assert [name for name, _ in net.named_children()] == ["x"]
    net.x = None
    assert net.x is None
    assert list(net.named_children()) == []
    del net.x
    assert not hasattr(net, "x")
    net.b = nn.Buffer(tf.zeros(1), persistent=False)
    assert list(net.state_dict()) == []
    net.b = tf.ones(1)
    assert [name for name, _ in net.named_buffers()] == ["b"]
    del net.b
    assert list(net.named_buffers()) == []


@pytest.mark.parametrize("kind", ["parameter", "module"])
def test_assignment_needs_init(kind: str) -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            self.x = nn.Parameter(tf.ones(1)) if kind == "parameter" else nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=f"cannot assign {kind}s? before Module.__init__"):
        Late()


def test_wrong_values_are_refused() -> None:
    net = Net()
    with pytest.raises(TypeError, match=r"cannot assign .* as parameter 'scale'"):
        net.scale = tf.ones(4)
    with pytest.raises(TypeError, match="cannot assign 'int' as child module 'first'"):
        net.first = 3
    with pytest.raises(TypeError, match="cannot assign 'str' as buffer 'seen'"):
        net.seen = "x"
    with pytest.raises(KeyError, match="already exists"):
        net.register_parameter("first", nn.Parameter(tf.ones(1)))
    with pytest.raises(KeyError, match="already exists"):
        net.register_buffer("forward", tf.ones(1))
    with pytest.raises(KeyError, match="contain"):
        net.register_buffer("a.b", tf.ones(1))
    with pytest.raises(KeyError, match="empty string"):
        net.register_parameter("", None)
    with pytest.raises(TypeError, match="string"):
        net.register_buffer(3, tf.ones(1))
    with pytest.raises(TypeError, match="Module"):
        net.add_module("x", 3)
    with pytest.raises(TypeError, match="parameter 'x'"):
        net.register_parameter("x", tf.ones(1))
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'missing'"):
        _ = net.missing
    with pytest.raises(AttributeError, match="missing"):
        del net.missing
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(1)
    with pytest.raises(TypeError, match="unexpected keyword"):
        nn.Module(size=3)


def test_parameter() -> None:
    data = tf.ones(2)
    made = nn.Parameter(data)
    assert made.requires_grad
    assert made.is_leaf
    assert isinstance(made, tf.Tensor)
    assert not isinstance(made * 2, nn.Parameter)
    with tf.no_grad():
        made.add_(1)
    assert data.tolist() == [2, 2]
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    assert nn.Parameter(made * 2).is_leaf
    assert nn.Parameter().numel() == 0
    assert repr(made).startswith("Parameter containing:\ntensor([2., 2.], requires_grad=True)")
    with pytest.raises(RuntimeError, match="floating"):
        nn.Parameter(tf.arange(2))


def test_submodules_by_name() -> None:
    net = Net()
    assert net.get_submodule("blocks.0") is net.blocks[0]
    assert net.get_submodule("") is net
    assert net.get_parameter("blocks.0.bias") is net.blocks[0].bias
    assert net.get_buffer("blocks.1.running_var") is net.blocks[1].running_var
    for get, name in (
        (net.get_submodule, "blocks.7"),
        (net.get_submodule, "scale"),
        (net.get_parameter, "seen"),
        (net.get_parameter, "first.nothing"),
        (net.get_buffer, "scale"),
    ):
        with pytest.raises(AttributeError):
            get(name)
    net.set_submodule("blocks.0", nn.Identity())
    assert isinstance(net.blocks[0], nn.Identity)


# -- state ----------------------------------------------------------------------------------------------------------


def test_state_dict_shares_memory_and_loads_into_another() -> None:
    one, other = Net(), Net()
    state = one.state_dict()
    assert isinstance(state, OrderedDict)
    assert not state["scale"].requires_grad
    with tf.no_grad():
        one.scale.fill_(7)
    assert state["scale"].tolist() == [7] * 4
    keys = other.load_state_dict(state)
    assert keys.missing_keys == []
    assert keys.unexpected_keys == []
    assert repr(keys) == "<All keys matched successfully>"
    for (_, a), (_, b) in zip(one.named_parameters(), other.named_parameters(), strict=True):
        np.testing.assert_array_equal(array(a), array(b))
        assert a.data_ptr() != b.data_ptr()
    assert one.state_dict(prefix="x.", keep_vars=True)["x.scale"] is one.scale


def test_strict_loading() -> None:
    net = Net()
    state = net.state_dict()
    del state["first.weight"]
    state["first.more"] = tf.ones(1)
    state["scratch"] = tf.ones(1)
    with pytest.raises(RuntimeError) as raised:
        net.load_state_dict(state)
    text = str(raised.value)
    assert text.startswith("Error(s) in loading state_dict for Net:\n\t")
    assert 'Missing key(s) in state_dict: "first.weight". ' in text
    assert "Unexpected key(s) in state_dict: " in text
    assert '"first.more"' in text
    assert '"scratch"' in text
    keys = net.load_state_dict(state, strict=False)
    assert keys.missing_keys == ["first.weight"]
    assert sorted(keys.unexpected_keys) == ["first.more", "scratch"]
    assert "first.more" in repr(keys)


def test_loading_reports_shapes_and_types() -> None:
    net = nn.Linear(2, 1)
    with pytest.raises(RuntimeError, match=r"size mismatch for weight: .*\[1, 3\].*\[1, 2\]"):
        net.load_state_dict({"weight": tf.ones(1, 3), "bias": tf.ones(1)}, strict=False)
    with pytest.raises(RuntimeError, match='"bias"'):
        net.load_state_dict({"weight": tf.ones(1, 2), "bias": 3})
    with pytest.raises(TypeError, match=r"mapping|dict-like"):
        net.load_state_dict([1])


def test_loading_by_assignment() -> None:
    net = nn.Linear(2, 1)
    net.bias.requires_grad_(False)
    weight = tf.ones(1, 2, dtype=tf.float64)
    net.load_state_dict({"weight": weight, "bias": tf.ones(1)}, assign=True)
    assert net.weight.dtype == tf.float64
    assert net.weight.data_ptr() == weight.data_ptr()
    assert net.weight.requires_grad
    assert not net.bias.requires_grad
    assert isinstance(net.bias, nn.Parameter)


def test_extra_state_and_state_hooks() -> None:
    class Counted(nn.Module):
        def __init__(self, count: int) -> None:
            super().__init__()
            self.count = count

        def get_extra_state(self) -> Any:
            return {"count": self.count}

        def set_extra_state(self, state: Any) -> None:
            self.count = state["count"]

    net = nn.Sequential(Counted(3))
    state = net.state_dict()
    assert state == {"0._extra_state": {"count": 3}}
    other = nn.Sequential(Counted(0))
    other.load_state_dict(state)
    assert other[0].count == 3
    with pytest.raises(RuntimeError, match="_extra_state"):
        other.load_state_dict({})

    renamed = nn.Linear(1, 1)

    def rename(module: Any, state: Any, prefix: str, *rest: Any) -> None:
        assert module is renamed
        state[prefix + "weight"] = state.pop(prefix + "kernel")

    handle = renamed.register_load_state_dict_pre_hook(rename)
    renamed.register_load_state_dict_post_hook(lambda module, keys: keys.missing_keys.clear())
    given = {"kernel": tf.full((1, 1), 5.0)}
    assert renamed.load_state_dict(given).missing_keys == []
    assert renamed.weight.item() == 5
    assert list(given) == ["kernel"]
    handle.remove()
    renamed.register_state_dict_post_hook(lambda module, state, prefix, meta: state.pop(prefix + "bias") and None)
    assert list(renamed.state_dict()) == ["weight"]


def test_batch_norm_without_counter_loads() -> None:
    net = nn.BatchNorm1d(2)
    state = {key: value for key, value in net.state_dict().items() if key != "num_batches_tracked"}
    net.load_state_dict(state)
    full = net.state_dict()
    del full["num_batches_tracked"]
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        net.load_state_dict(full)


def test_copies() -> None:
    net = Net()
    net.register_forward_hook(print)
    net.scale.grad = tf.ones(4)
    for made in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert type(made.scale) is nn.Parameter
        assert made.scale is not net.scale
        assert made.scale.requires_grad
        assert list(made.state_dict()) == list(net.state_dict())
        for (_, a), (_, b) in zip(net.named_parameters(), made.named_parameters(), strict=True):
            np.testing.assert_array_equal(array(a), array(b))
        with tf.no_grad():
            made.scale.zero_()
        assert net.scale.tolist() == [1] * 4
    shared = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    shared[1].weight = shared[0].weight
    for made in (copy.deepcopy(shared), pickle.loads(pickle.dumps(shared))):
        assert made[0].weight is made[1].weight


# -- mode, gradients, dtypes ----------------------------------------------------------------------------------------


def test_mode_and_apply() -> None:
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())
    with pytest.raises(ValueError, match="boolean"):
        net.train(1)
    order: list[Any] = []
    assert net.apply(order.append) is net
    assert order == [net.first, net.blocks[0], net.blocks[1], net.blocks, net]
    net.requires_grad_(False)
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_zero_grad() -> None:
    net = nn.Linear(2, 1)
    net(tf.ones(1, 2)).sum().backward()
    gradient = net.weight.grad
    net.zero_grad(set_to_none=False)
    assert net.weight.grad is gradient
    assert gradient.tolist() == [[0, 0]]
    net.zero_grad()
    assert net.weight.grad is None


def test_conversion_keeps_the_parameters() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    net(tf.ones(4, 2)).sum().backward()
    weight, gradient = net[0].weight, net[0].weight.grad
    assert net.double() is net
    assert net[0].weight is weight
    assert weight.dtype == tf.float64
    assert weight.grad is gradient
    assert gradient.dtype == tf.float64
    assert net[1].running_mean.dtype == tf.float64
    assert net[1].num_batches_tracked.dtype == tf.int64
    for convert, dtype in (
        (net.float, tf.float32),
        (net.half, tf.float16),
        (net.bfloat16, tf.bfloat16),
        (lambda: net.to(tf.float64), tf.float64),
        (lambda: net.to("cpu", tf.float32), tf.float32),
        (lambda: net.to(tf.zeros(1, dtype=tf.float64)), tf.float64),
        (lambda: net.to(dtype=tf.float32, device=tf.device("cpu")), tf.float32),
        (lambda: net.to("cpu").cpu(), tf.float32),
    ):
        assert convert() is net
        assert weight.dtype == dtype
        assert net[1].num_batches_tracked.dtype == tf.int64
    optimizer = tf.optim.SGD(net.parameters(), lr=1.0)
    net.double()
    net(tf.ones(4, 2, dtype=tf.float64)).sum().backward()
    optimizer.step()
    with pytest.raises(TypeError, match="floating"):
        net.to(tf.int64)


# -- hooks ----------------------------------------------------------------------------------------------------------


def test_forward_hooks() -> None:
    net = nn.Identity()
    calls: list[str] = []
    first = net.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    net.register_forward_pre_hook(lambda module, args: args[0] * 10, prepend=True)
    last = net.register_forward_hook(lambda module, args, result: result + args[0])
    net.register_forward_hook(lambda module, args, result: calls.append("seen"))
    assert net(2) == 42
    first.remove()
    first.remove()
    assert net(2) == 40
    with last:
        pass
    assert net(2) == 20
    assert calls == ["seen"] * 3


def test_forward_hooks_with_kwargs() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Any, *, by: int = 1) -> Any:
            return x * by

    net = Scaled()
    net.register_forward_pre_hook(lambda module, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True)
    net.register_forward_hook(lambda module, args, kwargs, result: (result, kwargs["by"]), with_kwargs=True)
    assert net(3, by=4) == (15, 5)
    net.register_forward_pre_hook(lambda module, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError):
        net(3, by=4)


def test_hooks_that_are_always_called() -> None:
    class Failing(nn.Module):
        def forward(self) -> None:
            raise ValueError("from forward")

    net = Failing()
    seen: list[Any] = []
    net.register_forward_hook(lambda module, args, result: seen.append(result), always_call=True)
    net.register_forward_hook(lambda module, args, result: seen.append("not"))
    with pytest.raises(ValueError, match="from forward"):
        net()
    assert seen == [None]


def test_full_backward_hook() -> None:
    net = nn.Linear(2, 2)
    seen: list[Any] = []
    handle = net.register_full_backward_hook(lambda module, grad_in, grad_out: seen.append((grad_in, grad_out)))
    x = tensor(values(3, 2)).requires_grad_()
    flowing = values(3, 2)
    net(x).backward(tensor(flowing))
    ((grad_in, grad_out),) = seen
    np.testing.assert_allclose(array(grad_out[0]), flowing)
    np.testing.assert_allclose(array(grad_in[0]), flowing @ array(net.weight), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(array(x.grad), array(grad_in[0]))
    handle.remove()
    net(x).sum().backward()
    assert len(seen) == 1


def test_full_backward_hook_changes_gradients() -> None:
    net = nn.Identity()
    net.register_full_backward_hook(lambda module, grad_in, grad_out: (grad_in[0] * 10,))
    net.register_full_backward_pre_hook(lambda module, grad_out: (grad_out[0] + 1,))
    x = tf.ones(2, requires_grad=True)
    net(x).sum().backward()
    assert x.grad.tolist() == [20, 20]


def test_full_backward_hook_without_input_gradients() -> None:
    net = nn.Linear(2, 1)
    seen: list[Any] = []
    net.register_full_backward_hook(lambda module, grad_in, grad_out: seen.append((grad_in, grad_out[0].tolist())))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns
        net(tf.ones(1, 2)).sum().backward()
    assert seen == [((None,), [[1]])]
    with tf.no_grad():
        net(tf.ones(1, 2))


def test_full_backward_hook_of_several_tensors() -> None:
    class Pair(nn.Module):
        def forward(self, a: Any, number: int, b: Any, c: Any) -> Any:
            return a * 2, number, b * 3 + c

    seen: list[Any] = []

    def hook(module: Any, grad_in: Any, grad_out: Any) -> Any:
        seen.append([None if each is None else each.tolist() for each in (*grad_in, *grad_out)])
        return (grad_in[0] + 100, None, grad_in[2] + 200, None)

    net = Pair()
    net.register_full_backward_hook(hook)
    a, b = tf.ones(2, requires_grad=True), tf.ones(1, requires_grad=True)
    first, _, second = net(a, 5, b, tf.ones(1))
    (first.sum() + second.sum() * 10).backward()
    del seen[0][3]  # PyTorch gives zeros here, though c requires no gradient
    assert seen == [[[2, 2], None, [30], [1, 1], None, [10]]]
    assert a.grad.tolist() == [102, 102]
    assert b.grad.tolist() == [230]


def test_backward_hook_with_second_derivatives() -> None:
    class Cube(nn.Module):
        def forward(self, x: Any) -> Any:
            return x**3

    net = Cube()
    net.register_full_backward_hook(lambda module, grad_in, grad_out: (grad_in[0] * 2,))
    x = tf.tensor([2.0], requires_grad=True)
    (slope,) = tf.autograd.grad(net(x).sum(), x, create_graph=True)
    assert slope.tolist() == [24]
    (second,) = tf.autograd.grad(slope.sum(), x)
    assert second.tolist() == [24]


def test_results_of_several_kinds_pass_backward_hooks() -> None:
    Both = namedtuple("Both", ["one", "other"])

    class Split(nn.Module):
        def forward(self, x: Any) -> Any:
            return Both(x * 2, x * 3)

    net = Split()
    net.register_full_backward_pre_hook(lambda module, grad_out: tuple(each * 2 for each in grad_out))
    x = tf.ones(1, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = net(x)
    (result[0] + result[1]).sum().backward()
    assert x.grad.tolist() == [10]


# -- containers -----------------------------------------------------------------------------------------------------


def test_sequential() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    x = tensor(values(4, 2))
    expected = net[2](net[1](net[0](x)))
    np.testing.assert_array_equal(array(net(x)), array(expected))
    assert len(net) == 3
    assert isinstance(net[-2], nn.ReLU)
    assert list(net[1:]._modules) == ["1", "2"]
    net[1] = nn.Tanh()
    assert [type(module).__name__ for module in net] == ["Linear", "Tanh", "Linear"]
    del net[0]
    assert list(net._modules) == ["0", "1"]
    net.insert(0, nn.Sigmoid()).append(nn.GELU()).extend([nn.SiLU()])
    names = [type(module).__name__ for module in net]
    assert names == ["Sigmoid", "Tanh", "Linear", "GELU", "SiLU"]
    assert type(net.pop(0)).__name__ == "Sigmoid"
    assert [type(module).__name__ for module in nn.Sequential(nn.ReLU()) + nn.Sequential(nn.Tanh())] == ["ReLU", "Tanh"]
    assert len(nn.Sequential(nn.ReLU()) * 3) == 3
    named = nn.Sequential(OrderedDict([("a", nn.Linear(1, 1)), ("b", nn.ReLU())]))
    assert named.a is named[0]
    with pytest.raises(IndexError, match="out of range"):
        net[7]
    with pytest.raises(TypeError, match="not a Module subclass"):
        nn.Sequential(3)


def test_module_list_and_dict() -> None:
    layers = nn.ModuleList(nn.Linear(1, size) for size in (1, 2))
    layers.append(nn.ReLU())
    layers.extend([nn.Tanh()])
    layers.insert(0, nn.Identity())
    layers += [nn.GELU()]
    assert [name for name, _ in layers.named_children()] == ["0", "1", "2", "3", "4", "5"]
    assert isinstance(layers[0], nn.Identity)
    assert isinstance(layers[-1], nn.GELU)
    assert len(layers[1:3]) == 2
    assert isinstance(layers[1:3], nn.ModuleList)
    del layers[1:3]
    assert [type(module).__name__ for module in layers] == ["Identity", "ReLU", "Tanh", "GELU"]
    assert type(layers.pop(-1)).__name__ == "GELU"
    with pytest.raises(TypeError):
        layers.append(3)
    with pytest.raises(NotImplementedError):
        layers(1)

    chosen = nn.ModuleDict({"a": nn.Linear(1, 1)})
    chosen["b"] = nn.ReLU()
    chosen.update([("c", nn.Tanh())])
    assert list(chosen) == list(chosen.keys()) == ["a", "b", "c"]
    assert "b" in chosen
    assert len(chosen) == 3
    assert [name for name, _ in chosen.named_parameters()] == ["a.weight", "a.bias"]
    assert isinstance(chosen.pop("b"), nn.ReLU)
    del chosen["a"]
    assert [name for name, module in chosen.items()] == ["c"]
    with pytest.raises(KeyError):
        chosen["a"]
    with pytest.raises(TypeError):
        chosen.update(3)


def test_parameter_containers() -> None:
    weights = nn.ParameterList([tf.ones(1), nn.Parameter(tf.zeros(2))])
    weights.append(tf.ones(3))
    assert [name for name, _ in weights.named_parameters()] == ["0", "1", "2"]
    assert all(isinstance(weight, nn.Parameter) for weight in weights)
    weights[1] = tf.ones(5)
    assert [weight.numel() for weight in weights] == [1, 5, 3]
    assert isinstance(weights[1], nn.Parameter)
    with pytest.raises(IndexError):
        weights[3]
    named = nn.ParameterDict({"a": tf.ones(1)})
    named["b"] = tf.zeros(2)
    assert sorted(name for name, _ in named.named_parameters()) == ["a", "b"]
    assert isinstance(named["b"], nn.Parameter)
    assert named.pop("a").numel() == 1
    assert list(named.keys()) == ["b"]
    assert named.get("z") is None


# -- text -----------------------------------------------------------------------------------------------------------


def test_repr() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU(inplace=True)
            self.layers = nn.ModuleList([nn.Tanh(), nn.Tanh(), nn.Sigmoid()])

        def extra_repr(self) -> str:
            return "depth=3"

    net = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 4, 3, padding=1, bias=False), block=Block(), empty=nn.Module()))
    assert (
        repr(net)
        == """Sequential(
  (conv): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
  (block): Block(
    depth=3
    (act): ReLU(inplace=True)
    (layers): ModuleList(
      (0-1): 2 x Tanh()
      (2): Sigmoid()
    )
  )
  (empty): Module()
)"""
    )
