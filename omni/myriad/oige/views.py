# SPDX-License-Identifier: Apache-2.0
"""Views as OmniIsaacGymEnvs' files use them: on standalone PhysX, where alone they run.

What a getter returns is a copy, `clone=False` or not: files change it in place and ask again in the same step, which in
Isaac Sim reads again.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from omni.myriad.engine import physx
from omni.myriad.engine.physx.views.settings import Setting
from omni.myriad.engine.view import Indices

logger = logging.getLogger(__name__)


_MASS = Setting("PhysicsMassAPI", "physics:mass", torch.float32, 0.0)


class RigidPrimView(physx.RigidPrimView):
    """Rigid bodies, whose forces may come as (num_envs, bodies, 3).

    Args:
        *arguments: As there.
        masses: In kg, (N,), the same in every environment: authored before physics starts, as Isaac Sim does, so that
            inertias are those of these masses.
        **options: As there.
    """

    def __init__(self, *arguments: Any, masses: Tensor | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._authored_masses = masses

    def bind(self, engine: Any) -> None:
        """Connect the view to the engine, and author masses."""
        super().bind(engine)
        if self._authored_masses is not None:
            self._set_setting(_MASS, "masses", self._authored_masses, None)

    def _read(self, tensor_type: str, indices: Indices, columns: Tensor | None, clone: bool) -> Tensor:
        return super()._read(tensor_type, indices, columns, True)

    def get_local_scales(self, indices: Indices = None) -> Tensor:
        """Return ones, (M, 3): what scales the files author is on the stage."""
        return torch.ones((self.count if indices is None else len(indices), 3), device=self._device)

    def set_local_scales(self, scales: Tensor, indices: Indices = None) -> None:
        """Leave sizes as they are, and say so: environments are replicas of one, as they are in Isaac Sim."""
        logger.warning("%s: scales that differ between environments are left out", self.name)

    def apply_forces(self, forces: Tensor, indices: Indices = None, is_global: bool = True) -> None:
        """Push bodies at their centres of mass: forces in N, (M, 3) or any shape with as many numbers."""
        super().apply_forces(forces.reshape(-1, 3), indices, is_global)


class ArticulationView(physx.ArticulationView):
    """Robots, whose tendons may be set for all environments alike."""

    def _read(self, tensor_type: str, indices: Indices, columns: Tensor | None, clone: bool) -> Tensor:
        return super()._read(tensor_type, indices, columns, True)

    def set_fixed_tendon_properties(self, *arguments: Any, **values: Any) -> None:
        """Set properties of tendons, (M, K), or (K,) for all environments."""
        shape = (self.count, self.num_fixed_tendons)
        spread = {k: v.expand(shape) if isinstance(v, Tensor) and v.ndim == 1 else v for k, v in values.items()}
        super().set_fixed_tendon_properties(*arguments, **spread)
