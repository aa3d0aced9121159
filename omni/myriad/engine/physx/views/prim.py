# SPDX-License-Identifier: Apache-2.0
"""What articulation and rigid body views have in common: paths, readiness, indices, quantities."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import torch

from omni.myriad.engine.physx.quantity import Kind, Quantity
from omni.myriad.engine.physx.views import checks, paths

if TYPE_CHECKING:
    from omni.myriad.engine.physx.engine import PhysXEngine

logger = logging.getLogger(__name__)

Indices = torch.Tensor | Sequence[int] | None
Names = Sequence[str] | None

_CONTROLS = ("DOF_POSITION_TARGET", "DOF_VELOCITY_TARGET", "DOF_ACTUATION_FORCE")
_PROPERTIES = (
    *("_MASS", "_INERTIA", "_COM_POSE", "_DISABLE_SIMULATION", "_DISABLE_GRAVITY", "_STIFFNESS", "_DAMPING", "_LIMIT"),
    *("_MAX_VELOCITY", "_MAX_FORCE", "_ARMATURE", "_FRICTION_PROPERTIES", "_DRIVE_TYPE", "_REST_LENGTH", "_OFFSET"),
)

_P = ParamSpec("_P")
_R = TypeVar("_R")
_V = TypeVar("_V", bound="PrimView")


def needs_physics(method: Callable[Concatenate[_V, _P], _R]) -> Callable[Concatenate[_V, _P], _R]:
    """Make a method of a view warn and return None, as Isaac Sim's do, until the view is initialised.

    The return type leaves that None out: code that runs once physics does need not check for it.
    """

    @functools.wraps(method)
    def wrapper(self: _V, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        if self.is_physics_handle_valid():
            return method(self, *args, **kwargs)
        logger.warning("%s.%s: physics is not running, so there is nothing to get or set", self.name, method.__name__)
        return None  # type: ignore[return-value]

    return wrapper


class PrimView:
    """A batch of prims, the same ones in every environment, in environment order.

    Args:
        prim_paths_expr: Expression such as "/World/envs/.*/Ant/torso", or several.
        name: Name under which the scene registers the view.

    Attributes:
        name: Name of the view.
    """

    def __init__(self, prim_paths_expr: str | list[str], name: str) -> None:
        self.name = name
        self._expressions = [prim_paths_expr] if isinstance(prim_paths_expr, str) else list(prim_paths_expr)
        self._engine: PhysXEngine | None = None
        self._relative_paths: list[str] = []
        self._quantities: dict[str, Quantity] = {}
        self._generation: list[Any] | None = None
        self._checked: dict[str, tuple[Any, int, int, torch.Tensor]] = {}

    # -- life ---------------------------------------------------------------------------------------------------------

    def bind(self, engine: PhysXEngine) -> None:
        """Connect the view to the engine whose scene it was added to."""
        self._engine = engine

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
        self._quantities = {}
        self._checked = {}
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

    # -- for subclasses -----------------------------------------------------------------------------------------------

    def _resolve(self, relative_paths: list[str]) -> list[str]:
        """Turn the prims that the expression matches into the prims whose rows the view has."""
        return relative_paths

    def _on_physics_ready(self) -> None:
        """Read what does not change while physics runs."""

    def _find_prims(self) -> list[str]:
        """Return the view's prims as paths relative to an environment, in row order."""
        engine = self._require_engine()
        return self._resolve(paths.expand(self._expressions, engine.stage, max(engine.num_envs, 1)))

    def _require_engine(self) -> PhysXEngine:
        if self._engine is None:
            raise checks.ArgumentError(f"View {self.name!r} belongs to no scene yet: scene.add(view) first.")
        return self._engine

    @property
    def _device(self) -> torch.device:
        return self._require_engine().device

    def _shard_paths(self) -> list[list[str]]:
        return [
            [paths.in_environment(path, env_id) for env_id in shard.env_ids for path in self._relative_paths]
            for shard in self._require_engine().shards
        ]

    def _quantity(self, tensor_type: str) -> Quantity:
        """Return the quantity of that `ovphysx.TensorType` name, bound on first use."""
        quantity = self._quantities.get(tensor_type)
        if quantity is None:
            from ovphysx.types import TensorType

            kind = Kind.STATE
            if tensor_type.endswith(_CONTROLS):
                kind = Kind.CONTROL
            elif tensor_type.endswith(_PROPERTIES):
                kind = Kind.PROPERTY
            quantity = Quantity(self._require_engine(), self._shard_paths(), TensorType[tensor_type], kind)
            self._quantities[tensor_type] = quantity
        return quantity

    def _index(self, name: str, indices: Indices, size: int) -> torch.Tensor | None:
        """Check indices once: the check waits for the GPU, and tasks pass the same tensor step after step."""
        if indices is None:
            return None
        cached = self._checked.get(name)
        if isinstance(indices, torch.Tensor):
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

    def _rows(self, indices: Indices) -> torch.Tensor | None:
        """Check prim indices; None stays None and means all."""
        return self._index("indices", indices, self.count)

    def _read(self, tensor_type: str, indices: Indices, columns: torch.Tensor | None, clone: bool) -> torch.Tensor:
        """Read rows, and columns of the second dimension, of a quantity, on the engine's device."""
        rows = self._rows(indices)
        data = self._quantity(tensor_type).read()
        result = data[_selection(rows, columns, data.device)]
        if result.device != self._device:
            return result.to(self._device)
        return result.clone() if clone and rows is None and columns is None else result

    def _write(
        self, tensor_type: str, name: str, values: Any, indices: Indices, columns: torch.Tensor | None = None
    ) -> None:
        """Write rows, and columns of the second dimension, of a quantity; columns left out keep their value."""
        quantity = self._quantity(tensor_type)
        rows = self._rows(indices)
        shape = self._shape(quantity, rows, columns)
        values = checks.as_values(name, values, shape, self._device, quantity.data.dtype).to(quantity.data.device)
        data = quantity.data if columns is None else quantity.read()
        where = _selection(rows, columns, data.device)
        envs = self._require_engine().only_envs
        if quantity.idle and rows is not None and envs is not None:
            # It may be sent as a whole one day, so rows of other environments have to stay as they are.
            mask = envs[rows // (self.count // len(envs))].view(-1, *[1] * (values.ndim - 1))
            values = torch.where(mask, values, data[where])
        data[where] = values
        quantity.write(rows)

    def _shape(self, quantity: Quantity, rows: torch.Tensor | None, columns: torch.Tensor | None) -> tuple[int, ...]:
        num_rows = self.count if rows is None else len(rows)
        if columns is None:
            return (num_rows, *quantity.data.shape[1:])
        return (num_rows, len(columns), *quantity.data.shape[2:])


def _selection(rows: torch.Tensor | None, columns: torch.Tensor | None, device: torch.device) -> Any:
    """Return what picks rows and columns of a tensor on `device`; a plain slice, and so a view, if all are wanted."""
    if rows is None:
        return slice(None) if columns is None else (slice(None), columns.to(device))
    if columns is None:
        return rows.to(device)
    return rows.to(device)[:, None], columns.to(device)
