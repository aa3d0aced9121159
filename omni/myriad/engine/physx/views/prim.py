# SPDX-License-Identifier: Apache-2.0
"""What articulation and rigid body views have in common: paths, readiness, indices, quantities."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from omni.myriad.engine.physx.quantity import Quantity
from omni.myriad.engine.physx.views import checks, paths

if TYPE_CHECKING:
    from omni.myriad.engine.physx.engine import PhysXEngine

logger = logging.getLogger(__name__)

Indices = torch.Tensor | Sequence[int] | None

# Writing one of these changes what others read.
_STATES = {
    "RIGID_BODY_POSE",
    "RIGID_BODY_VELOCITY",
    "ARTICULATION_ROOT_POSE",
    "ARTICULATION_ROOT_VELOCITY",
    "ARTICULATION_DOF_POSITION",
    "ARTICULATION_DOF_VELOCITY",
}


class PrimView:
    """A batch of prims, `per_env` of them in every environment, in environment order.

    Args:
        prim_paths_expr: Expression such as "/World/envs/.*/Ant/torso", or several.
        name: Name under which the scene registers the view.

    Attributes:
        name: Name of the view.
    """

    def __init__(self, prim_paths_expr: str | list[str], name: str) -> None:
        self.name = name
        self._expressions = prim_paths_expr
        self._engine: PhysXEngine | None = None
        self._relative_paths: list[str] = []
        self._quantities: dict[str, Quantity] = {}
        self._generation: list[Any] | None = None
        self._checked_indices: tuple[torch.Tensor, int, torch.Tensor] | None = None

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
            raise checks.ArgumentError(f"View {self.name!r} has no running physics: scene.add(view), then reset the engine.")
        if self._generation is self._engine.shards:
            return
        self._quantities = {}
        self._relative_paths = self._resolve(paths.expand(self._expressions, self._engine.stage, self._engine.num_envs))
        self._generation = self._engine.shards

    def is_physics_handle_valid(self) -> bool:
        """Tell whether the view is initialised and its physics still runs."""
        return self._engine is not None and self._engine.is_playing() and self._generation is self._engine.shards

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
        return len(self._relative_paths) * (self._engine.num_envs if self._engine else 0)

    @property
    def prim_paths(self) -> list[str]:
        """Paths of all prims, in the order of the rows of every tensor."""
        return [path for shard_paths in self._shard_paths() for path in shard_paths]

    # -- for subclasses -----------------------------------------------------------------------------------------------

    def _resolve(self, relative_paths: list[str]) -> list[str]:
        """Turn the prims that the expression matches into the prims whose rows the view has."""
        return relative_paths

    @property
    def _device(self) -> torch.device:
        assert self._engine is not None
        return self._engine.device

    def _ready(self, method: str) -> bool:
        """Tell whether physics can be asked; warn, as Isaac Sim does, when it cannot."""
        if self.is_physics_handle_valid():
            return True
        logger.warning("%s.%s: physics is not running yet, so there is nothing to return or set", self.name, method)
        return False

    def _shard_paths(self) -> list[list[str]]:
        assert self._engine is not None
        return [
            [paths.in_environment(path, env_id) for env_id in shard.env_ids for path in self._relative_paths]
            for shard in self._engine.shards
        ]

    def _quantity(self, tensor_type: str) -> Quantity:
        """Return the quantity of that `ovphysx.TensorType` name, bound on first use."""
        quantity = self._quantities.get(tensor_type)
        if quantity is None:
            from ovphysx.types import TensorType

            assert self._engine is not None
            quantity = Quantity(self._engine, self._shard_paths(), TensorType[tensor_type], tensor_type in _STATES)
            self._quantities[tensor_type] = quantity
        return quantity

    def _rows(self, indices: Indices) -> torch.Tensor | None:
        """Check environment indices; None stays None and means all."""
        if indices is None:
            return None
        cached = self._checked_indices
        # A reset hands the same tensor to several setters: check it, which waits for the GPU, once.
        if cached is not None and cached[0] is indices and cached[1] == indices._version:  # type: ignore[union-attr]
            return cached[2]
        rows = checks.as_indices("indices", indices, self.count, self._device)
        if isinstance(indices, torch.Tensor):
            self._checked_indices = (indices, indices._version, rows)
        return rows

    def _read(self, tensor_type: str, indices: Indices, columns: torch.Tensor | None, clone: bool) -> torch.Tensor:
        """Read rows, and columns of the second dimension, of a quantity, on the engine's device."""
        data = self._quantity(tensor_type).read()
        rows = self._rows(indices)
        if columns is not None:
            columns = columns.to(data.device)
        if rows is None and columns is None:
            result = data
        elif rows is None:
            result = data[:, columns]
        elif columns is None:
            result = data[rows.to(data.device)]
        else:
            result = data[rows.to(data.device)[:, None], columns]
        if result.device != self._device:
            return result.to(self._device)
        return result.clone() if clone and result is data else result

    def _write(
        self, tensor_type: str, name: str, values: Any, indices: Indices, columns: torch.Tensor | None = None
    ) -> None:
        """Write rows, and columns of the second dimension, of a quantity; columns left out keep their value."""
        quantity = self._quantity(tensor_type)
        rows = self._rows(indices)
        num_rows = self.count if rows is None else len(rows)
        shape = (num_rows, *quantity.data.shape[1:])
        if columns is not None:
            shape = (num_rows, len(columns), *quantity.data.shape[2:])
        values = checks.as_values(name, values, shape, self._device, quantity.data.dtype).to(quantity.data.device)
        if columns is None:
            data = quantity.data
        else:
            data = quantity.read()
            columns = columns.to(data.device)
        on_device = rows if rows is None else rows.to(data.device)
        if on_device is None and columns is None:
            data.copy_(values)
        elif on_device is None:
            data[:, columns] = values
        elif columns is None:
            data[on_device] = values
        else:
            data[on_device[:, None], columns] = values
        quantity.write(rows)
