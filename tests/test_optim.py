"""Optimizers against their formulas in NumPy, their groups and state, and the schedules of learning rates."""

from __future__ import annotations

import copy
import itertools
import math
from typing import Any

import numpy as np
import pytest
from opinfo.run import array, tensor, tf

nn, optim = tf.nn, tf.optim
schedules = optim.lr_scheduler


def parameters(*arrays: np.ndarray) -> list[Any]:
    return [nn.Parameter(tensor(each)) for each in arrays]


def start() -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.standard_normal((3, 4)), rng.standard_normal(5).astype(np.float32), np.float64(rng.standard_normal(()))]


def gradients_at(step: int) -> list[np.ndarray]:
    """Gradients that do not depend on the parameters; the second parameter gets its first one late."""
    rng = np.random.default_rng(100 + step)
    made = [rng.standard_normal(np.shape(each)) for each in start()]
    return [made[0], None if step < 2 else made[1].astype(np.float32), made[2]]


def run(make: Any, steps: int = 6) -> tuple[list[np.ndarray], Any]:
    given = parameters(*start())
    optimizer = make(given)
    for step in range(steps):
        for parameter, gradient in zip(given, gradients_at(step), strict=True):
            parameter.grad = None if gradient is None else tensor(np.asarray(gradient))
        optimizer.step()
    return [array(parameter) for parameter in given], optimizer


def by_formula(update: Any, steps: int = 6) -> list[np.ndarray]:
    values = [np.asarray(each, np.float64) for each in start()]
    states: list[dict[str, Any]] = [{} for _ in values]
    for step in range(steps):
        for place, gradient in enumerate(gradients_at(step)):
            if gradient is not None:
                values[place] = update(values[place], np.asarray(gradient, np.float64), states[place])
    return values


def agree(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        tolerance = 1e-5 if one.dtype == np.float32 else 1e-9
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("momentum", "dampening", "nesterov", "decay", "maximize"),
    [
        each
        for each in itertools.product([0, 0.9], [0, 0.3], [False, True], [0, 0.1], [False, True])
        if not each[2] or (each[0] and not each[1])
    ],
)
def test_sgd(momentum: float, dampening: float, nesterov: bool, decay: float, maximize: bool) -> None:
    def update(value: np.ndarray, gradient: np.ndarray, state: dict[str, Any]) -> np.ndarray:
        gradient = (-gradient if maximize else gradient) + decay * value
        if momentum:
            velocity = momentum * state["v"] + (1 - dampening) * gradient if "v" in state else gradient
            state["v"] = velocity
            gradient = gradient + momentum * velocity if nesterov else velocity
        return value - 0.1 * gradient

    found, optimizer = run(lambda given: optim.SGD(given, 0.1, momentum, dampening, decay, nesterov, maximize=maximize))
    agree(found, by_formula(update))
    assert len(optimizer.state_dict()["state"]) == (3 if momentum else 0)


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
@pytest.mark.parametrize(
    ("decay", "amsgrad", "maximize"), list(itertools.product([0, 0.1], [False, True], [False, True]))
)
def test_adam(name: str, decay: float, amsgrad: bool, maximize: bool) -> None:
    def update(value: np.ndarray, gradient: np.ndarray, state: dict[str, Any]) -> np.ndarray:
        gradient = -gradient if maximize else gradient
        if name == "AdamW":
            value = value * (1 - 0.05 * decay)
        else:
            gradient = gradient + decay * value
        step = state["step"] = state.get("step", 0) + 1
        mean = state["m"] = 0.8 * state.get("m", 0) + 0.2 * gradient
        square = state["v"] = 0.95 * state.get("v", 0) + 0.05 * gradient**2
        if amsgrad:
            square = state["max"] = np.maximum(state.get("max", 0), square)
        return value - 0.05 * (mean / (1 - 0.8**step)) / (np.sqrt(square / (1 - 0.95**step)) + 1e-6)

    found, optimizer = run(
        lambda given: getattr(optim, name)(
            given, lr=0.05, betas=(0.8, 0.95), eps=1e-6, weight_decay=decay, amsgrad=amsgrad, maximize=maximize
        )
    )
    agree(found, by_formula(update))
    state = optimizer.state_dict()["state"]
    assert [state[place]["step"].item() for place in range(3)] == [6, 4, 6]


