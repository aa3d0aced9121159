# SPDX-License-Identifier: Apache-2.0
"""What articulation and rigid body views have in common: prims, indices, quantities, poses and velocities."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch
from pxr import Gf, Usd, UsdGeom
from torch import Tensor

from omni.myriad.engine.base import ENV_0_PATH, Indices
from omni.myriad.engine.physx.quantity import Kind, Quantity
from omni.myriad.engine.physx.views import checks, paths
from omni.myriad.engine.physx.views.settings import Setting
from omni.myriad.engine.physx.views.unsupported import UNSUPPORTED, unsupported
from omni.myriad.engine.usd import break_instances
from omni.myriad.maths import quat_conjugate, quat_mul

if TYPE_CHECKING:
    from omni.myriad.engine.physx.engine import PhysXEngine

logger = logging.getLogger(__name__)

Names = Sequence[str] | None
Poses = tuple[Tensor, Tensor]

_CONTROLS = ("DOF_POSITION_TARGET", "DOF_VELOCITY_TARGET", "DOF_ACTUATION_FORCE")
_PROPERTIES = (
    *("_MASS", "_INERTIA", "_COM_POSE", "_DISABLE_SIMULATION", "_DISABLE_GRAVITY", "_STIFFNESS", "_DAMPING", "_LIMIT"),
    *("_MAX_VELOCITY", "_MAX_FORCE", "_ARMATURE", "_FRICTION_PROPERTIES", "_DRIVE_TYPE", "_REST_LENGTH", "_OFFSET"),
    "_FRICTION_AND_RESTITUTION",
)

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
    """Make what a class of views defines warn and return None until physics runs, as Isaac Sim's views do.

    That is all of its public methods and properties but those of `BEFORE_PHYSICS`. Their types leave that None out:
    code that runs once physics does need not check for it.
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

    for name, member in list(vars(view).items()):
        if name.startswith("_") or name in BEFORE_PHYSICS or name in UNSUPPORTED:
            continue
        if inspect.isfunction(member):
            setattr(view, name, guarded(member))
        elif isinstance(member, property) and member.fget is not None:
            setattr(view, name, property(guarded(member.fget)))
    return view


