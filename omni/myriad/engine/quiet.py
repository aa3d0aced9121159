# SPDX-License-Identifier: Apache-2.0
"""Native libraries that talk, kept from it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import torch


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Drop what native code writes to stderr, such as that it was told to be silent."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def quiet_warp() -> Any:
    """Return `warp`, told to speak of errors alone, and ready: to be called before newton is imported.

    Raises:
        ImportError: If it is not installed.
    """
    warp = import_module("warp")
    warp.config.log_level = warp.LOG_ERROR
    warp.config.enable_backward = False  # nobody asks for gradients, and compiling takes two thirds of the time
    # That there is no GPU, it would say in every process whatever it was told.
    with contextlib.nullcontext() if torch.cuda.is_available() else silence():
        warp.init()
    return warp