def test_default_options_are_those_of_pytorch() -> None:
    (group,) = optim.Adam(parameters(np.ones(1))).param_groups
    assert (group["lr"], group["betas"], group["eps"], group["weight_decay"]) == (1e-3, (0.9, 0.999), 1e-8, 0)
    (group,) = optim.AdamW(parameters(np.ones(1))).param_groups
    assert group["weight_decay"] == 1e-2
    (group,) = optim.SGD(parameters(np.ones(1))).param_groups
    assert (group["lr"], group["momentum"]) == (1e-3, 0)


def test_a_model_is_trained() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 3)).astype(np.float32)
    y = x @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 3
    for make in (
        lambda given: optim.SGD(given, lr=0.1, momentum=0.9),
        lambda given: optim.Adam(given, lr=0.1),
        lambda given: optim.AdamW(given, lr=0.1, weight_decay=0.0),
    ):
        model = nn.Linear(3, 1)
        optimizer = make(model.parameters())
        for _ in range(300):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(tensor(x)), tensor(y)).backward()
            optimizer.step()
        np.testing.assert_allclose(array(model.weight), [[1, -2, 0.5]], atol=1e-2)
        np.testing.assert_allclose(array(model.bias), [3], atol=1e-2)


def test_groups() -> None:
    a, b, c = parameters(np.ones(1), np.ones(1), np.ones(1))
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": [c], "lr": 0.0})
    for parameter in (a, b, c):
        parameter.grad = tf.ones(1, dtype=tf.float64)
    optimizer.step()
    assert [a.item(), b.item(), c.item()] == [0.9, 0.5, 1.0]
    optimizer.param_groups[2]["lr"] = 1.0
    optimizer.step()
    np.testing.assert_allclose([a.item(), b.item(), c.item()], [0.8, 0.0, 0.0], atol=1e-12)
    optimizer.zero_grad(set_to_none=False)
    assert [p.grad.item() for p in (a, b, c)] == [0, 0, 0]
    optimizer.zero_grad()
    assert a.grad is None


def test_learning_rate_as_a_tensor() -> None:
    (a,) = parameters(np.ones(1))
    optimizer = optim.SGD([a], lr=tf.tensor(0.5), foreach=False)
    a.grad = tf.ones(1, dtype=tf.float64)
    optimizer.step()
    assert a.item() == 0.5


