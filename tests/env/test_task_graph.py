# SPDX-License-Identifier: Apache-2.0
"""What can be said of task graphs without a GPU; tests/test_cuda.py replays them."""

from types import SimpleNamespace
from typing import Any, cast

import torch

from omni.myriad.env.capture import Uses, tensors_of


def test_a_tasks_tensors_are_found_by_name():
    task = SimpleNamespace(a=torch.zeros(1), b={"x": [torch.ones(2), 3]}, c="text", d=(torch.zeros(3),))
    assert list(tensors_of(cast(Any, task))) == ["self.a", "self.b['x'][0]", "self.d[0]"]


def test_what_torch_is_called_with_is_found():
    tensors = {name: torch.ones(3) for name in ("read", "written", "indexed", "listed", "idle")}
    with Uses(tensors) as uses:
        one = tensors["read"] + 1.0
        tensors["written"].add_(one)
        one[:] = tensors["indexed"][0]
        assert tensors["idle"].shape == (3,) and tensors["idle"].is_floating_point() and len(tensors["idle"]) == 3
        torch.stack([one, tensors["listed"]], out=torch.empty(2, 3))
    assert set(uses.found) == {"read", "written", "indexed", "listed"}
