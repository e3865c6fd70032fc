"""Settings that all Python tests share.

`TF_MODULE=torch` runs the tests against PyTorch, which checks the tests themselves. Those marked `ours` are left out
then: they go beyond PyTorch, or look at the extension.
"""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest
from opinfo.run import IS_TORCH, tf

# The same examples in every run: a failure in CI is a failure at home.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "ours: holds for this project and not for PyTorch")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if IS_TORCH:
        ours = [item for item in items if item.get_closest_marker("ours")]
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if not item.get_closest_marker("ours")]


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Random numbers from a known seed, and recording switched on, whatever the test before did."""
    tf.manual_seed(0)
    yield
    assert tf.is_grad_enabled(), "the test left recording switched off"