def test_named_parameters() -> None:
    model = nn.Linear(1, 1)
    optimizer = optim.SGD(model.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.param_groups[0]["params"][0] is model.weight
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


def test_closure() -> None:
    (a,) = parameters(np.full(1, 3.0))
    optimizer = optim.SGD([a], lr=0.25)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (a * a).sum()
        loss.backward()
        return loss

    with tf.no_grad():
        assert optimizer.step(closure).item() == 9
    assert a.item() == 1.5


def test_step_hooks() -> None:
    (a,) = parameters(np.ones(1))
    calls: list[str] = []

    class Twice(optim.SGD):
        def step(self, closure: Any = None) -> Any:
            super().step(closure)
            return super().step(closure)

    optimizer = Twice([a], lr=0.25)
    first = optimizer.register_step_pre_hook(lambda o, args, kwargs: calls.append("before"))
    optimizer.register_step_post_hook(lambda o, args, kwargs: calls.append("after"))
    a.grad = tf.ones(1, dtype=tf.float64)
    optimizer.step()
    assert a.item() == 0.5
    assert calls[0] == "before"
    assert calls[-1] == "after"
    first.remove()
    calls.clear()
    optimizer.step()
    assert "before" not in calls


def test_state_goes_to_another_optimizer() -> None:
    for make in (
        lambda given: optim.Adam(given, lr=0.1, amsgrad=True),
        lambda given: optim.SGD(given, lr=0.1, momentum=0.9),
    ):
        expected, _ = run(make, steps=6)
        half, optimizer = run(make, steps=3)
        state = copy.deepcopy(optimizer.state_dict())
        assert [sorted(group["params"]) for group in state["param_groups"]] == [[0, 1, 2]]
        given = parameters(*[each.copy() for each in half])
        fresh = make(given)
        fresh.param_groups[0]["lr"] = 99.0
        fresh.load_state_dict(state)
        assert fresh.param_groups[0]["lr"] == 0.1
        for step in range(3, 6):
            for parameter, gradient in zip(given, gradients_at(step), strict=True):
                parameter.grad = tensor(np.asarray(gradient))
            fresh.step()
        for parameter, value in zip(given, expected, strict=True):
            np.testing.assert_array_equal(array(parameter), value)
        # The state was copied: the steps above are not to show in it.
        again = make(parameters(*[each.copy() for each in half]))
        again.load_state_dict(state)
        for key, value in again.state_dict()["state"][0].items():
            np.testing.assert_array_equal(array(value), array(state["state"][0][key]))


def test_loaded_state_has_the_dtype_of_its_parameter() -> None:
    _, optimizer = run(optim.Adam)
    given = [nn.Parameter(tensor(np.asarray(each, np.float32))) for each in start()]
    other = optim.Adam(given)
    other.load_state_dict(optimizer.state_dict())
    assert other.state[given[0]]["exp_avg"].dtype == tf.float32
    assert other.state[given[0]]["step"].item() == 6
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optim.Adam([{"params": [given[0]]}, {"params": [given[1]]}]).load_state_dict(optimizer.state_dict())
    with pytest.raises(ValueError, match="doesn't match the size"):
        optim.Adam(given[:2]).load_state_dict(optimizer.state_dict())


def test_copies_keep_parameters_and_state_together() -> None:
    _, optimizer = run(optim.Adam)
    copied = copy.deepcopy(optimizer)
    (group,) = copied.param_groups
    assert all(parameter in copied.state for parameter in group["params"])
    assert group["params"][0] is not optimizer.param_groups[0]["params"][0]
    group["params"][0].grad = tf.ones(3, 4, dtype=tf.float64)
    copied.step()


def test_repr() -> None:
    text = repr(optim.SGD(parameters(np.ones(1)), lr=0.1, momentum=0.9))
    assert text == (
        "SGD (\nParameter Group 0\n    dampening: 0\n    differentiable: False\n    foreach: None\n    fused: None\n"
        "    lr: 0.1\n    maximize: False\n    momentum: 0.9\n    nesterov: False\n    weight_decay: 0\n)"
    )


def test_wrong_arguments() -> None:
    given = parameters(np.ones(1), np.ones(1))
    for make, error, text in (
        (lambda: optim.SGD(given, lr=-1.0), ValueError, "lr|learning rate"),
        (lambda: optim.SGD(given, momentum=-1.0), ValueError, "momentum"),
        (lambda: optim.SGD(given, weight_decay=-1.0), ValueError, "weight_decay"),
        (lambda: optim.SGD(given, lr=0.1, nesterov=True), ValueError, "Nesterov"),
        (lambda: optim.Adam(given, betas=(0.9, 1.0)), ValueError, "beta"),
        (lambda: optim.Adam(given, eps=-1e-8), ValueError, "eps"),
        (lambda: optim.Adam(given, foreach=True, fused=True), RuntimeError, "foreach"),
        (lambda: optim.Adam([]), ValueError, "empty parameter list"),
        (lambda: optim.Adam(given[0]), TypeError, "iterable"),
        (lambda: optim.Adam([3]), TypeError, "can only optimize Tensors"),
        (lambda: optim.Adam([given[0] * 2]), ValueError, "non-leaf"),
        (lambda: optim.Adam([{"params": set(given)}]), TypeError, "order"),
        (lambda: optim.Adam([{"params": given}, {"params": given[:1]}]), ValueError, "more than one parameter group"),
        (lambda: optim.SGD([("a", given[0]), given[1]]), ValueError, "names"),
    ):
        with pytest.raises(error, match=text):
            make()
    with pytest.warns(UserWarning, match="duplicate"):
        optim.SGD([given[0], given[0]])


@pytest.mark.ours
def test_what_is_not_supported_says_so() -> None:
    given = parameters(np.ones(1))
    with pytest.raises(NotImplementedError, match="differentiable"):
        optim.SGD(given, differentiable=True)
    with pytest.raises(NotImplementedError, match="capturable"):
        optim.Adam(given, capturable=True)


# -- schedules ------------------------------------------------------------------------------------------------------


def rates(make: Any, steps: int, lr: float = 0.5) -> list[float]:
    """The learning rates of the first epochs."""
    (parameter,) = parameters(np.ones(1))
    optimizer = optim.SGD([parameter], lr=lr)
    parameter.grad = tf.zeros(1, dtype=tf.float64)
    schedule = make(optimizer)
    found = []
    for _ in range(steps):
        assert schedule.get_last_lr() == [optimizer.param_groups[0]["lr"]]
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda o: schedules.StepLR(o, 3, 0.1), lambda e: 0.5 * 0.1 ** (e // 3)),
        (lambda o: schedules.MultiStepLR(o, [2, 5, 5], 0.5), lambda e: 0.5 * 0.5 ** ((e >= 2) + 2 * (e >= 5))),
        (lambda o: schedules.ExponentialLR(o, 0.9), lambda e: 0.5 * 0.9**e),
        (lambda o: schedules.LambdaLR(o, lambda e: 1 / (e + 1)), lambda e: 0.5 / (e + 1)),
        (
            lambda o: schedules.CosineAnnealingLR(o, 7, 0.01),
            lambda e: 0.01 + 0.49 * (1 + math.cos(math.pi * e / 7)) / 2,
        ),
    ],
)
def test_schedules(make: Any, expected: Any) -> None:
    np.testing.assert_allclose(rates(make, 25), [expected(epoch) for epoch in range(25)], rtol=1e-10)


