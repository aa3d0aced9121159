# SPDX-License-Identifier: Apache-2.0
"""Isaac Lab as a peer, without Isaac Sim, in a Python environment of its own.

Its packages pin others than ours do. `./myriad python -m omni.myriad.benchmark.isaaclab` makes that environment in the
folder that `home` returns; a folder of packages for the Python that runs us will do, too, where there is no network.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from omni.myriad.benchmark.options import Options
from omni.myriad.errors import MyriadError
from omni.myriad.places import ROOT, data_folder

VERSION = "3.0.0"
TASK = "Isaac-Ant-Direct"
PLACE = "MYRIAD_ISAACLAB"
BACKENDS = {
    "Newton": ["presets=newton_mjwarp"],
    "Newton, warp frontend": ["presets=newton_mjwarp", "--frontend", "warp"],
    "ovphysx": ["presets=ovphysx"],
}
_GROUND = """#usda 1.0
(
    defaultPrim = "World"
    metersPerUnit = 1
    upAxis = "Z"
)

def Xform "World"
{
    def Plane "CollisionPlane" (prepend apiSchemas = ["PhysicsCollisionAPI"])
    {
        uniform token axis = "Z"
    }
}
"""
_NEVER = ("omniverseclient",)  # under a licence that a person has to accept, and needed for files on a network alone


def home() -> Path:
    """Return the environment's folder: what MYRIAD_ISAACLAB names, or one in the user's cache."""
    place = os.environ.get(PLACE)
    return Path(place).expanduser() if place else Path("~/.cache/myriad/isaaclab").expanduser()


def _python() -> Path:
    return home() / "bin" / "python"


def packages() -> Path:
    """Return the folder of its packages."""
    found = sorted(home().glob("lib/python3*/site-packages"))
    return found[-1] if found else home()


def version(package: str) -> str:
    """Return the version of a package there.

    Raises:
        PackageNotFoundError: If it is not installed there.
    """
    for found in metadata.distributions(name=package, path=[str(packages())]):
        return found.version
    raise metadata.PackageNotFoundError(package)


def backends() -> Iterator[str]:
    """Yield the names of the backends that are installed."""
    for name in BACKENDS:
        if name != "ovphysx" or (packages() / "ovphysx").is_dir():
            yield name


def install(place: Path) -> None:
    """Make the environment: what Isaac Lab asks for, without Isaac Sim and its client of Omniverse.

    Args:
        place: The new environment's folder.

    Raises:
        MyriadError: If there is no Python 3.12, or pip failed.
    """
    python312 = shutil.which("python3.12")
    if python312 is None:
        raise MyriadError("Isaac Lab needs Python 3.12, and there is no python3.12 on PATH: install it.")
    python = place / "bin" / "python"
    pip = [python, "-m", "pip", "install", "-q"]
    commands: list[list[Any]] = [[python312, "-m", "venv", place], [*pip, "--no-deps", f"isaaclab=={VERSION}"]]
    try:
        for command in commands:
            subprocess.run(command, check=True)
        (lab,) = metadata.distributions(name="isaaclab", path=[str(next(place.glob("lib/python3*/site-packages")))])
        needed = [each for each in lab.requires or () if "extra ==" not in each and not each.startswith(_NEVER)]
        subprocess.run([*pip, *needed], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise MyriadError(f"Isaac Lab's environment in {place} could not be made: {error}") from None


def measure(device: str, num_envs: int, options: Options) -> dict[str, Any]:
    """Measure all backends, each in a process of its own.

    Args:
        device: Such as cuda:0.
        num_envs: Number of environments.
        options: The benchmark's options; with "reward" measured, training goes on to the highest of them.

    Raises:
        MyriadError: If a backend did not come to its end.
    """
    found = {name: _run(BACKENDS[name], device, num_envs, options) for name in backends()}
    best = max(found, key=lambda name: found[name]["median"])
    about = {"variant": best, "variants": found}
    if _python().exists():
        sizes = (file.stat().st_size for file in packages().rglob("*") if file.is_file())
        about["disk_mib"] = round(sum(sizes) / 2**20)
    return found[best] | about


def _run(backend: list[str], device: str, num_envs: int, options: Options) -> dict[str, Any]:
    arguments = ["--task", TASK, "--num_envs", str(num_envs), "--device", device, f"agent.device={device}", *backend]
    python = _python()
    paths = [str(ROOT)] if python.exists() else [str(ROOT), str(home()), os.environ.get("PYTHONPATH", "")]
    with tempfile.TemporaryDirectory(prefix="myriad_isaaclab_") as folder:
        scratch = Path(folder)
        _lay_out_robots(scratch / "assets")
        job = {"arguments": [*arguments, "--visualizer", "none"], "result": str(scratch / "result.json")}
        job |= {"reward": options.reward if "reward" in options.measure else (), "started": time.time()}
        job["options"] = vars(options)
        (scratch / "job.json").write_text(json.dumps(job))
        done = subprocess.run(
            [
                python if python.exists() else sys.executable,
                *("-m", "omni.myriad.benchmark.isaaclab_child", str(scratch / "job.json")),
            ],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "ISAACSIM_ASSET_ROOT": str(scratch / "assets")},
            cwd=folder,
        )
        if done.returncode:
            raise MyriadError(f"Isaac Lab with {' '.join(backend)} ended with code {done.returncode}.")
        return json.loads((scratch / "result.json").read_text())


def _lay_out_robots(folder: Path) -> None:
    """Put our ant and a ground where Isaac Lab looks for its own, which lie on a server otherwise."""
    ant = folder / "Isaac/Robots/IsaacSim/Ant/ant_instanceable.usd"
    ground = folder / "Isaac/IsaacLab/Environments/Grid/default_ground_plane_checker_v1/default_ground_plane.usda"
    for file in (ant, ground):
        file.parent.mkdir(parents=True)
    shutil.copy(data_folder("assets") / "ant" / "ant.usda", ant)
    ground.write_text(_GROUND)


if __name__ == "__main__":
    try:
        install(home())
    except MyriadError as error:
        sys.exit(f"Error: {error}")
