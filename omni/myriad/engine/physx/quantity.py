# SPDX-License-Identifier: Apache-2.0
"""One physical quantity of a view as one tensor over all environments, whatever the number of shards."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from enum import Enum, auto
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from .engine import PhysXEngine

_DTYPES = {"float32": torch.float32, "int32": torch.int32, "uint8": torch.uint8, "bool": torch.uint8}


_CONTROLS = ("DOF_POSITION_TARGET", "DOF_VELOCITY_TARGET", "DOF_ACTUATION_FORCE")
_PROPERTIES = (
    *("_MASS", "_INERTIA", "_COM_POSE", "_DISABLE_SIMULATION", "_DISABLE_GRAVITY", "_STIFFNESS", "_DAMPING", "_LIMIT"),
    *("_MAX_VELOCITY", "_MAX_FORCE", "_ARMATURE", "_FRICTION_PROPERTIES", "_DRIVE_TYPE", "_REST_LENGTH", "_OFFSET"),
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


class RowSelection:
    """Which rows a partial write sends: for each shard their numbers, and how many they are.

    Made on the GPU from a mask, and without waiting for it: the counts arrive in the host's memory by the time that the
    engine has synchronised, just before anything is sent.

    Args:
        quantity: Any quantity with these rows on this device.
    """

    def __init__(self, quantity: Quantity) -> None:
        rows, device = quantity.data.shape[0], quantity.data.device
        bounds = list(accumulate((binding.shape[0] for binding in quantity.bindings), initial=0))
        self._mask = torch.zeros(rows, dtype=torch.bool, device=device)
        self._bounds = torch.tensor(bounds, device=device)
        lengths = self._bounds.diff()
        self._shard_starts = self._bounds[:-1].repeat_interleave(lengths)
        self._row_in_shard = torch.arange(rows, dtype=torch.int32, device=device) - self._shard_starts.int()
        self._selected_before = torch.zeros(rows + 1, dtype=torch.int64, device=device)
        self._numbers = torch.zeros(rows + 1, dtype=torch.int32, device=device)
        self._descriptors = [describe(self._numbers[first:last]) for first, last in pairwise(bounds)]
        self._counts = torch.zeros(len(bounds) - 1, dtype=torch.int64, pin_memory=device.type == "cuda")
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
        used: Whether it was read since the last step.
        is_pending: Whether it waits to be sent.
        idle: Says whether nothing in PhysX looks at the quantity, so that sending it can wait; None if never.
    """

    def __init__(self, engine: PhysXEngine, prim_paths: list[list[str]], tensor_type: int, kind: Kind) -> None:
        self._ledger = engine.ledger
        self._kind = kind
        self._version = -1
        self._bindings = [
            shard.bind(paths, tensor_type) for shard, paths in zip(engine.shards, prim_paths, strict=True)
        ]
        for binding, paths in zip(self._bindings, prim_paths, strict=True):
            if binding.shape[0] != len(paths):
                raise RuntimeError(f"PhysX found {binding.shape[0]} of {len(paths)} prims for tensor {tensor_type}")
        rows = sum(binding.shape[0] for binding in self._bindings)
        on_cpu = str(self._bindings[0].native_device).lower().startswith("cpu")
        device = torch.device("cpu") if on_cpu else engine.device
        dtype = _DTYPES[self._bindings[0].dtype_name]
        self.data = torch.zeros((rows, *self._bindings[0].shape[1:]), dtype=dtype, device=device)
        self.used = False
        self.idle: Callable[[], bool] | None = None
        self._slices = _slices(self.data, self._bindings)
        self._selection: RowSelection | None = None
        self._pending_rows: RowSelection | None = None
        self.is_pending = False
        self._zero: tuple[int, bool] | None = None
        self._ledger.register(self)

    @property
    def pending_rows(self) -> RowSelection | None:
        """The rows that wait to be sent; None for all."""
        return self._pending_rows

    @property
    def selection(self) -> RowSelection:
        """A selection of its own, for partial writes, made when first wanted."""
        if self._selection is None:
            self._selection = RowSelection(self)
        return self._selection

    @property
    def is_state(self) -> bool:
        """Whether steps change it."""
        return self._kind is Kind.STATE

    @property
    def is_property(self) -> bool:
        """Whether it changes by being written alone, and then at once."""
        return self._kind is Kind.PROPERTY

    def read(self) -> torch.Tensor:
        """Refresh `data` from PhysX, unless nothing has changed since the last time, and return it."""
        self.used = True
        if self._version != self._clock():
            # Targets may be waiting in another view of the same prims, too.
            self._ledger.flush(everything=self._kind is Kind.CONTROL)
            self.read_now()
        return self.data

    def read_now(self) -> torch.Tensor:
        """Refresh `data` from what PhysX has, whatever waits to be sent, and return it."""
        for shard in range(len(self._bindings)):
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
        if indices is not None and not (self.is_pending and self._pending_rows is None):
            envs = self._ledger.only_envs
            rows = self._pending_rows
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
        self._pending_rows = rows
        self._ledger.wrote(self)
        as_written = self._kind is Kind.CONTROL and rows is None
        self._version = self._clock() if as_written else -1

    def read_shard(self, shard: int) -> None:
        """Read one shard's rows; called by that shard's thread."""
        self._bindings[shard].read(self._slices[shard])

    def write_shard(self, shard: int) -> None:
        """Send one shard's rows; called by that shard's thread."""
        if self._pending_rows is None:
            self._bindings[shard].write(self._slices[shard])
        elif (rows := self._pending_rows.rows_of(shard)) is not None:
            self._bindings[shard].write(self._slices[shard], indices=rows)

    def send_all(self) -> None:
        """Send every row with the writes at hand."""
        self.is_pending = True
        self._pending_rows = None

    def written(self) -> None:
        """Note that every shard has sent its rows, or need not yet."""
        self.is_pending = False
        self._pending_rows = None

    def fresh(self) -> None:
        """Note that every shard has read its rows."""
        self._version = self._clock()

    def _clock(self) -> int:
        return self._ledger.property_version if self._kind is Kind.PROPERTY else self._ledger.state_version

    @property
    def bindings(self) -> list[Any]:
        """The native bindings, one per shard, for names and counts."""
        return self._bindings


