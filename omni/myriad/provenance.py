# SPDX-License-Identifier: Apache-2.0
"""What it takes to repeat a run: versions and the state of the checkout."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from omni.myriad.places import IN_WHEEL

_LEARNERS = ("rl-games", "rsl-rl-lib", "skrl", "stable-baselines3")
_PACKAGES = ("torch", "numpy", *_LEARNERS, "gymnasium", "hydra-core", "ovphysx", "usd-core")


def versions() -> dict[str, str]:
    """Return the versions of Myriad, Python and the packages that decide the numbers."""
    from omni.myriad import __version__

    packages = {package: version for package in _PACKAGES if (version := installed(package))}
    return {"myriad": __version__, "python": platform.python_version(), **packages}


def installed(package: str) -> str | None:
    """Return a package's version, or None where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def machine(device: str) -> dict[str, Any]:
    """Return the processor, its cores that we may use, memory, system, and for CUDA the GPU with its memory.

    Args:
        device: torch's name of a device, such as "cuda:0".
    """
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found: dict[str, Any] = {
        "cpu": " ".join(fields(Path("/proc/cpuinfo").read_text()).get("model name", platform.machine()).split()),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "device": torch.device(device).type,
    }
    if found["device"] == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {"gpu": properties.name, "gpu_memory_gib": round(properties.total_memory / 2**30)}
        found |= {"cuda": torch.version.cuda}
    return found


def fields(text: str) -> dict[str, str]:
    """Return what a text such as /proc/cpuinfo says, where of processors, which are alike, the last counts."""
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def git_revision() -> str | None:
    """Return the commit of the checkout that this file belongs to, with `-dirty` where it was edited, or None."""
    if IN_WHEEL:  # a repository around it would be somebody else's
        return None
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None
