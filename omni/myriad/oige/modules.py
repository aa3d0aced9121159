# SPDX-License-Identifier: Apache-2.0
"""Answer the modules that OmniIsaacGymEnvs' files import, while a checkout is in use."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import logging
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import gymnasium
from physx_usd_schemas import PhysxSchema  # registers the schemas with pxr, which must come before the first stage
from pxr import Sdf, Usd, UsdPhysics

from omni.myriad import engine
from omni.myriad.engine.view import ArticulationActions
from omni.myriad.oige import PACKAGE, assets, maths, prims, replicator

logger = logging.getLogger("oige")


class Schema(str):
    """A schema of PhysX: its name, with which `Usd.Prim.HasAPI` finds it, and its class, which gets and applies it.

    The classes of physx-usd-schemas are no types that usd-core knows, so that HasAPI takes their names alone.
    """

    @property
    def _class(self) -> Any:
        return getattr(PhysxSchema, str(self))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._class, name)

    def __call__(self, *arguments: Any) -> Any:
        """Return the schema of a prim, or of a path on a stage."""
        return self._class(*arguments)


class JointApi:
    """`PhysxJointAPI`, which PhysX no longer reads: what it sets goes where PhysX looks, joint friction aside.

    Args:
        prim: A joint.
    """

    def __init__(self, prim: Usd.Prim) -> None:
        self._prim = prim

    @classmethod
    def Get(cls, stage: Usd.Stage, path: Any) -> JointApi:  # noqa: N802
        """Return the schema of the joint at a path."""
        return cls(stage.GetPrimAtPath(path))

    @classmethod
    def Apply(cls, prim: Usd.Prim) -> JointApi:  # noqa: N802
        """Return the schema of a joint."""
        return cls(prim)

    def __bool__(self) -> bool:
        return bool(self._prim)

    def __getattr__(self, name: str) -> Any:
        if not (found := re.fullmatch(r"(?:Get|Create)(\w+)Attr", name)):
            raise AttributeError(name)
        axis = "linear" if self._prim.IsA(UsdPhysics.PrismaticJoint) else "angular"
        schema, attribute = f"PhysxJointAxisAPI:{axis}", found[1][0].lower() + found[1][1:]
        self._prim.AddAppliedSchema(schema)
        made = self._prim.CreateAttribute(f"physxJointAxis:{axis}:{attribute}", Sdf.ValueTypeNames.Float)

        def attr(value: Any = None) -> Usd.Attribute:
            if value is not None:
                made.Set(float(value))
            return made

        return attr


class _SimulationContext:
    @staticmethod
    def step(world: engine.Engine, render: bool = True) -> None:
        world.step(1)


def _rl_task() -> dict[str, Any]:
    from omni.myriad.oige.rl_task import RLTask

    return {"RLTask": RLTask}


def _views() -> Any:
    from omni.myriad.oige import views

    return views


_SHAPES = {name: getattr(prims, name) for name in ("DynamicCuboid", "DynamicSphere", "FixedCuboid", "FixedSphere")}
_LOG = {f"log_{level}": getattr(logger, name) for level, name in
        {"info": "info", "warn": "warning", "error": "error", "verbose": "debug"}.items()}  # fmt: skip
_ROOT = {"get_assets_root_path": lambda: assets.ROOT, "find_nucleus_server": lambda: (True, assets.ROOT)}
_STAGE = {name: getattr(prims, name) for name in ("get_current_stage", "add_reference_to_stage")}
_PRIMS = {name: getattr(prims, name) for name in
          ("get_prim_at_path", "is_prim_path_valid", "define_prim", "create_prim")}  # fmt: skip
_MATHS = {name: value for name, value in vars(maths).items() if not name.startswith("_")}
_CONTEXT = SimpleNamespace(get_stage=prims.get_current_stage)

MODULES: dict[str, dict[str, Any] | Callable[[], dict[str, Any]]] = {
    "carb": _LOG,
    "gym": {"spaces": gymnasium.spaces, "Space": gymnasium.Space},
    "gym.spaces": dict(vars(gymnasium.spaces)),
    "omni.usd": {"get_context": lambda: _CONTEXT},
    "omni.isaac.cloner": {"Cloner": prims.Cloner},
    "omni.isaac.core.articulations": lambda: {"ArticulationView": _views().ArticulationView},
    "omni.isaac.core.objects": _SHAPES,
    "omni.isaac.core.prims": lambda: {
        "RigidPrimView": _views().RigidPrimView,
        "RigidPrim": prims.RigidPrim,
        "XFormPrim": prims.XFormPrim,
    },
    "omni.isaac.core.prims.rigid_prim": {"RigidPrim": prims.RigidPrim},
    "omni.isaac.core.robots": {"Robot": prims.Robot},
    "omni.isaac.core.robots.robot": {"Robot": prims.Robot},
    "omni.isaac.core.simulation_context": {"SimulationContext": _SimulationContext},
    "omni.isaac.core.utils.extensions": {"enable_extension": lambda name: False},
    "omni.isaac.core.utils.nucleus": _ROOT,
    "omni.isaac.core.utils.prims": _PRIMS,
    "omni.isaac.core.utils.stage": _STAGE,
    "omni.isaac.core.utils.torch": _MATHS,
    "omni.isaac.core.utils.torch.maths": _MATHS,
    "omni.isaac.core.utils.torch.rotations": _MATHS,
    "omni.isaac.core.utils.torch.tensor": _MATHS,
    "omni.isaac.core.utils.torch.transformations": _MATHS,
    "omni.isaac.core.utils.types": {
        "ArticulationAction": ArticulationActions,
        "ArticulationActions": ArticulationActions,
    },
    "omni.isaac.nucleus": _ROOT,
    "omni.replicator.core": replicator.CORE,
    "omni.replicator.isaac": replicator.ISAAC,
    "pxr.PhysxSchema": {
        **{name: Schema(name) for name, value in vars(PhysxSchema).items() if isinstance(value, type)},
        "PhysxJointAPI": JointApi,
    },
    f"{PACKAGE}.tasks.base.rl_task": _rl_task,
}
"""What each module holds; one that holds engine classes is filled when it is imported, when the engine is there."""


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of the table, the packages around them, and the checkout's own.

    Args:
        checkout: Folder that holds the package `omniisaacgymenvs`.
    """

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Answer names of the table."""
        if fullname in (PACKAGE, f"{PACKAGE}.tasks.base"):
            # The package without its __init__.py, which looks for Kit.
            spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(self.checkout / fullname.replace(".", "/"))]
            return spec
        around = any(name.startswith(f"{fullname}.") for name in MODULES) and fullname.split(".")[0] != PACKAGE
        if fullname in MODULES or (around and fullname not in ("omni", "pxr")):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=fullname.startswith("omni."))
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Leave the making of a module to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module from the table."""
        content = MODULES.get(module.__name__, {})
        vars(module).update(content() if callable(content) else content)


def install(checkout: Path) -> None:
    """Answer imports from now on, from one checkout: what another one had is forgotten."""
    for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Finder)]
    sys.meta_path.insert(0, Finder(checkout))