@needs_physics
class PrimView:
    """A batch of prims, the same ones in every environment, in environment order.

    Poses are in metres and wxyz, velocities in m/s and rad/s in the world frame; (M, ...) for the M prims of `indices`,
    of which None means all. A linear velocity is that of the prim's centre of mass. With `clone=False` a getter of all
    prims may return the view's own buffer, which the next read overwrites.

    Args:
        prim_paths_expr: Expression such as "/World/envs/.*/Ant/torso", or several.
        name: Name under which the scene registers the view.
        positions: Default world positions in m, (N, 3), taken when physics starts.
        translations: Default positions in m in the parent's frame, (N, 3), instead of `positions`.
        orientations: Default orientations as wxyz, (N, 4), in the same frame.
        scales: Not available here: PhysX reads sizes from environment 0.
        visibilities: Not available here: nothing is rendered.

    Attributes:
        name: Name of the view.
    """

    _POSE: ClassVar[str]
    _VELOCITY: ClassVar[str]

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
        self._engine: PhysXEngine | None = None
        self._relative_paths: list[str] = []
        self._quantities: dict[str, Quantity] = {}
        self._generation: list[Any] | None = None
        self._checked: dict[str, tuple[Any, int, int, Tensor]] = {}
        self._parents: tuple[Tensor, Tensor, Tensor] | None = None

    # -- life ---------------------------------------------------------------------------------------------------------

    def bind(self, engine: PhysXEngine) -> None:
        """Connect the view to the engine whose scene it was added to."""
        self._engine = engine
        self._on_bound()

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
        return self._generation is not None and self._engine is not None and self._generation is self._engine.shards

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

    # -- poses in the world -------------------------------------------------------------------------------------------

    def get_world_poses(self, indices: Indices = None, clone: bool = True, usd: bool = True) -> Poses:
        """Return positions (M, 3) in m and orientations (M, 4) as wxyz, in the world frame.

        Args:
            indices: Prims; None means all.
            clone: Whether to copy the view's buffer.
            usd: Accepted for Isaac Sim's sake and unused: PhysX holds the poses.
        """
        return self._read_poses(self._POSE, indices, None, clone)

    def set_world_poses(
        self,
        positions: Tensor | None = None,
        orientations: Tensor | None = None,
        indices: Indices = None,
        usd: bool = True,
    ) -> None:
        """Put prims at positions (M, 3) in m and orientations (M, 4) as wxyz, in the world frame.

        Args:
            positions: None leaves them as they are.
            orientations: None leaves them as they are.
            indices: Prims; None means all.
            usd: Accepted for Isaac Sim's sake and unused: PhysX holds the poses.
        """
        self._require_movable("poses")
        self._write_poses(self._POSE, positions, orientations, indices)

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

    # -- velocities ---------------------------------------------------------------------------------------------------

    def get_velocities(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return linear (m/s) and angular (rad/s) velocities in the world frame, (M, 6)."""
        return self._read(self._VELOCITY, indices, None, clone)

    def set_velocities(self, velocities: Tensor, indices: Indices = None) -> None:
        """Set linear (m/s) and angular (rad/s) velocities in the world frame, (M, 6)."""
        self._require_movable("velocities")
        self._write(self._VELOCITY, "velocities", velocities, indices)

    def get_linear_velocities(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return linear velocities in the world frame, (M, 3) in m/s."""
        velocities = self._read(self._VELOCITY, indices, None, False)[:, :3]
        return velocities.clone() if clone else velocities

    def set_linear_velocities(self, velocities: Tensor, indices: Indices = None) -> None:
        """Set linear velocities in the world frame, (M, 3) in m/s; CPU only, as in Isaac Sim.

        Raises:
            NotImplementedError: On CUDA, where Isaac Sim does not support it; `set_velocities` works everywhere.
        """
        self._set_half("set_linear_velocities", velocities, indices, torch.arange(3))

    def get_angular_velocities(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return angular velocities in the world frame, (M, 3) in rad/s."""
        velocities = self._read(self._VELOCITY, indices, None, False)[:, 3:]
        return velocities.clone() if clone else velocities

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

    def _require_movable(self, what: str) -> None:
        """Raise if this view's prims cannot be moved one by one."""

    def _on_bound(self) -> None:
        """Author on environment 0 what physics reads when it starts."""

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

    @property
    def _device(self) -> torch.device:
        return self._require_engine().device

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
            quantity = self._quantities[tensor_type] = self._new_quantity(tensor_type)
        return quantity

    def _new_quantity(self, tensor_type: str) -> Quantity:
        from ovphysx.types import TensorType

        kind = Kind.STATE
        if tensor_type.endswith(_CONTROLS):
            kind = Kind.CONTROL
        elif tensor_type.endswith(_PROPERTIES):
            kind = Kind.PROPERTY
        return Quantity(self._require_engine(), self._shard_paths(), TensorType[tensor_type], kind)

    def _index(self, name: str, indices: Indices, size: int) -> Tensor | None:
        """Check indices once: the check waits for the GPU, and tasks pass the same tensor step after step."""
        if indices is None:
            return None
        cached = self._checked.get(name)
        if isinstance(indices, Tensor):
            version = -1 if indices.is_inference() else indices._version
            if cached is not None and cached[0] is indices and cached[1] == version >= 0 and cached[2] == size:
                return cached[3]
        elif isinstance(indices, (list, tuple, range)):
            version, indices = 0, list(indices)
            if cached is not None and isinstance(cached[0], list) and cached[0] == indices and cached[2] == size:
                return cached[3]
        else:
            return checks.as_indices(name, indices, size, self._device)
        checked = checks.as_indices(name, indices, size, self._device)
        self._checked[name] = (indices, version, size, checked)
        return checked

    def _rows(self, indices: Indices) -> Tensor | None:
        """Check prim indices; None stays None and means all."""
        return self._index("indices", indices, self.count)

    def _num_rows(self, rows: Tensor | None) -> int:
        return self.count if rows is None else len(rows)

    def _pick(self, values: Tensor, indices: Indices) -> Tensor:
        rows = self._rows(indices)
        return values if rows is None else values[rows]

    def _floats(self, name: str, values: Any, shape: tuple[int, ...]) -> Tensor:
        return checks.as_values(name, values, shape, self._device, torch.float32)

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
        return result.clone() if clone and rows is None and columns is None else result

    def _write(self, tensor_type: str, name: str, values: Any, indices: Indices, columns: Tensor | None = None) -> None:
        """Write rows, and columns of the second dimension, of a quantity; columns left out keep their value."""
        quantity = self._quantity(tensor_type)
        rows = self._rows(indices)
        shape = self._shape(quantity, rows, columns)
        values = checks.as_values(name, values, shape, self._device, quantity.data.dtype).to(quantity.data.device)
        data = quantity.data if columns is None else quantity.read()
        where = selection(rows, columns, data.device)
        envs = self._require_engine().ledger.only_envs
        if quantity.idle and rows is not None and envs is not None:
            # It may be sent as a whole one day, so rows of other environments have to stay as they are.
            mask = envs[rows // (self.count // len(envs))].view(-1, *[1] * (values.ndim - 1))
            values = torch.where(mask, values, data[where])
        data[where] = values
        quantity.write(rows)

    def _read_poses(self, tensor_type: str, indices: Indices, columns: Tensor | None, clone: bool) -> Poses:
        """Read positions (M, ..., 3) and orientations (M, ..., 4) as wxyz, where PhysX has xyzw."""
        poses = self._read(tensor_type, indices, columns, False)
        positions = poses[..., :3]
        return positions.clone() if clone else positions, poses[..., 3:].roll(1, -1)

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


def selection(rows: Tensor | None, columns: Tensor | None, device: torch.device) -> tuple[Any, ...]:
    """Return what picks rows and columns of a tensor on `device`; a plain slice, and so a view, if all are wanted."""
    if rows is None:
        return (slice(None),) if columns is None else (slice(None), columns.to(device))
    if columns is None:
        return (rows.to(device),)
    return rows.to(device)[:, None], columns.to(device)
