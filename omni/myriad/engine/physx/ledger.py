# SPDX-License-Identifier: Apache-2.0
"""What an engine's quantities have written and read: what waits to be sent, and what has to be read again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from .quantity import Quantity, RowSelection


class Ledger:
    """The book that an engine keeps of its quantities.

    Args:
        device: Device of the tensors.
        on_all_shards: Calls a function with every shard's index, each on its own thread.

    Attributes:
        state_version: Grows with every step and write; quantities that have an older one read again.
        property_version: Grows with every write of a property, such as a mass; stepping leaves properties alone.
        pending: Quantities that were written and not sent yet.
        only_envs: Environments, (num_envs,) bool, to which partial writes are confined; None for all.
    """

    def __init__(self, device: torch.device, on_all_shards: Callable[[Callable[[int], Any]], None]) -> None:
        self._device = device
        self._on_all_shards = on_all_shards
        self.state_version = 0
        self.property_version = 0
        self.only_envs: torch.Tensor | None = None
        self.clear()

    def clear(self) -> None:
        """Forget all quantities."""
        self.pending: list[Quantity] = []
        self._postponed: list[Quantity] = []
        self._states: list[Quantity] = []
        self._kept: set[Quantity] = set()
        self._shared_selection: RowSelection | None = None

    def register(self, quantity: Quantity) -> None:
        """Take note of a new quantity."""
        if quantity.is_state:
            self._states.append(quantity)

    def wrote(self, quantity: Quantity) -> None:
        """Take note that a quantity's tensor was written, for PhysX to get before the next step or read."""
        if not quantity.is_pending:
            quantity.is_pending = True
            self.pending.append(quantity)
        # Also other views of the same prims have to see what was written.
        self.state_version += 1
        if quantity.is_property:
            self.flush()
            self.property_version += 1

    def share_selection(self, quantity: Quantity, indices: torch.Tensor) -> RowSelection:
        """Return a selection of these rows: one that there is already, as for a reset's other writes, or its own."""
        shared = self._shared_selection
        if shared is None or not shared.fits(quantity) or not shared.selects(indices, self.only_envs):
            shared = self._shared_selection = quantity.selection.select(indices, self.only_envs)
        return shared

    def keep_reading(self) -> None:
        """Keep reading after every step what was read since the last one."""
        self._kept = {quantity for quantity in self._states if quantity.used}

    # -- around a step ------------------------------------------------------------------------------------------------

    def flush(self, everything: bool = False) -> None:
        """Send pending writes to PhysX now, for somebody who wants to read what follows from them.

        Args:
            everything: Whether to send also what nothing in PhysX looks at.
        """
        writes = self.take_pending(everything)
        if writes:
            self._on_all_shards(lambda index: [quantity.write_shard(index) for quantity in writes])
            for quantity in writes:
                quantity.written()

    def take_pending(self, everything: bool = False) -> list[Quantity]:
        """Return what has to be sent now, and put off what is idle, such as targets that no drive follows."""
        self.synchronize()
        writes, self.pending = self.pending, []
        candidates = [*writes, *(quantity for quantity in self._postponed if quantity not in writes)]
        idle = [] if everything else [quantity for quantity in candidates if quantity.idle and quantity.idle()]
        due = [quantity for quantity in self._postponed if quantity not in idle]
        for quantity in idle:
            quantity.written()
        for quantity in due:
            quantity.send_all()
        self._postponed = idle
        return [quantity for quantity in candidates if quantity not in idle]

    def take_reads(self) -> list[Quantity]:
        """Return what has to be read after the next step: what was read since the last one, or is kept."""
        return [quantity for quantity in self._states if quantity.used or quantity in self._kept]

    def stepped(self, writes: list[Quantity], reads: list[Quantity]) -> None:
        """Take note of a step, before which these writes were sent, and after which these quantities were read."""
        self.state_version += 1
        for quantity in writes:
            quantity.written()
        for quantity in self._states:
            quantity.used = False
        for quantity in reads:
            quantity.fresh()

    def synchronize(self) -> None:
        """Wait until torch is done with the tensors that PhysX is about to read or overwrite.

        Descriptors carry no stream, so PhysX cannot wait for torch's by itself.
        """
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()
