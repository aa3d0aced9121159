# SPDX-License-Identifier: Apache-2.0
"""Views as OmniIsaacGymEnvs' files use them: on standalone PhysX, where alone they run."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from omni.myriad.engine import physx
from omni.myriad.engine.base import Indices


class RigidPrimView(physx.RigidPrimView):
    """Rigid bodies, whose forces may come as (num_envs, bodies, 3)."""

    def apply_forces(self, forces: Tensor, indices: Indices = None, is_global: bool = True) -> None:
        """Push bodies at their centres of mass: forces in N, (M, 3) or any shape with as many numbers."""
        super().apply_forces(forces.reshape(-1, 3), indices, is_global)


class ArticulationView(physx.ArticulationView):
    """Robots, whose tendons may be set for all environments alike."""

    def set_fixed_tendon_properties(self, *arguments: Any, **values: Any) -> None:
        """Set properties of tendons, (M, K), or (K,) for all environments."""
        shape = (self.count, self.num_fixed_tendons)
        spread = {k: v.expand(shape) if isinstance(v, Tensor) and v.ndim == 1 else v for k, v in values.items()}
        super().set_fixed_tendon_properties(*arguments, **spread)
