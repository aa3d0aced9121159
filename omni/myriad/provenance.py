# SPDX-License-Identifier: Apache-2.0
"""What it takes to repeat a run: versions and the state of the checkout."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

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


def git_revision() -> str | None:
    """Return the commit of the checkout that this file belongs to, with `-dirty` where it was edited, or None."""
    if IN_WHEEL:  # a repository around it would be somebody else's
        return None
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None
