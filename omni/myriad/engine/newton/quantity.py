# SPDX-License-Identifier: Apache-2.0
"""One physical quantity of a view as one tensor over all environments: Newton's own memory where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from omni.myriad.engine.view import selection

if TYPE_CHECKING:
    from .engine import NewtonEngine


def nothing() -> None:
    """Do nothing before reading, or after writing."""


class Quantity:
    """A tensor whose rows are the prims of a view.

    Where the entries lie evenly spaced in Newton's array the tensor is that memory itself: reading costs nothing, and
    writing is one kernel. Elsewhere entries are gathered and scattered.

    Args:
        engine: The engine.
        source: Newton's array, flat.
        entries: Numbers in it of the entries of one row per prim of environment 0, (prims, ...) int64.
        stride: Entries of one world.
        before_read: Called before each reading.
        after_write: Called after each writing.
        layout: Names and counts of the prims, for articulations.

    Attributes:
        data: The tensor, (num_envs * prims, ...): as it is, or, if gathered, as it was last read.
        bindings: The layout, under PhysX's name.
    """

    def __init__(
        self,
        engine: NewtonEngine,
        source: Tensor,
        entries: Tensor,
        stride: int,
        before_read: Callable[[], None] = nothing,
        after_write: Callable[[], None] = nothing,
        layout: Any = None,
    ) -> None:
        self._engine, self._source = engine, source
        self._before_read, self._after_write = before_read, after_write
        self.bindings = [layout]
        worlds = torch.arange(engine.num_envs).view(-1, *[1] * entries.ndim) * stride
        numbers = (worlds + entries).flatten(0, 1)
        steps = [_step(numbers, axis) for axis in range(numbers.ndim)]
        even = numbers.reshape(-1)[0] if numbers.numel() else torch.tensor(0)
        for axis, step in enumerate(steps):
            even = even + (torch.arange(numbers.shape[axis]) * step).view(-1, *[1] * (numbers.ndim - 1 - axis))
        self._numbers: Tensor | None = None
        if numbers.numel() and 0 not in steps and torch.equal(even.expand(numbers.shape), numbers):
            first = int(numbers.reshape(-1)[0]) + source.storage_offset()
            self.data = source.as_strided(numbers.shape, steps, first)
        else:
            self._numbers = numbers.to(source.device)
            self.data = source[self._numbers]

    def read(self) -> Tensor:
        """Return `data` as it is now."""
        self._before_read()
        if self._numbers is not None:
            torch.take(self._source, self._numbers, out=self.data)
        return self.data

    def put(self, values: Tensor, rows: Tensor | None = None, columns: Tensor | None = None) -> None:
        """Write rows, and columns of the second dimension; of rows only those in `engine.capture.only`'s environments.

        Args:
            values: A value for each row and column.
            rows: Row numbers, int64; None means all.
            columns: Column numbers; None means all.
        """
        data = self.data if self._numbers is None else self.read()
        envs = self._engine.only_envs
        if rows is None or envs is None:
            data[selection(rows, columns, data.device)] = values
        else:
            per_env = len(data) // len(envs)
            mask = envs if per_env == 1 else envs.repeat_interleave(per_env)
            if self._engine.are_all(rows, len(data)):
                rows = None
            else:
                mask = mask[rows]
            mask = mask.view(-1, *[1] * (data.ndim - 1))
            where = selection(rows, columns, data.device)
            if rows is None and columns is None:
                torch.where(mask, values, data, out=data)
            else:
                data[where] = torch.where(mask, values, data[where])
        if self._numbers is not None:
            self._source[self._numbers] = data
        self._after_write()


class Computed(Quantity):
    """A quantity that Newton does not keep: computed where it is read, and written through a function if at all.

    Args:
        engine: The engine.
        data: The tensor to fill.
        compute: Fills it.
        write: Makes Newton have what stands in it; None where nothing can be written.
    """

    def __init__(
        self,
        engine: NewtonEngine,
        data: Tensor,
        compute: Callable[[], Any],
        write: Callable[[], None] | None = None,
        layout: Any = None,
    ) -> None:
        self._engine, self.data, self._before_read, self.bindings = engine, data, compute, [layout]
        self._numbers, self._after_write = None, write or _refuse
        self._before_read()

    def put(self, values: Tensor, rows: Tensor | None = None, columns: Tensor | None = None) -> None:
        """Write as `Quantity.put` does, to what is there now."""
        self.read()
        super().put(values.to(self.data.device), rows, columns)


def _refuse() -> None:
    raise NotImplementedError("engine=newton reads this and cannot write it: use another engine.")


def _step(numbers: Tensor, axis: int) -> int:
    if numbers.shape[axis] < 2:
        return 1
    first, second = (numbers.select(axis, index).reshape(-1)[0] for index in range(2))
    return int(second - first)
