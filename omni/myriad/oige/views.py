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
from omni.myriad.engine.view import Indices

logger = logging.getLogger(__name__)


class RigidPrimView(physx.RigidPrimView):
    """Rigid bodies, whose forces may come as (num_envs, bodies, 3)."""

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
