# SPDX-License-Identifier: Apache-2.0
"""One physical quantity of a view as one tensor over all environments, whatever the number of shards."""

from __future__ import annotations

import ctypes
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from .engine import PhysXEngine

_DTYPES = {"float32": torch.float32, "int32": torch.int32, "uint8": torch.uint8, "bool": torch.uint8}


class Kind(Enum):
    """When a quantity has to be read again."""

    STATE = auto()
    """After a step and after any write: poses, velocities, forces that were measured, matrices."""
    CONTROL = auto()
    """As a state, but PhysX keeps it as it was written: targets and efforts."""
    PROPERTY = auto()
    """After a write of a property alone: masses, gains, limits."""


class RowMask:
    """Which rows a partial write sends: a byte a row, cut into shards like a quantity.

    A mask and not indices, because splitting a list of indices by shard would have to wait for the GPU.
    """

    def __init__(self, quantity: Quantity) -> None:
        self.data = torch.zeros(quantity.data.shape[0], dtype=torch.uint8, device=quantity.data.device)
        self.slices = _slices(self.data, quantity.bindings)
        self._selected: tuple[torch.Tensor, int] | None = None

    def select(self, indices: torch.Tensor) -> RowMask:
        """Select exactly these rows, int64."""
        self.data.zero_()
        self.data[indices.to(self.data.device)] = 1
        self._selected = (indices, _version(indices))
        return self

    def selects(self, indices: torch.Tensor) -> bool:
        """Tell whether these rows are the selected ones, by the tensor they came in."""
        return self._selected is not None and self._selected[0] is indices and self._selected[1] == _version(indices)

    def merged(self, quantity: Quantity, indices: torch.Tensor) -> RowMask:
        """Return a mask of these rows besides the selected ones; this one may be shared and stays as it is."""
        both = RowMask(quantity)
        both.data.copy_(self.data)
        both.data[indices.to(both.data.device)] = 1
        return both


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
    """

    def __init__(self, engine: PhysXEngine, prim_paths: list[list[str]], tensor_type: int, kind: Kind) -> None:
        self._engine = engine
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
        self._slices = _slices(self.data, self._bindings)
        self._mask = RowMask(self)
        self._pending_mask: RowMask | None = None
        self._is_pending = False
        engine.register(self)

    @property
    def is_state(self) -> bool:
        """Whether steps change it."""
        return self._kind is Kind.STATE

    def read(self) -> torch.Tensor:
        """Refresh `data` from PhysX, unless nothing has changed since the last time, and return it."""
        self.used = True
        if self._version != self._clock():
            self._engine.flush()
            for shard in range(len(self._bindings)):
                self.read_shard(shard)
            self._version = self._clock()
        return self.data

    def write(self, indices: torch.Tensor | None = None) -> None:
        """Send `data` to PhysX before the next step or read.

        Args:
            indices: Rows to send, int64 on the engine's device; None sends all.
        """
        if indices is None:
            self._pending_mask = None
        elif not self._is_pending:
            self._pending_mask = self._engine.share_mask(self._mask, indices)
        elif self._pending_mask is not None and not self._pending_mask.selects(indices):
            self._pending_mask = self._pending_mask.merged(self, indices)
        if not self._is_pending:
            self._is_pending = True
            self._engine.pending.append(self)
        # Also other views of the same prims have to see what was written.
        self._engine.state_version += 1
        if self._kind is Kind.PROPERTY:
            self._engine.property_version += 1
            self._engine.flush()
        as_written = self._kind is Kind.CONTROL and indices is None
        self._version = self._clock() if as_written else -1

    def read_shard(self, shard: int) -> None:
        """Read one shard's rows; called by that shard's thread."""
        self._bindings[shard].read(self._slices[shard])

    def write_shard(self, shard: int) -> None:
        """Send one shard's rows; called by that shard's thread."""
        mask = None if self._pending_mask is None else self._pending_mask.slices[shard]
        self._bindings[shard].write(self._slices[shard], mask=mask)

    def written(self) -> None:
        """Note that every shard has sent its rows."""
        self._is_pending = False
        self._pending_mask = None

    def fresh(self) -> None:
        """Note that every shard has read its rows."""
        self._version = self._clock()

    def _clock(self) -> int:
        return self._engine.property_version if self._kind is Kind.PROPERTY else self._engine.state_version

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
