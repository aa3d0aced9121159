# SPDX-License-Identifier: Apache-2.0
"""What was measured on."""

from __future__ import annotations

import re
import resource
from typing import Any

import torch

from omni.myriad import provenance
from omni.myriad.app.doctor import nvidia_smi


def describe(name: str) -> dict[str, Any]:
    """Return CPU, cores, memory, and for CUDA the GPU, its memory, its driver and CUDA's version.

    Args:
        name: The device, such as cuda:0.
    """
    found = provenance.machine(name)
    if found["device"] == "cuda":
        found["driver"] = next((gpu[1] for gpu in nvidia_smi()), None)
    return found


def slug(machine: dict[str, Any]) -> str:
    """Return a short name of the device for file names: h200, rtx-4090, cpu."""
    words = re.sub(r"nvidia|geforce|[^a-z0-9]+", " ", machine.get("gpu", "cpu").lower()).split()
    return "-".join(words[:2]) or "gpu"


def memory(device: torch.device) -> dict[str, float]:
    """Return memory in use in MiB: this process's at its highest and, for CUDA, the whole GPU's now."""
    found: dict[str, float] = {"host_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)}
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        found["gpu_mib"] = round((total - free) / 2**20)
    return found
