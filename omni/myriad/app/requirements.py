# SPDX-License-Identifier: Apache-2.0
"""What Myriad's verbs need of this Python, by the extras of pyproject.toml."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omni.myriad.places import IN_WHEEL, ROOT

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_MODULES = {
    "": ("torch", "rl_games", "gymnasium", "hydra", "rich"),
    "physx": ("ovphysx", "pxr"),
    "newton": ("newton", "mujoco_warp", "newton_usd_schemas", "pxr"),
    "export": ("onnx", "onnxruntime"),
    "deploy": ("mujoco", "newton", "imageio_ffmpeg"),
    "dev": ("pytest",),
}


def requirements(extra: str = "") -> list[Requirement]:
    """Return the packages, with their bounds, that one of pyproject.toml's extras needs, or Myriad without extras."""
    from packaging.requirements import Requirement

    everything = [Requirement(text) for text in _declared()]
    return [one for one in everything if (one.marker.evaluate({"extra": extra}) if one.marker else not extra)]


def _declared() -> list[str]:
    if IN_WHEEL:
        return importlib.metadata.requires("myriad-rl") or []
    try:
        import tomllib
    except ImportError:  # Python 3.10
        from pip._vendor import tomli as tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"].items()
    return project["dependencies"] + [f"{text}; extra == '{extra}'" for extra, texts in optional for text in texts]


def has_isaac_sim() -> bool:
    """Tell whether this is Isaac Sim's Python, without importing any of it."""
    return bool(os.environ.get("ISAACSIM_PATH")) or importlib.util.find_spec("isaacsim") is not None


def missing(extras: Sequence[str]) -> list[str]:
    """Return the modules that Myriad with some extras needs and this Python lacks. Isaac Sim brings its own physx."""
    wanted = [extra for extra in ("", *extras) if not (extra == "physx" and has_isaac_sim())]
    return [module for extra in wanted for module in _MODULES[extra] if importlib.util.find_spec(module) is None]


def install_command(extras: Sequence[str]) -> str:
    """Return the command that installs Myriad with some extras into this Python."""
    python, constraints = sys.executable, f"-c '{ROOT}/constraints.txt' "
    if has_isaac_sim():
        extras, constraints = [extra for extra in extras if extra != "physx"], ""  # it has its own torch and numpy, too
        if folder := os.environ.get("ISAACSIM_PATH"):
            python = str(Path(folder, "python.sh"))
    what = f"[{','.join(extras)}]" if extras else ""
    return f"'{python}' -m pip install " + (f"'myriad-rl{what}'" if IN_WHEEL else f"{constraints}-e '{ROOT}{what}'")