def _version(tensor: torch.Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version


def _slices(tensor: torch.Tensor, bindings: list[Any]) -> list[Any]:
    slices, start = [], 0
    for binding in bindings:
        stop = start + binding.shape[0]
        slices.append(describe(tensor[start:stop]))
        start = stop
    return slices


def selection(rows: torch.Tensor | None, columns: torch.Tensor | None, device: torch.device) -> tuple[Any, ...]:
    """Return what picks rows and columns of a tensor on `device`; a plain slice, and so a view, if all are wanted."""
    if rows is None:
        return (slice(None),) if columns is None else (slice(None), columns.to(device))
    if columns is None:
        return (rows.to(device),)
    return rows.to(device)[:, None], columns.to(device)


def describe(tensor: torch.Tensor) -> Any:
    """Return a DLPack descriptor of a contiguous tensor's memory.

    Built once: handing over the tensor itself would make PhysX import Warp and wait for an event on every call.
    """
    from ovphysx.dlpack import DLDataTypeCode, DLDeviceType, DLTensor

    codes = {
        torch.float32: (DLDataTypeCode.kDLFloat, 32),
        torch.int32: (DLDataTypeCode.kDLInt, 32),
        torch.uint8: (DLDataTypeCode.kDLUInt, 8),
    }
    descriptor: Any = DLTensor()
    shape = (ctypes.c_int64 * tensor.ndim)(*tensor.shape)
    strides = (ctypes.c_int64 * tensor.ndim)(*tensor.stride())
    descriptor.data = ctypes.c_void_p(tensor.data_ptr())
    descriptor.ndim = tensor.ndim
    descriptor.shape = ctypes.cast(shape, ctypes.POINTER(ctypes.c_int64))
    descriptor.strides = ctypes.cast(strides, ctypes.POINTER(ctypes.c_int64))
    descriptor.device.device_type = DLDeviceType.kDLCUDA if tensor.is_cuda else DLDeviceType.kDLCPU
    descriptor.device.device_id = tensor.device.index or 0 if tensor.is_cuda else 0
    descriptor.dtype.code, descriptor.dtype.bits = codes[tensor.dtype]
    descriptor.dtype.lanes = 1
    descriptor.byte_offset = 0
    descriptor._keepalive = (tensor, shape, strides)
    return descriptor
