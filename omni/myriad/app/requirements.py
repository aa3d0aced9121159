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
from omni.myriad.provenance import installed

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_MODULES = {
    "": ("torch", "rl_games", "gymnasium", "hydra", "rich"),
    "physx": ("ovphysx", "pxr"),
    "newton": ("newton", "mujoco_warp", "newton_usd_schemas", "pxr"),
    "export": ("onnx", "onnxruntime"),
    "deploy": ("mujoco", "newton", "imageio_ffmpeg"),
    "viewer": ("trimesh", "viser"),
    "sweep": ("ray", "pandas", "pyarrow", "optuna"),
    "dev": ("pytest",),
    "test": ("pytest",),
}
# Isaac Sim's Python has its own PhysX and pxr, and never gets what would replace its newton and warp.
_BROUGHT_BY_ISAAC_SIM = ("physx",)
_NEVER_IN_ISAAC_SIM = ("newton", "deploy")
_IN_ISAAC_SIM = {"dev": "test"}


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


def isaac_sim() -> str | None:
    """Return Isaac Sim's version if this is Isaac Sim's Python, without importing any of it.

    It is that where the launcher was told Isaac Sim's folder, where pip installed `isaacsim-kernel`, and where
    Isaac Sim's own python.sh started us, which sets ISAAC_PATH.
    """
    folder = os.environ.get("ISAACSIM_PATH")
    if not folder and (version := installed("isaacsim-kernel")):
        return version
    if not (folder := folder or os.environ.get("ISAAC_PATH")):
        return None
    file = Path(folder, "VERSION")
    return file.read_text().strip() if file.is_file() else f"of unknown version in {folder}"


def constraints() -> Path:
    """Return the file of versions that pip has to keep to in this Python. An unknown Isaac Sim's is not there."""
    if not (version := isaac_sim()):
        return ROOT / "constraints.txt"
    return ROOT / "constraints" / f"isaacsim-{'.'.join(version.split('.')[:2])}.txt"


def missing(extras: Sequence[str]) -> list[str]:
    """Return the modules that Myriad with some extras needs and this Python lacks. Isaac Sim brings its own physx."""
    wanted = [extra for extra in ("", *extras) if not (isaac_sim() and extra in _BROUGHT_BY_ISAAC_SIM)]
    return [module for extra in wanted for module in _MODULES[extra] if importlib.util.find_spec(module) is None]


def advice(extras: Sequence[str]) -> str:
    """Return what to do where some modules of these extras are missing."""
    version = isaac_sim()
    if version and "torch" in missing([]):
        return (
            f"Isaac Sim {version} works with its own torch alone: start this by ./myriad with ISAACSIM_PATH, which"
            " finds it. Where pip installed Isaac Sim without one, docs/isaac-sim.md says which build to install."
        )
    if version and (never := [extra for extra in extras if extra in _NEVER_IN_ISAAC_SIM and missing([extra])]):
        return (
            f"[{never[0]}] cannot be had in the Python of Isaac Sim {version}, whose newton and warp it would replace:"
            " unset ISAACSIM_PATH, deactivate this environment, and run the same again."
        )
    return f"Install them:\n  {install_command(extras)}"


def install_command(extras: Sequence[str]) -> str:
    """Return the command that installs Myriad with some extras into this Python."""
    python, kept = f"'{sys.executable}'", []
    if isaac_sim():
        extras = [_IN_ISAAC_SIM.get(extra, extra) for extra in extras if extra not in _BROUGHT_BY_ISAAC_SIM]
        # Named on the command line, what is installed is what pip has to keep.
        versions = {name: installed(name) for name in ("isaacsim", "torch", "numpy")}
        kept = [f"'{name}=={version}'" for name, version in versions.items() if version]
        if folder := os.environ.get("ISAACSIM_PATH"):
            # The launcher finds Isaac Sim's torch, so that pip does, too.
            python = f"'{folder}/python.sh'" if IN_WHEEL else f"'{ROOT}/myriad' python"
    what = f"[{','.join(extras)}]" if extras else ""
    wanted = [f"'myriad-rl{what}'"] if IN_WHEEL else [f"-e '{ROOT}{what}'"]
    if not IN_WHEEL and constraints().is_file():
        wanted.insert(0, f"-c '{constraints()}'")
    return " ".join([f"{python} -m pip install", *kept, *wanted])
