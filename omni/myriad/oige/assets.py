# SPDX-License-Identifier: Apache-2.0
"""Robots and props that OmniIsaacGymEnvs takes from Nucleus, answered by the catalogue and by shapes of our own.

What stands in has the names of links and joints that the tasks' files look for, and not the mass or shape of NVIDIA's
file; docs/porting.md says what differs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

from pxr import Sdf, Usd, UsdGeom, UsdPhysics

from omni.myriad.errors import MyriadError
from omni.myriad.oige import shapes
from omni.myriad.places import data_folder
from omni.myriad.robots import find as find_robot
from omni.myriad.task.actuators import release

ROOT = "nucleus:"
"""What `get_assets_root_path` returns: paths that begin with it are looked up here."""

_MADE: list[Sdf.Layer] = []
"""Layers that are in memory alone, kept because a reference keeps none."""


def find(path: str) -> str:
    """Return the file or layer that stands in for a path on Nucleus, or a path of another kind as it is.

    Raises:
        MyriadError: If there is none.
    """
    if not path.startswith(ROOT):
        if not Path(path).is_file():
            raise MyriadError(f"{path} is no file.")
        return path
    name = path.removeprefix(f"{ROOT}/Isaac/")
    if name not in _STANDINS:
        raise MyriadError(f"{name} is on Nucleus alone, and nothing here stands in for it (docs/porting.md).")
    return _stand_in(name)


@cache
def _stand_in(name: str) -> str:
    return _STANDINS[name]()


def _own(file: str) -> Callable[[], str]:
    return lambda: str(data_folder("assets") / file)


def _changed(source: str, change: Callable[[Usd.Stage], None]) -> str:
    """Return a copy of a USD file in memory after a change."""
    layer = Sdf.Layer.CreateAnonymous(".usda")
    layer.TransferContent(Usd.Stage.Open(source).Flatten())
    change(Usd.Stage.Open(layer))
    _MADE.append(layer)
    return layer.identifier


def _catalogue(name: str, change: Callable[[Usd.Stage], None] | None = None) -> Callable[[], str]:
    def find_it() -> str:
        usd = str(find_robot(name).usd)
        return _changed(usd, change) if change else usd

    return find_it


def _built(write: Callable[[shapes.Builder], None]) -> Callable[[], str]:
    def build() -> str:
        layer = Sdf.Layer.CreateAnonymous(".usda")
        write(shapes.Builder(Usd.Stage.Open(layer)))
        _MADE.append(layer)
        return layer.identifier

    return build


def _joints_below_links(stage: Usd.Stage) -> None:
    """Move each joint below the link that it leads from: there NVIDIA's files have them."""
    layer = stage.GetRootLayer()
    for prim in list(stage.Traverse()):
        if joint := UsdPhysics.Joint(prim):
            for parent in joint.GetBody0Rel().GetTargets():
                _move(layer, prim.GetPath(), parent.AppendChild(prim.GetName()))


def _move(layer: Sdf.Layer, path: Sdf.Path, to: Sdf.Path) -> None:
    Sdf.CreatePrimInLayer(layer, to.GetParentPath()).specifier = Sdf.SpecifierDef
    edit = Sdf.BatchNamespaceEdit()
    edit.Add(path, to)
    if not layer.Apply(edit):
        raise MyriadError(f"{path} cannot become {to}.")


def _humanoid() -> str:
    """Newton's humanoid without its collision groups, which filter nothing and would get into ours.

    Its joints are numbered in the order of the file, which is theirs: PhysX sorts joints of a link by name.
    """

    def change(stage: Usd.Stage) -> None:
        layer, number = stage.GetRootLayer(), 0
        for prim in list(stage.Traverse()):
            if prim.IsA(UsdPhysics.CollisionGroup):
                stage.RemovePrim(prim.GetPath())
            elif prim.IsA(UsdPhysics.Joint):
                layer.GetPrimAtPath(prim.GetPath()).name = f"joint_{number:02}_{prim.GetName()}"
                number += 1

    (newton,) = importlib.util.find_spec("newton").submodule_search_locations  # type: ignore[union-attr]
    return _changed(f"{newton}/examples/assets/humanoid.usda", change)


def _allegro(stage: Usd.Stage) -> None:
    """The catalogue's hand on a mount as NVIDIA's: its fingers point along the mount's z, its palm between -x and -y.

    The palm's frame is where the fingers begin, 95 mm from its lower end, and its x points out of the palm.
    """
    for prim in stage.GetDefaultPrim().GetChildren():
        if prim.HasAPI(UsdPhysics.RigidBodyAPI):
            xform = UsdGeom.Xformable(prim)
            moved = xform.GetLocalTransformation() * shapes.pose((0, 0, 0.17), "Z", -135.0)
            xform.ClearXformOpOrder()
            xform.MakeMatrixXform().Set(moved)


def _franka(stage: Usd.Stage) -> None:
    """The catalogue's Panda with joints where the task sets them up; both fingers are driven, none follows."""
    for prim in stage.Traverse():
        if prim.GetName() == "panda_finger_joint2":
            release(prim)
    _joints_below_links(stage)
    layer = stage.GetRootLayer()
    for finger in ("panda_finger_joint1", "panda_finger_joint2"):
        _move(layer, Sdf.Path(f"/panda/panda_link7/{finger}"), Sdf.Path(f"/panda/panda_hand/{finger}"))


_STANDINS: dict[str, Callable[[], str]] = {
    "Props/Blocks/block_instanceable.usd": _own("block/block.usda"),
    "Props/Sektion_Cabinet/sektion_cabinet_instanceable.usd": _own("cabinet/cabinet.usda"),
    "Robots/ANYbotics/anymal_instanceable.usd": _catalogue("anymal_c", _joints_below_links),
    "Robots/AllegroHand/allegro_hand_instanceable.usd": _catalogue("allegro", _allegro),
    "Robots/Ant/ant_instanceable.usd": _own("ant/ant.usda"),
    "Robots/BalanceBot/balance_bot.usd": _built(shapes.balance_bot),
    "Robots/Cartpole/cartpole.usd": _own("cartpole/cartpole.usda"),
    "Robots/Crazyflie/cf2x.usd": _built(shapes.crazyflie),
    "Robots/Franka/franka_instanceable.usd": _catalogue("panda", _franka),
    "Robots/Humanoid/humanoid_instanceable.usd": _humanoid,
    "Robots/Ingenuity/ingenuity.usd": _built(shapes.ingenuity),
    "Robots/Quadcopter/quadcopter.usd": _built(shapes.quadcopter),
    "Robots/ShadowHand/shadow_hand_instanceable.usd": _catalogue("shadow_hand"),
}
