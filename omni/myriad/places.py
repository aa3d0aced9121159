# SPDX-License-Identifier: Apache-2.0
"""Where Myriad's own files are: beside `omni/` in a checkout, inside the package where a wheel was installed."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent  # `./myriad gui` lets Kit import us through a link
ROOT = _PACKAGE.parents[1]
"""The checkout, or the folder of installed packages: where Python finds `omni`."""

IN_WHEEL = (_PACKAGE / "_data").is_dir()
COMMAND = "myriad" if IN_WHEEL else "./myriad"
"""What people type to start Myriad."""
FILMS = "docs/tasks.md"
"""Where each task is shown."""


def child_environment() -> dict[str, str]:
    """Return the environment variables with which another Python finds this Myriad, too."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def data_folder(name: str) -> Path:
    """Return the folder of `tasks`, `cfg`, `assets` or `policies`, which setup.py puts into wheels."""
    return (_PACKAGE / "_data" if IN_WHEEL else ROOT) / name
