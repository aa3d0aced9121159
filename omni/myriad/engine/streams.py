# SPDX-License-Identifier: Apache-2.0
"""Warp beside torch: kernels of both in one order, and so in graphs that torch captures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import warp

wp: Any = warp  # its functions take more than their types say


def warp_device(device: torch.device) -> str:
    """Return Warp's name of a device."""
    return "cpu" if device.type == "cpu" else f"cuda:{device.index or 0}"


@contextmanager
def on_torchs_stream(device: torch.device) -> Iterator[Any]:
    """Let Warp work on torch's current stream, None on the CPU, and so in graphs that torch captures."""
    if device.type == "cpu":
        yield None
        return
    stream = wp.stream_from_torch(torch.cuda.current_stream(device))
    with wp.ScopedStream(stream, sync_enter=False):
        yield stream
