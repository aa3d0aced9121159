# SPDX-License-Identifier: Apache-2.0
"""How many threads torch computes with on a CPU while physics shares its cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def single_threaded(device: torch.device) -> Iterator[None]:
    """Keep torch on one thread while the context lasts, if it computes on the CPU.

    OpenMP's threads keep spinning for milliseconds after each operation that used them, on the cores that physics
    needs next.
    """
    before = torch.get_num_threads()
    if device.type != "cpu" or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
