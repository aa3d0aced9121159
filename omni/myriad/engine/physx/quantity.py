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


class Quantity:
    """A contiguous tensor of which every shard reads and writes its own rows.

    Args:
        engine: Engine whose shards hold the prims.
        prim_paths: Paths of the rows, a list per shard.
        tensor_type: The `ovphysx.TensorType`.
        kind: How the quantity changes.

    Attributes:
        data: The tensor, (rows, ...); on the engine's device, or on the CPU for properties that PhysX keeps there.
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
        self._mask = torch.zeros(rows, dtype=torch.uint8, device=device)
        self._data_slices = _slices(self.data, self._bindings)
        self._mask_slices = _slices(self._mask, self._bindings)

    def read(self) -> torch.Tensor:
        """Refresh `data` from PhysX, unless nothing has changed since the last time, and return it."""
        if self._version != self._clock():
            for binding, rows in zip(self._bindings, self._data_slices, strict=True):
                binding.read(rows)
            self._version = self._clock()
        return self.data

    def write(self, indices: torch.Tensor | None = None) -> None:
        """Send `data` to PhysX.

        Args:
            indices: Rows to send, int64 on the engine's device; None sends all. A mask carries them to the shards,
                since splitting an index list by shard would have to wait for the GPU.
        """
        if indices is not None:
            self._mask.zero_()
            self._mask[indices.to(self._mask.device)] = 1
        if self.data.is_cuda:
            # Descriptors carry no stream, so what torch has queued must be finished first.
            torch.cuda.current_stream(self.data.device).synchronize()
        if indices is None:
            for binding, rows in zip(self._bindings, self._data_slices, strict=True):
                binding.write(rows)
        else:
            for binding, rows, mask in zip(self._bindings, self._data_slices, self._mask_slices, strict=True):
                binding.write(rows, mask=mask)
        # Also other views of the same prims have to see what was written.
        self._engine.state_version += 1
        if self._kind is Kind.PROPERTY:
            self._engine.property_version += 1
        as_written = self._kind is Kind.CONTROL and indices is None
        self._version = self._clock() if as_written else -1

    def _clock(self) -> int:
        return self._engine.property_version if self._kind is Kind.PROPERTY else self._engine.state_version

    @property
    def bindings(self) -> list[Any]:
        """The native bindings, one per shard, for names and counts."""
        return self._bindings


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
