# SPDX-License-Identifier: Apache-2.0
"""Check arguments of views: each error names the argument, what was expected, and what came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from omni.myriad.errors import MyriadError


class ArgumentError(MyriadError, ValueError):
    """A view was given an argument that it cannot use."""


def as_values(name: str, values: Any, shape: tuple[int, ...], device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Return `values` as a tensor of the expected shape.

    Args:
        name: Name of the argument, for the error.
        values: A tensor of exactly this dtype and device, or a list or numpy array, which is converted.
        shape: Expected shape.
        device: Expected device.
        dtype: Expected dtype.

    Raises:
        ArgumentError: If dtype, device or shape differ.
    """
    if not isinstance(values, torch.Tensor):
        try:
            values = torch.as_tensor(values, dtype=dtype, device=device)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            kind, why = type(values).__name__, " ".join(str(error).split())
            raise ArgumentError(f"{name} must be numbers of shape {shape}, got {kind}: {why}.") from None
    if values.layout != torch.strided:
        raise ArgumentError(f"{name} must be a dense tensor, got {str(values.layout).removeprefix('torch.')}.")
    if values.dtype != dtype:
        raise ArgumentError(f"{name} must be {_short(dtype)}, got {_short(values.dtype)}.")
    if values.device != device:
        raise ArgumentError(f"{name} must be on {device}, got {values.device}.")
    if tuple(values.shape) != shape:
        raise ArgumentError(f"{name} must have shape {shape}, got {tuple(values.shape)}.")
    return values.detach()


def refuse_nan(name: str, values: torch.Tensor) -> None:
    """Raise where a value is not a number; on a GPU it waits, but while a graph is captured, where nothing can.

    Raises:
        ArgumentError: With the place of the first.
    """
    if not values.is_floating_point() or (values.is_cuda and torch.cuda.is_current_stream_capturing()):
        return
    wrong = values.isnan()
    if bool(wrong.any()):
        raise ArgumentError(f"{name} must be numbers, got NaN at {tuple(wrong.nonzero()[0].tolist())}.")


def as_flags(values: Any) -> Any:
    """Return a tensor of booleans as the uint8 that PhysX wants, and anything else as it is."""
    return values.to(torch.uint8) if isinstance(values, torch.Tensor) and values.dtype == torch.bool else values


def as_indices(name: str, indices: Any, size: int, device: torch.device) -> torch.Tensor:
    """Return indices as an int64 tensor on `device`.

    Args:
        name: Name of the argument, for the error.
        indices: Integers as a tensor, a list or a numpy array, shape (M,).
        size: Indices must be in [0, size).
        device: Device of the result.

    Raises:
        ArgumentError: If they are not integers, not one-dimensional or out of range.
    """
    if isinstance(indices, torch.Tensor):
        tensor = indices
    else:
        try:
            if not isinstance(indices, Sequence) and not hasattr(indices, "__array__"):
                raise TypeError
            tensor = torch.as_tensor(indices)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            raise ArgumentError(f"{name} must be integers of shape (M,), got {type(indices).__name__}.") from None
        if tensor.numel() == 0:
            tensor = tensor.long()
    if tensor.dtype not in (torch.int64, torch.int32, torch.int16, torch.uint8):
        raise ArgumentError(f"{name} must be int32 or int64, got {_short(tensor.dtype)}.")
    if tensor.ndim != 1:
        raise ArgumentError(f"{name} must have shape (M,), got {tuple(tensor.shape)}.")
    # While a CUDA graph is captured nothing can be looked at; the same indices were, in the calls before.
    if tensor.numel() and not (tensor.is_cuda and torch.cuda.is_current_stream_capturing()):
        low, high = (int(bound) for bound in torch.stack(torch.aminmax(tensor)).tolist())
        if low < 0 or high >= size:
            raise ArgumentError(f"{name} must be in [0, {size}), got {low if low < 0 else high}.")
    return tensor.to(device=device, dtype=torch.int64)


def as_name_indices(name: str, names: Iterable[str], known: list[str]) -> list[int]:
    """Return the position of each name in `known`.

    Raises:
        ArgumentError: If a name is unknown.
    """
    try:
        if isinstance(names, str):
            raise TypeError
        items = list(names)
    except TypeError:
        raise ArgumentError(f"{name} must be a list of names, got {_brief(names)}.") from None
    for item in items:
        if not isinstance(item, str) or item not in known:
            raise ArgumentError(f"{name} has no {_brief(item)}; the names are: {', '.join(known)}.")
    return [known.index(item) for item in items]


def as_flag(name: str, value: Any) -> bool:
    """Return what is True or False.

    Raises:
        ArgumentError: If it is neither, such as a tensor that was meant for another argument.
    """
    if not isinstance(value, int):
        raise ArgumentError(f"{name} must be True or False, got {_brief(value)}.")
    return bool(value)


def as_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Raise unless a value is one of some words.

    Raises:
        ArgumentError: If it is not.
    """
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(f"{name} must be one of {', '.join(choices)}, got {_brief(value)}.")


def _brief(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{type(value).__name__}"


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
