# SPDX-License-Identifier: Apache-2.0
"""Robots and props that OmniIsaacGymEnvs takes from Nucleus, answered by the catalogue and by files of our own."""

from __future__ import annotations

from pathlib import Path

from omni.myriad.errors import MyriadError
from omni.myriad.places import data_folder

ROOT = "nucleus:"
"""What `get_assets_root_path` returns: paths that begin with it are looked up here."""

_OWN = {
    "Robots/Ant/ant_instanceable.usd": "ant/ant.usda",
    "Robots/Cartpole/cartpole.usd": "cartpole/cartpole.usda",
}


def find(path: str) -> str:
    """Return the file or layer that stands in for a path on Nucleus, or a path of another kind as it is."""
    if not path.startswith(ROOT):
        if not Path(path).is_file():
            raise MyriadError(f"{path} is no file.")
        return path
    name = path.removeprefix(f"{ROOT}/Isaac/")
    if name in _OWN:
        return str(data_folder("assets") / _OWN[name])
    raise MyriadError(f"{name} is on Nucleus alone, and nothing here stands in for it (docs/porting.md).")
