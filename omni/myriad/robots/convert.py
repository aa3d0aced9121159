# SPDX-License-Identifier: Apache-2.0
"""URDF and MJCF as USD, by the converters of the Newton project, in an environment of their own.

They bring a `pxr` and a MuJoCo of other versions than ours, so they are called and never imported.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from omni.myriad.errors import MyriadError

from .catalogue import making, pip

PINS = ("urdf-usd-converter==0.3.4", "mujoco-usd-converter==0.8.0")

_SCRIPT = """
import sys
source, folder = sys.argv[1:]
if source.endswith(".urdf"):
    from urdf_usd_converter import Converter
else:
    from mujoco_usd_converter import Converter
print(Converter(layer_structure=False, scene=False).convert(source, folder).path)
"""


def converters(cache: Path) -> Path:
    """Return the Python that has the converters, which is made at the first use.

    Raises:
        MyriadError: If it cannot be made.
    """
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    digest = hashlib.sha256(" ".join((*PINS, version)).encode()).hexdigest()[:8]
    folder = cache / f"converter-{digest}"
    with making(folder) as temporary:
        if temporary:
            print("Setting up the converters (once, 130 MB) ...", flush=True)
            # The packages alone, which can be moved once they are whole: an environment could not.
            pip([sys.executable], ["--target", str(temporary), *PINS])
    return folder


def convert(source: Path, folder: Path, cache: Path) -> tuple[Path, list[str]]:
    """Convert a URDF or MJCF file, and return the USD file and what the converter could not take over.

    Raises:
        MyriadError: If the converter fails, with its reason.
    """
    command = [sys.executable, "-S", "-c", _SCRIPT, str(source), str(folder)]
    environment = {"PYTHONPATH": str(converters(cache)), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    said = [line.partition(" -- ")[2] for line in done.stderr.splitlines() if line.startswith("Warning")]
    if done.returncode:
        reason = (said or done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise MyriadError(f"{source.name} could not be converted to USD: {reason}")
    return Path(done.stdout.strip().splitlines()[-1]), said
