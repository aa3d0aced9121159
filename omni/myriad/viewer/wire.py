# SPDX-License-Identifier: Apache-2.0
"""What the two processes of a live page say to each other: plain values and numbers, which can run nothing."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from omni.myriad.errors import MyriadError


def pack(message: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """Return a message and arrays as bytes."""
    arrays = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    head = {"message": message, "arrays": [(name, a.dtype.str, a.shape) for name, a in arrays.items()]}
    text = json.dumps(head).encode()
    return b"".join((len(text).to_bytes(4, "little"), text, *(array.tobytes() for array in arrays.values())))


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what `pack` was given.

    Raises:
        ValueError: If the bytes are something else.
    """
    end = 4 + int.from_bytes(data[:4], "little")
    head = json.loads(data[4:end])
    arrays = {}
    for name, kind, shape in head["arrays"]:
        dtype = np.dtype(kind)
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(data, dtype, count, end).reshape(shape)
        end += count * dtype.itemsize
    return head["message"], arrays


def address_of(run_dir: Path) -> str:
    """Return the socket at which a run can be looked at: in a folder that nobody but its user may enter.

    Raises:
        MyriadError: If there is a folder of that name that is somebody else's.
    """
    folder = Path(tempfile.gettempdir(), f"myriad-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise MyriadError(f"{folder} must be a folder of yours that nobody else may enter: remove it.")
    return str(folder / hashlib.sha256(str(run_dir.resolve()).encode()).hexdigest()[:24])