def test_schedules_go_together() -> None:
    (parameter,) = parameters(np.ones(1))
    optimizer = optim.SGD([parameter], lr=1.0)
    parameter.grad = tf.zeros(1, dtype=tf.float64)
    both = [schedules.ExponentialLR(optimizer, 0.5), schedules.StepLR(optimizer, 2, 0.1)]
    for epoch in range(6):
        assert math.isclose(optimizer.param_groups[0]["lr"], 0.5**epoch * 0.1 ** (epoch // 2))
        optimizer.step()
        for schedule in both:
            schedule.step()


def test_schedule_of_groups_and_of_tensors() -> None:
    a, b = parameters(np.ones(1), np.ones(1))
    optimizer = optim.SGD([{"params": [a], "lr": 1.0}, {"params": [b], "lr": tf.tensor(2.0)}], foreach=False)
    a.grad = b.grad = tf.zeros(1, dtype=tf.float64)
    rate = optimizer.param_groups[1]["lr"]
    schedule = schedules.LambdaLR(optimizer, [lambda e: 0.5**e, lambda e: 0.25**e])
    optimizer.step()
    schedule.step()
    assert optimizer.param_groups[0]["lr"] == 0.5
    assert optimizer.param_groups[1]["lr"] is rate
    assert rate.item() == 0.5
    assert [group["initial_lr"] for group in optimizer.param_groups] == [1.0, 2.0]
    with pytest.raises(ValueError, match="2"):
        schedules.LambdaLR(optimizer, [abs])


def test_schedule_state() -> None:
    class Warm:
        def __init__(self, steps: int) -> None:
            self.steps = steps

        def __call__(self, epoch: int) -> float:
            return min(1.0, (epoch + 1) / self.steps)

    (parameter,) = parameters(np.ones(1))
    for make in (lambda o, n: schedules.LambdaLR(o, Warm(n)), schedules.CosineAnnealingLR):
        optimizer = optim.SGD([parameter], lr=1.0)
        parameter.grad = tf.zeros(1, dtype=tf.float64)
        schedule = make(optimizer, 10)
        for _ in range(4):
            optimizer.step()
            schedule.step()
        state, groups = schedule.state_dict(), optimizer.state_dict()
        assert "optimizer" not in state
        optimizer.step()
        schedule.step()
        expected = optimizer.param_groups[0]["lr"]

        resumed = optim.SGD([parameter], lr=1.0)
        other = make(resumed, 3)
        resumed.load_state_dict(groups)
        other.load_state_dict(state)
        resumed.step()
        other.step()
        assert math.isclose(resumed.param_groups[0]["lr"], expected)
        assert other.last_epoch == 5


def test_schedule_goes_on_from_an_epoch() -> None:
    (parameter,) = parameters(np.ones(1))
    with pytest.raises(KeyError, match="initial_lr"):
        schedules.StepLR(optim.SGD([parameter], lr=0.1), 2, last_epoch=3)
    optimizer = optim.SGD([{"params": [parameter], "initial_lr": 1.0}], lr=0.25)
    assert schedules.LambdaLR(optimizer, lambda e: 0.5**e, last_epoch=2).get_last_lr() == [0.125]


def test_order_of_calls_and_deprecated_epoch() -> None:
    (parameter,) = parameters(np.ones(1))
    optimizer = optim.SGD([parameter], lr=1.0)
    schedule = schedules.StepLR(optimizer, 2, 0.5)
    with pytest.warns(UserWarning, match=r"before `?optimizer.step"):
        schedule.step()
    with pytest.warns(UserWarning, match="epoch"):
        schedule.step(4)
    assert schedule.get_last_lr() == [0.25]
    with pytest.raises(TypeError, match="not an Optimizer"):
        schedules.StepLR(parameter, 2)


# -- gradients of a whole model -------------------------------------------------------------------------------------


def with_gradients(*gradients: list[float]) -> list[Any]:
    made = []
    for gradient in gradients:
        parameter = nn.Parameter(tf.zeros(len(gradient)))
        parameter.grad = tf.tensor(gradient)
        made.append(parameter)
    return made


def test_clip_grad_norm() -> None:
    given = [*with_gradients([3.0, 0.0], [0.0, 4.0]), nn.Parameter(tf.zeros(1))]
    total = nn.utils.clip_grad_norm_(given, 1.0)
    assert total.item() == 5
    np.testing.assert_allclose(array(given[0].grad), [0.6, 0], rtol=1e-5)
    np.testing.assert_allclose(array(given[1].grad), [0, 0.8], rtol=1e-5)
    assert math.isclose(nn.utils.clip_grad_norm_(iter(given), 10.0).item(), 1, rel_tol=1e-5)
    np.testing.assert_allclose(array(given[1].grad), [0, 0.8], rtol=1e-5)
    (one,) = with_gradients([1.0, -7.0])
    assert nn.utils.clip_grad_norm_(one, 1.0, norm_type=math.inf).item() == 7
    np.testing.assert_allclose(array(one.grad), [1 / 7, -1], rtol=1e-5)
    (one,) = with_gradients([1.0, -7.0])
    assert nn.utils.clip_grad_norm_(one, 1.0, norm_type=1).item() == 8
    (bad,) = with_gradients([math.inf])
    with pytest.raises(RuntimeError, match="error_if_nonfinite"):
        nn.utils.clip_grad_norm_(bad, 1.0, error_if_nonfinite=True)
    assert bad.grad.item() == math.inf
    assert nn.utils.clip_grad_norm_([], 1.0).item() == 0


def test_clip_grad_value() -> None:
    given = with_gradients([3.0, -0.5], [-4.0])
    nn.utils.clip_grad_value_(given, 1.0)
    assert given[0].grad.tolist() == [1, -0.5]
    assert given[1].grad.tolist() == [-1]


def test_parameters_as_a_vector() -> None:
    model = nn.Linear(2, 2)
    vector = nn.utils.parameters_to_vector(model.parameters())
    np.testing.assert_array_equal(array(vector), np.concatenate([array(model.weight).ravel(), array(model.bias)]))
    nn.utils.vector_to_parameters(tf.arange(6.0), model.parameters())
    assert model.weight.tolist() == [[0, 1], [2, 3]]
    assert model.bias.tolist() == [4, 5]
    assert model.weight.requires_grad
    with pytest.raises(TypeError):
        nn.utils.vector_to_parameters([1.0], model.parameters())
