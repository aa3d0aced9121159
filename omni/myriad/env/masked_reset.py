# SPDX-License-Identifier: Apache-2.0
"""Reset the environments that ended without asking the GPU which ones they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from omni.myriad.env.task_graph import tensors_of
from omni.myriad.errors import MyriadError

if TYPE_CHECKING:
    from omni.myriad.engine import Engine
    from omni.myriad.task.rl_task import RLTask


class MaskedReset:
    """Calls a task's `reset_idx` for all environments, and keeps what came of it for those that ended alone.

    Which environments ended only the GPU knows; a list of their ids has a length, and to learn it the host would have
    to wait. Drawing new starts for all of them costs less, and is the same work in every step, as a CUDA graph needs.

    Args:
        task: The task, once it is set up.
        engine: Engine that can confine partial writes to a mask of environments.
    """

    def __init__(self, task: RLTask, engine: Engine) -> None:
        assert engine.capture is not None
        self._task = task
        self._capture = engine.capture
        self._env_ids = torch.arange(task.num_envs, device=task.device)
        self._changed: list[str] | None = None

    def __call__(self) -> None:
        """Start new episodes where `reset_buf` says so.

        Raises:
            MyriadError: At the first call, if the task keeps something that cannot be told apart by environment.
        """
        task = self._task
        before = tensors_of(task)
        versions = {name: tensor._version for name, tensor in before.items()}
        kept = [name for name in before if self._has_rows(before[name])] if self._changed is None else self._changed
        copies = {name: before[name].clone() for name in kept}
        ended = task.reset_buf.bool()
        with self._capture.only(ended):
            task.reset_idx(self._env_ids)
        if self._changed is None:
            self._changed = [name for name, tensor in before.items() if tensor._version != versions[name]]
            self._check(before)
        for name in self._changed:
            now = before[name]
            torch.where(ended.view(-1, *[1] * (now.ndim - 1)), now, copies[name], out=now)

    def _has_rows(self, tensor: torch.Tensor) -> bool:
        return tensor.ndim > 0 and tensor.shape[0] == self._task.num_envs

    def _check(self, before: dict[str, torch.Tensor]) -> None:
        after = tensors_of(self._task)
        new = [name for name, tensor in after.items() if before.get(name) is not tensor]
        if new:
            raise MyriadError(
                f"Task {self._task.name} is capturable, so reset_idx must change tensors in place, and it assigns "
                f"{', '.join(new)} anew: write {new[0]}[env_ids] = ..., or set capturable = False."
            )
        shared = [name for name in self._changed or () if not self._has_rows(before[name])]
        if shared:
            raise MyriadError(
                f"Task {self._task.name} is capturable, so reset_idx may change only tensors with a row for each "
                f"environment, and it changes {', '.join(shared)}: set capturable = False."
            )
