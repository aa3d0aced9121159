# SPDX-License-Identifier: Apache-2.0
"""What articulation and rigid body views have in common: prims, indices, quantities, poses and velocities."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from pxr import Gf, Usd, UsdGeom
from torch import Tensor

from omni.myriad.engine import checks, paths
from omni.myriad.engine.base import ENV_0_PATH
from omni.myriad.engine.physx.quantity import Quantity
from omni.myriad.engine.physx.views.settings import Setting
from omni.myriad.engine.physx.views.unsupported import UNSUPPORTED, unsupported
from omni.myriad.engine.usd import break_instances
from omni.myriad.engine.view import Indices, Poses, View, selection
from omni.myriad.maths import quat_conjugate, quat_mul

if TYPE_CHECKING:
    from omni.myriad.engine.physx.engine import PhysXEngine

logger = logging.getLogger(__name__)

BEFORE_PHYSICS = {
    *("bind", "initialize", "initialized", "is_physics_handle_valid", "is_valid", "count", "prim_paths"),
    *("get_default_state", "set_default_state", "get_joints_default_state", "set_joints_default_state"),
    *("get_solver_position_iteration_counts", "set_solver_position_iteration_counts"),
    *("get_solver_velocity_iteration_counts", "set_solver_velocity_iteration_counts"),
    *("get_stabilization_thresholds", "set_stabilization_thresholds", "get_sleep_thresholds", "set_sleep_thresholds"),
    *("get_enabled_self_collisions", "set_enabled_self_collisions", "get_densities", "set_densities"),
    *("set_effort_modes", "is_non_root_articulation_link"),
}
"""The methods and properties of views that do not wait for physics."""

_V = TypeVar("_V", bound="type[PrimView]")


def needs_physics(view: _V) -> _V:
    """Make a class of views warn and return None until physics runs, as Isaac Sim's views do.

    That is all of its public methods and properties, inherited ones included, but those of `BEFORE_PHYSICS`. Their
    types leave that None out: code that runs once physics does need not check for it.
    """

    def guarded(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def wrapper(self: PrimView, *args: Any, **kwargs: Any) -> Any:
            if self.is_physics_handle_valid():
                return method(self, *args, **kwargs)
            names = (self.name, method.__name__)
            logger.warning("%s.%s: physics is not running, so there is nothing to get or set", *names)
            return None

        return wrapper

    for name in dir(view):
        member = inspect.getattr_static(view, name)
        if name.startswith("_") or name in BEFORE_PHYSICS or name in UNSUPPORTED:
            continue
        if inspect.isfunction(member):
            setattr(view, name, guarded(member))
        elif isinstance(member, property) and member.fget is not None:
            setattr(view, name, property(guarded(member.fget)))
    return view


class PrimView(View):
    """What articulation and rigid body views have in common.

    Args:
        prim_paths_expr: Expression such as "/World/envs/.*/Ant/torso", or several.
        name: Name under which the scene registers the view.
        positions: Default world positions in m, (N, 3), taken when physics starts.
        translations: Default positions in m in the parent's frame, (N, 3), instead of `positions`.
        orientations: Default orientations as wxyz, (N, 4), in the same frame.
        scales: Not available here: PhysX reads sizes from environment 0.
        visibilities: Not available here: nothing is rendered.
    """

    def __init__(
        self,
        prim_paths_expr: str | list[str],
        name: str,
        positions: Tensor | None = None,
        translations: Tensor | None = None,
        orientations: Tensor | None = None,
        scales: Any = None,
        visibilities: Any = None,
    ) -> None:
        if positions is not None and translations is not None:
            raise checks.ArgumentError("positions and translations cannot both be given.")
        if scales is not None:
            self.set_local_scales(scales)
        if visibilities is not None:
            self.set_visibilities(visibilities)
        self.name = name
        self._expressions = [prim_paths_expr] if isinstance(prim_paths_expr, str) else list(prim_paths_expr)
        self._initial_poses = (positions, translations, orientations)
        self._relative_paths: list[str] = []
        self._quantities: dict[str, Quantity] = {}
        self._generation: list[Any] | None = None
        self._parents: tuple[Tensor, Tensor, Tensor] | None = None

    # -- life ---------------------------------------------------------------------------------------------------------

    def initialize(self, physics_sim_view: Any = None) -> None:
        """Find the prims once physics runs; before that, getters return None.

        Args:
            physics_sim_view: Accepted for Isaac Sim's sake and unused.

        Raises:
            MyriadError: If the view was not added to a scene, or its expression matches nothing.
        """
        if self._engine is None or not self._engine.is_playing():
            raise checks.ArgumentError(
                f"View {self.name!r} has no physics yet: scene.add(view), then reset the engine."
            )
        if self._generation is self._engine.shards:
            return
        self._quantities, self._checked, self._parents = {}, {}, None
        self._relative_paths = self._find_prims()
        self._generation = self._engine.shards
        self._on_physics_ready()

    def is_physics_handle_valid(self) -> bool:
        """Tell whether the view is initialised and its physics still runs."""
        return self._engine is not None and self._generation is self._engine.shards

    def is_valid(self, indices: Indices = None) -> bool:
        """Tell whether the prims exist in running physics."""
        return self.is_physics_handle_valid()

    @property
    def initialized(self) -> bool:
        """Whether the view has been initialised."""
        return self._generation is not None

    @property
    def count(self) -> int:
        """Number of prims: those of one environment times `num_envs`."""
        if self._engine is None:
            return 0
        return len(self._relative_paths or self._find_prims()) * self._engine.num_envs

    @property
    def prim_paths(self) -> list[str]:
        """Paths of all prims, in the order of the rows of every tensor: all of one environment, then the next one's."""
        return [path for shard_paths in self._shard_paths() for path in shard_paths]

    # -- poses relative to the parent prim ----------------------------------------------------------------------------

    def get_local_poses(self, indices: Indices = None) -> Poses:
        """Return translations (M, 3) in m and orientations (M, 4) as wxyz in the frame of the parent prim.

        The parent is where it was authored, in its environment: PhysX moves bodies, not the prims around them.
        """
        positions, orientations = self.get_world_poses(indices, clone=False)
        matrices, offsets, rotations = self._parent_frames(indices)
        translations = torch.linalg.solve(matrices, (positions - offsets).unsqueeze(-1)).squeeze(-1)
        return translations, quat_mul(quat_conjugate(rotations), orientations)

    def set_local_poses(
        self, translations: Tensor | None = None, orientations: Tensor | None = None, indices: Indices = None
    ) -> None:
        """Put prims at translations (M, 3) in m and orientations (M, 4) as wxyz in the frame of the parent prim.

        Args:
            translations: None leaves them as they are.
            orientations: None leaves them as they are.
            indices: Prims; None means all.
        """
        matrices, offsets, rotations = self._parent_frames(indices)
        positions = None
        if translations is not None:
            translations = self._floats("translations", translations, (len(offsets), 3))
            positions = (matrices @ translations.unsqueeze(-1)).squeeze(-1) + offsets
        if orientations is not None:
            orientations = quat_mul(rotations, self._floats("orientations", orientations, (len(offsets), 4)))
        self.set_world_poses(positions, orientations, indices)

    def _parent_frames(self, indices: Indices) -> tuple[Tensor, Tensor, Tensor]:
        """Return the parents' linear maps (M, 3, 3), world positions (M, 3) and orientations (M, 4) as wxyz."""
        engine = self._require_engine()
        if self._parents is None:
            stage, cache = engine.stage, UsdGeom.XformCache()
            env_0 = stage.GetPrimAtPath(ENV_0_PATH)
            parents = [stage.GetPrimAtPath(f"{ENV_0_PATH}/{path}").GetParent() for path in self._relative_paths]
            frames: list[Gf.Matrix4d] = [cache.ComputeRelativeTransform(parent, env_0)[0] for parent in parents]
            quaternions = [frame.RemoveScaleShear().ExtractRotationQuat() for frame in frames]
            rotations = [[quaternion.GetReal(), *quaternion.GetImaginary()] for quaternion in quaternions]
            matrices = torch.tensor([[list(row) for row in frame] for frame in frames]).to(self._device)
            offsets = matrices[:, 3, :3] + engine.env_positions[:, None]
            self._parents = (
                matrices[:, :3, :3].mT.repeat(engine.num_envs, 1, 1),  # USD multiplies row vectors, torch columns
                offsets.reshape(-1, 3),
                torch.tensor(rotations).to(self._device).repeat(engine.num_envs, 1),
            )
        rows = self._rows(indices)
        if rows is None:
            return self._parents
        maps, offsets, rotations = self._parents
        return maps[rows], offsets[rows], rotations[rows]

    # -- halves of velocities ------------------------------------------------------------------------------------------

    def set_linear_velocities(self, velocities: Tensor, indices: Indices = None) -> None:
        """Set linear velocities in the world frame, (M, 3) in m/s; CPU only, as in Isaac Sim.

        Raises:
            NotImplementedError: On CUDA, where Isaac Sim does not support it; `set_velocities` works everywhere.
        """
        self._set_half("set_linear_velocities", velocities, indices, torch.arange(3))

    def set_angular_velocities(self, velocities: Tensor, indices: Indices = None) -> None:
        """Set angular velocities in the world frame, (M, 3) in rad/s; CPU only, as in Isaac Sim.

        Raises:
            NotImplementedError: On CUDA, where Isaac Sim does not support it; `set_velocities` works everywhere.
        """
        self._set_half("set_angular_velocities", velocities, indices, torch.arange(3, 6))

    def _set_half(self, method: str, velocities: Tensor, indices: Indices, columns: Tensor) -> None:
        if self._device.type == "cuda":
            raise NotImplementedError(f"{method}: Isaac Sim has no such thing on its GPU pipeline; use set_velocities.")
        self._require_movable("velocities")
        self._write(self._VELOCITY, "velocities", velocities, indices, columns)

    # -- what PhysX alone does not have -------------------------------------------------------------------------------

    set_visibilities = unsupported("set_visibilities", "visibilities", indices=None)
    get_visibilities = unsupported("get_visibilities", indices=None)
    apply_visual_materials = unsupported(
        "apply_visual_materials", "visual_materials", weaker_than_descendants=None, indices=None
    )
    get_applied_visual_materials = unsupported("get_applied_visual_materials", indices=None)
    is_visual_material_applied = unsupported("is_visual_material_applied", indices=None)
    get_world_scales = unsupported("get_world_scales", indices=None)
    set_local_scales = unsupported("set_local_scales", "scales", indices=None)
    get_local_scales = unsupported("get_local_scales", indices=None)

    # -- for subclasses -----------------------------------------------------------------------------------------------

    def _resolve(self, relative_paths: list[str]) -> list[str]:
        """Turn the prims that the expression matches into the prims whose rows the view has."""
        return relative_paths

    def _on_physics_ready(self) -> None:
        """Write what the constructor was given, and read what does not change while physics runs."""
        positions, translations, orientations = self._initial_poses
        if translations is not None:
            self.set_local_poses(translations, orientations)
        elif positions is not None or orientations is not None:
            self.set_world_poses(positions, orientations)

    def _fill_defaults(self, state: object, **parts: Tensor | None) -> None:
        """Set the parts of a default state that nobody has set yet."""
        for name, values in parts.items():
            if getattr(state, name) is None:
                setattr(state, name, values)

    def _set_defaults(self, state: object, indices: Indices = None, **parts: Tensor | None) -> None:
        """Replace parts of a default state; before physics runs only whole ones, as nothing is known to index."""
        ready = self.is_physics_handle_valid()
        if indices is not None and not ready:
            raise checks.ArgumentError("indices must be None until physics runs: there is no default state to change.")
        for name, values in parts.items():
            if values is None:
                continue
            if ready:
                rows = self._rows(indices)
                current = getattr(state, name)
                values = self._floats(name, values, (self._num_rows(rows), current.shape[1]))
                if rows is not None:
                    current = current.clone()
                    current[rows] = values
                    values = current
            setattr(state, name, values)

    # -- prims --------------------------------------------------------------------------------------------------------

    def _require_engine(self) -> PhysXEngine:
        if self._engine is None:
            raise checks.ArgumentError(f"View {self.name!r} belongs to no scene yet: scene.add(view) first.")
        return self._engine

    def _find_prims(self) -> list[str]:
        """Return the view's prims as paths relative to an environment, in row order."""
        engine = self._require_engine()
        return self._resolve(paths.expand(self._expressions, engine.stage, max(engine.num_envs, 1)))

    def _shard_paths(self) -> list[list[str]]:
        return [
            [paths.in_environment(path, env_id) for env_id in shard.env_ids for path in self._relative_paths]
            for shard in self._require_engine().shards
        ]

    def _env_0_prims(self) -> list[Usd.Prim]:
        """Return the view's prims in environment 0, all of them editable."""
        stage = self._require_engine().stage
        break_instances(stage.GetPrimAtPath(ENV_0_PATH))
        return [stage.GetPrimAtPath(f"{ENV_0_PATH}/{path}") for path in self._find_prims()]

    # -- settings on the stage ----------------------------------------------------------------------------------------

    def _get_setting(self, setting: Setting, indices: Indices) -> Tensor:
        """Return a setting per prim, (M,) on the engine's device."""
        values = [setting.read(prim) for prim in self._env_0_prims()]
        every = torch.tensor(values, dtype=setting.dtype, device=self._device).repeat(self._require_engine().num_envs)
        return self._pick(every, indices)

    def _set_setting(self, setting: Setting, name: str, values: Any, indices: Indices) -> None:
        """Author a setting, (M,), on environment 0, which every environment is a copy of.

        Raises:
            NotImplementedError: Once physics runs, or if environments would differ.
        """
        engine, attribute = self._require_engine(), setting.attribute
        if engine.is_playing():
            raise NotImplementedError(f"{attribute}: PhysX reads it once, when it starts; set it before.")
        if indices is not None:
            raise NotImplementedError(f"{attribute}: environments are copies of one; indices must be None.")
        device = values.device if isinstance(values, Tensor) else torch.device("cpu")
        values = checks.as_values(name, checks.as_flags(values), (self.count,), device, setting.dtype).cpu()
        checks.refuse_nan(name, values)
        per_env = values.reshape(engine.num_envs, -1)
        if not bool((per_env == per_env[:1]).all()):
            raise NotImplementedError(f"{attribute}: environments are copies of one; {name} must not differ.")
        for prim, value in zip(self._env_0_prims(), per_env[0].tolist(), strict=True):
            setting.author(prim, value)

    # -- quantities ---------------------------------------------------------------------------------------------------

    def _quantity(self, tensor_type: str) -> Quantity:
        """Return the quantity of that `ovphysx.TensorType` name, bound on first use."""
        quantity = self._quantities.get(tensor_type)
        if quantity is None:
            quantity = self._require_engine().quantity(tensor_type, self._shard_paths())
            self._quantities[tensor_type] = quantity
        return quantity

    def _shape(self, quantity: Quantity, rows: Tensor | None, columns: Tensor | None) -> tuple[int, ...]:
        if columns is None:
            return (self._num_rows(rows), *quantity.data.shape[1:])
        return (self._num_rows(rows), len(columns), *quantity.data.shape[2:])

    def _read(self, tensor_type: str, indices: Indices, columns: Tensor | None, clone: bool) -> Tensor:
        """Read rows, and columns of the second dimension, of a quantity, on the engine's device."""
        rows = self._rows(indices)
        data = self._quantity(tensor_type).read()
        result = data[selection(rows, columns, data.device)]
        if result.device != self._device:
            return result.to(self._device)
        return result.clone() if checks.as_flag("clone", clone) and rows is None and columns is None else result

    def _write(self, tensor_type: str, name: str, values: Any, indices: Indices, columns: Tensor | None = None) -> None:
        """Write rows, and columns of the second dimension, of a quantity; columns left out keep their value."""
        quantity = self._quantity(tensor_type)
        rows = self._rows(indices)
        shape = self._shape(quantity, rows, columns)
        values = self._values(name, values, shape, quantity.data.dtype)
        quantity.put(values, rows, columns)

    def _write_poses(
        self,
        tensor_type: str,
        positions: Tensor | None,
        orientations: Tensor | None,
        indices: Indices,
        columns: Tensor | None = None,
    ) -> None:
        """Write positions (M, ..., 3) and orientations (M, ..., 4) as wxyz; what is None keeps its value."""
        lead = self._shape(self._quantity(tensor_type), self._rows(indices), columns)[:-1]
        if positions is None or orientations is None:
            now = self._read_poses(tensor_type, indices, columns, False)
        positions = now[0] if positions is None else self._floats("positions", positions, (*lead, 3))
        orientations = now[1] if orientations is None else self._floats("orientations", orientations, (*lead, 4))
        self._write(tensor_type, "poses", torch.cat((positions, orientations.roll(-1, -1)), -1), indices, columns)
