# SPDX-License-Identifier: Apache-2.0
"""One physical quantity of a view as one tensor over all environments, whatever the number of shards."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import torch

from omni.myriad.engine.physx.ledger import Kind
from omni.myriad.engine.view import selection

if TYPE_CHECKING:
    from .engine import PhysXEngine

_DTYPES = {"float32": torch.float32, "int32": torch.int32, "uint8": torch.uint8, "bool": torch.uint8}


class RowSelection:
    """Which rows a partial write sends: for each shard their numbers, and how many they are.

    Made on the GPU from a mask, and without waiting for it: the counts arrive in the host's memory by the time that the
    engine has synchronised, just before anything is sent.

    Args:
        quantity: Any quantity with these rows on this device.
    """

    def __init__(self, quantity: Quantity) -> None:
        rows, device = quantity.data.shape[0], quantity.data.device
        lengths = [binding.shape[0] for binding in quantity.bindings]
        self._mask = torch.zeros(rows, dtype=torch.bool, device=device)
        self._bounds = torch.tensor([0, *accumulate(lengths)], device=device)
        self._shard_starts = self._bounds[:-1].repeat_interleave(self._bounds.diff())
        self._row_in_shard = torch.arange(rows, dtype=torch.int32, device=device) - self._shard_starts.int()
        self._selected_before = torch.zeros(rows + 1, dtype=torch.int64, device=device)
        self._numbers = torch.zeros(rows + 1, dtype=torch.int32, device=device)
        self._descriptors = describe_parts(self._numbers[:rows], lengths)
        self._counts = torch.zeros(len(lengths), dtype=torch.int64, pin_memory=device.type == "cuda")
        self._key: tuple[torch.Tensor, int, torch.Tensor | None] | None = None

    def select(self, indices: torch.Tensor, envs: torch.Tensor | None = None) -> RowSelection:
        """Select exactly these rows, int64; with a mask of environments, (num_envs,), those of them alone."""
        self._mask.zero_()
        self._add(indices, envs)
        self._key = (indices, _version(indices), envs)
        return self

    def selects(self, indices: torch.Tensor, envs: torch.Tensor | None = None) -> bool:
        """Tell whether these rows are the selected ones, by the tensors they came in."""
        key = self._key
        return key is not None and key[0] is indices and key[1] == _version(indices) and key[2] is envs

    def fits(self, quantity: Quantity) -> bool:
        """Tell whether a quantity has as many rows, on the same device."""
        return self._mask.shape[0] == quantity.data.shape[0] and self._mask.device == quantity.data.device

    def merged(self, quantity: Quantity, indices: torch.Tensor, envs: torch.Tensor | None = None) -> RowSelection:
        """Return a selection of these rows besides the selected ones; this one may be shared and stays as it is."""
        both = RowSelection(quantity)
        both._mask.copy_(self._mask)
        both._add(indices, envs)
        return both

    def rows_of(self, shard: int) -> Any | None:
        """Return the numbers of a shard's selected rows as a DLPack descriptor, None where there are none."""
        count = int(self._counts[shard])
        self._descriptors[shard].shape[0] = count
        return self._descriptors[shard] if count else None

    def _add(self, indices: torch.Tensor, envs: torch.Tensor | None) -> None:
        mask, before = self._mask, self._selected_before
        indices = indices.to(mask.device)
        if envs is None:
            mask.index_fill_(0, indices, True)
        else:
            mask[indices] = envs[indices // (len(mask) // len(envs))].to(mask.device)
        torch.cumsum(mask, 0, out=before[1:])
        self._counts.copy_(before[self._bounds].diff(), non_blocking=True)
        # Each selected row's number goes to its place among its shard's; all others go to one place behind the last.
        places = self._shard_starts + before[:-1] - before[self._shard_starts]
        self._numbers.scatter_(0, torch.where(mask, places, len(mask)), self._row_in_shard)


class Quantity:
    """A contiguous tensor of which every shard reads and writes its own rows.

    Writes wait until the engine steps or somebody reads, so that each shard's thread can send its own part, after one
    synchronisation for all of them. What was read in one step is read again right after the next, by the same threads.

    Args:
        engine: Engine whose shards hold the prims.
        prim_paths: Paths of the rows, a list per shard.
        tensor_type: The `ovphysx.TensorType`.
        kind: How the quantity changes.

    Attributes:
        data: The tensor, (rows, ...); on the engine's device, or on the CPU for properties that PhysX keeps there.
        bindings: The native bindings, one per shard.
        parts: Descriptors of the rows of each shard.
        used: Whether it was read since the last step.
        is_pending: Whether it waits to be sent.
        pending_rows: The rows that wait to be sent; None for all.
        idle: Says whether nothing in PhysX looks at the quantity, so that sending it can wait; None if never.
    """

    def __init__(self, engine: PhysXEngine, prim_paths: list[list[str]], tensor_type: int, kind: Kind) -> None:
        self._ledger = engine.ledger
        self.kind = kind
        self._version = -1
        self.bindings: list[Any] = [
            shard.bind(paths, tensor_type) for shard, paths in zip(engine.shards, prim_paths, strict=True)
        ]
        lengths = [binding.shape[0] for binding in self.bindings]
        if lengths != [len(paths) for paths in prim_paths]:
            raise RuntimeError(f"PhysX found {lengths} of {list(map(len, prim_paths))} prims for tensor {tensor_type}")
        first = self.bindings[0]
        device = "cpu" if str(first.native_device).lower().startswith("cpu") else engine.device
        self.data = torch.zeros((sum(lengths), *first.shape[1:]), dtype=_DTYPES[first.dtype_name], device=device)
        self.parts = describe_parts(self.data, lengths)
        self.used = self.is_pending = False
        self.pending_rows: RowSelection | None = None
        self.idle: Callable[[], bool] | None = None
        self._selection: RowSelection | None = None
        self._zero: tuple[int, bool] | None = None
        self._ledger.register(self)

    def select(self, indices: torch.Tensor, envs: torch.Tensor | None) -> RowSelection:
        """Select these rows in a selection of its own, made when first wanted; see `RowSelection.select`."""
        if self._selection is None:
            self._selection = RowSelection(self)
        return self._selection.select(indices, envs)

    def read(self) -> torch.Tensor:
        """Refresh `data` from PhysX, unless nothing has changed since the last time, and return it."""
        self.used = True
        if self._version != self._clock():
            # Targets may be waiting in another view of the same prims, too.
            self._ledger.send(everything=self.kind is Kind.CONTROL)
            self.read_now()
        return self.data

    def read_now(self) -> torch.Tensor:
        """Refresh `data` from what PhysX has, whatever waits to be sent, and return it."""
        for shard in range(len(self.bindings)):
            self.read_shard(shard)
        self._version = self._clock()
        return self.data

    def is_zero(self) -> bool:
        """Tell whether PhysX has nothing but zeros, asking only where a property has been written since."""
        if self._zero is None or self._zero[0] != self._clock():
            self._zero = (self._clock(), not bool(self.read_now().any()))
        return self._zero[1]

    def write(self, indices: torch.Tensor | None = None) -> None:
        """Send `data` to PhysX before the next step or read.

        Args:
            indices: Rows to send, int64 on the engine's device; None sends all.
        """
        rows = None
        if indices is not None and not (self.is_pending and self.pending_rows is None):
            envs = self._ledger.only_envs
            rows = self.pending_rows
            if rows is None:
                rows = self._ledger.share_selection(self, indices)
            elif not rows.selects(indices, envs):
                rows = rows.merged(self, indices, envs)
        self.send_later(rows)

    def put(self, values: torch.Tensor, rows: torch.Tensor | None = None, columns: torch.Tensor | None = None) -> None:
        """Fill rows, and columns of the second dimension, of `data` and send them; columns left out keep their value.

        Args:
            values: A value for each row and column, of `data`'s type.
            rows: Row numbers, int64 on the engine's device; None means all.
            columns: Column numbers; None means all.
        """
        data = self.data if columns is None else self.read()
        values, where = values.to(data.device), selection(rows, columns, data.device)
        envs = self._ledger.only_envs
        if self.idle and rows is not None and envs is not None:
            # It may be sent as a whole one day, so rows of other environments have to stay as they are.
            mask = envs[rows // (len(data) // len(envs))].view(-1, *[1] * (values.ndim - 1))
            values = torch.where(mask, values, data[where])
        data[where] = values
        self.write(rows)

    def send_later(self, rows: RowSelection | None) -> None:
        """Send these rows of `data` to PhysX before the next step or read; None sends all."""
        self.pending_rows = rows
        self._ledger.wrote(self)
        as_written = self.kind is Kind.CONTROL and rows is None
        self._version = self._clock() if as_written else -1

    def read_shard(self, shard: int) -> None:
        """Read one shard's rows; called by that shard's thread."""
        self.bindings[shard].read(self.parts[shard])

    def write_shard(self, shard: int) -> None:
        """Send one shard's rows; called by that shard's thread."""
        if self.pending_rows is None:
            self.bindings[shard].write(self.parts[shard])
        elif (rows := self.pending_rows.rows_of(shard)) is not None:
            self.bindings[shard].write(self.parts[shard], indices=rows)

    def send_all(self) -> None:
        """Send every row with the writes at hand."""
        self.is_pending = True
        self.pending_rows = None

    def written(self) -> None:
        """Note that every shard has sent its rows, or need not yet."""
        self.is_pending = False
        self.pending_rows = None

    def fresh(self) -> None:
        """Note that every shard has read its rows."""
        self._version = self._clock()

    def _clock(self) -> int:
        return self._ledger.property_version if self.kind is Kind.PROPERTY else self._ledger.state_version


def _version(tensor: torch.Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


def describe_parts(tensor: torch.Tensor, lengths: list[int]) -> list[Any]:
    """Return descriptors of consecutive runs of a tensor's rows, such as those of each shard."""
    return [describe(rows) for rows in tensor.split(lengths)]


def describe(tensor: torch.Tensor) -> Any:
    """Return a DLPack descriptor of a contiguous tensor's memory.

    Built once: handing over the tensor itself would make PhysX import Warp and wait for an event on every call.
    """
    from ovphysx.dlpack import DLManagedTensor, PyCapsule_GetPointer  # pyright: ignore[reportAttributeAccessIssue]

    capsule = torch.to_dlpack(tensor)
    descriptor: Any = DLManagedTensor.from_address(PyCapsule_GetPointer(capsule, b"dltensor")).dl_tensor
    descriptor._keepalive = capsule  # which owns the descriptor, and holds the tensor
    return descriptor
