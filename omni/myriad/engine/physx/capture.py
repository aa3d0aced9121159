# SPDX-License-Identifier: Apache-2.0
"""What standalone PhysX does for CUDA graphs, which read and fill the tensors of views without calling them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from omni.myriad.engine.physx.ledger import Ledger
from omni.myriad.engine.physx.quantity import Quantity, RowSelection

Writes = list[tuple[Quantity, RowSelection | None]]


class PhysXCapture:
    """The `Capture` of standalone PhysX; it works on the CPU too, where whoever replays launches eagerly.

    Args:
        ledger: The engine's ledger.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @contextmanager
    def only(self, envs: torch.Tensor) -> Iterator[None]:
        """Confine partial writes to some environments while the context lasts.

        Args:
            envs: Mask, (num_envs,) bool on the engine's device: it is never looked at from the host.
        """
        self._ledger.only_envs = envs
        try:
            yield
        finally:
            self._ledger.only_envs = None

    def flush(self) -> None:
        """Send what others wrote, before a graph fills the same tensors; where nothing waits, nothing is done."""
        if self._ledger.pending:
            self._ledger.flush()

    def keep_reading(self) -> None:
        """Keep reading after every step what was read since the last one, whether or not somebody asks for it."""
        self._ledger.keep_reading()

    def pending_writes(self) -> Writes:
        """Return what waits to be sent, for `write_again`."""
        return [(quantity, quantity.pending_rows) for quantity in self._ledger.pending]

    def write_again(self, writes: Writes) -> None:
        """Mark the same tensors and rows as written once more: a graph has filled them without asking."""
        for quantity, rows in writes:
            quantity.send_later(rows)
