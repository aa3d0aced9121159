# SPDX-License-Identifier: Apache-2.0
"""What an engine's quantities have written and read: what waits to be sent, and what has to be read again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from .quantity import Quantity, RowSelection


_CONTROLS = ("DOF_POSITION_TARGET", "DOF_VELOCITY_TARGET", "DOF_ACTUATION_FORCE")
_PROPERTIES = (
    *("_MASS", "_INERTIA", "_COM_POSE", "_DISABLE_SIMULATION", "_DISABLE_GRAVITY", "_STIFFNESS", "_DAMPING", "_LIMIT"),
    *("_MAX_VELOCITY", "_MAX_FORCE", "_ARMATURE", "_FRICTION_PROPERTIES", "_DRIVE_TYPE", "_REST_LENGTH", "_OFFSET"),
    "_FRICTION_AND_RESTITUTION",
)


class Kind(Enum):
    """When a quantity has to be read again."""

    STATE = auto()
    """After a step and after any write: poses, velocities, forces that were measured, matrices."""
    CONTROL = auto()
    """As a state, but PhysX keeps it as it was written: targets and efforts."""
    PROPERTY = auto()
    """After a write of a property alone: masses, gains, limits."""

    @classmethod
    def of(cls, tensor_type: str) -> Kind:
        """Return the kind of a quantity by the name of its `ovphysx.TensorType`."""
        if tensor_type.endswith(_CONTROLS):
            return cls.CONTROL
        return cls.PROPERTY if tensor_type.endswith(_PROPERTIES) else cls.STATE


class Ledger:
    """The book that an engine keeps of its quantities, and so its `Capture`.

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
        self._gathers = False
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
        if quantity.kind is Kind.STATE:
            self._states.append(quantity)

    def wrote(self, quantity: Quantity) -> None:
        """Take note that a quantity's tensor was written, for PhysX to get before the next step or read."""
        if not quantity.is_pending:
            quantity.is_pending = True
            self.pending.append(quantity)
        # Also other views of the same prims have to see what was written.
        self.state_version += 1
        if quantity.kind is Kind.PROPERTY:
            if not self._gathers:
                self.send()
            self.property_version += 1

    @contextmanager
    def together(self) -> Iterator[None]:
        """Send the properties that are written while the context lasts at once at its end, not one by one."""
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False
            self.flush()
            self.property_version += 1

    def share_selection(self, quantity: Quantity, indices: torch.Tensor) -> RowSelection:
        """Return a selection of these rows: one that there is already, as for a reset's other writes, or its own."""
        shared = self._shared_selection
        if shared is None or not shared.fits(quantity) or not shared.selects(indices, self.only_envs):
            shared = self._shared_selection = quantity.select(indices, self.only_envs)
        return shared

    # -- for CUDA graphs, or on the CPU for whoever launches eagerly ---------------------------------------------------

    @contextmanager
    def only(self, envs: torch.Tensor) -> Iterator[None]:
        """Confine partial writes to some environments, (num_envs,) bool, while the context lasts."""
        self.only_envs = envs
        try:
            yield
        finally:
            self.only_envs = None

    def flush(self) -> None:
        """Send what others wrote, before a graph fills the same tensors; where nothing waits, nothing is done."""
        if self.pending:
            self.send()

    def keep_reading(self) -> None:
        """Keep reading after every step what was read since the last one, whether or not somebody asks for it."""
        self._kept = {quantity for quantity in self._states if quantity.used}

    def pending_writes(self) -> list[tuple[Quantity, RowSelection | None]]:
        """Return what waits to be sent, for `write_again`."""
        return [(quantity, quantity.pending_rows) for quantity in self.pending]

    def write_again(self, writes: list[tuple[Quantity, RowSelection | None]]) -> None:
        """Mark the same tensors and rows as written once more: a graph has filled them without asking."""
        for quantity, rows in writes:
            quantity.send_later(rows)

    # -- around a step ------------------------------------------------------------------------------------------------

    def send(self, everything: bool = False) -> None:
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
