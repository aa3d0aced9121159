# SPDX-License-Identifier: Apache-2.0
"""The solver settings of ArticulationView: iterations, thresholds, self-collisions."""

from __future__ import annotations

import torch

from omni.myriad.engine.physx.views.prim import Indices
from omni.myriad.engine.physx.views.usd_attributes import UsdMethods

# attribute below physxArticulation -> what PhysX assumes where it is not authored, from PhysxSchema
_FALLBACKS = {
    "solverPositionIterationCount": 32,
    "solverVelocityIterationCount": 1,
    "stabilizationThreshold": 1e-5,
    "sleepThreshold": 5e-5,
    "enabledSelfCollisions": True,
}


class SolverMethods(UsdMethods):
    """Per articulation, (M,). PhysX takes these from USD when it starts.

    Setters therefore work before that, for all environments alike, and raise NotImplementedError afterwards.
    """

    def set_solver_position_iteration_counts(self, counts: torch.Tensor, indices: Indices = None) -> None:
        """Set the solver's position iterations, (M,) int32."""
        self._set_solver("solverPositionIterationCount", "counts", counts, torch.int32, indices)

    def get_solver_position_iteration_counts(self, indices: Indices = None) -> torch.Tensor:
        """Return the solver's position iterations, (M,) int32."""
        return self._get_solver("solverPositionIterationCount", torch.int32, indices)

    def set_solver_velocity_iteration_counts(self, counts: torch.Tensor, indices: Indices = None) -> None:
        """Set the solver's velocity iterations, (M,) int32."""
        self._set_solver("solverVelocityIterationCount", "counts", counts, torch.int32, indices)

    def get_solver_velocity_iteration_counts(self, indices: Indices = None) -> torch.Tensor:
        """Return the solver's velocity iterations, (M,) int32."""
        return self._get_solver("solverVelocityIterationCount", torch.int32, indices)

    def set_stabilization_thresholds(self, thresholds: torch.Tensor, indices: Indices = None) -> None:
        """Set the mass-normalised energy below which a robot may be stabilised, (M,) in m^2/s^2."""
        self._set_solver("stabilizationThreshold", "thresholds", thresholds, torch.float32, indices)

    def get_stabilization_thresholds(self, indices: Indices = None) -> torch.Tensor:
        """Return the mass-normalised energy below which a robot may be stabilised, (M,) in m^2/s^2."""
        return self._get_solver("stabilizationThreshold", torch.float32, indices)

    def set_sleep_thresholds(self, thresholds: torch.Tensor, indices: Indices = None) -> None:
        """Set the mass-normalised energy below which a robot may go to sleep, (M,) in m^2/s^2."""
        self._set_solver("sleepThreshold", "thresholds", thresholds, torch.float32, indices)

    def get_sleep_thresholds(self, indices: Indices = None) -> torch.Tensor:
        """Return the mass-normalised energy below which a robot may go to sleep, (M,) in m^2/s^2."""
        return self._get_solver("sleepThreshold", torch.float32, indices)

    def set_enabled_self_collisions(self, flags: torch.Tensor, indices: Indices = None) -> None:
        """Set whether links of a robot collide with each other, (M,) uint8 or bool."""
        self._set_solver("enabledSelfCollisions", "flags", flags, torch.uint8, indices)

    def get_enabled_self_collisions(self, indices: Indices = None) -> torch.Tensor:
        """Return whether links of a robot collide with each other, (M,) uint8."""
        return self._get_solver("enabledSelfCollisions", torch.uint8, indices)

    def _get_solver(self, attribute: str, dtype: torch.dtype, indices: Indices) -> torch.Tensor:
        return self._get_usd(f"physxArticulation:{attribute}", _FALLBACKS[attribute], dtype, indices)

    def _set_solver(
        self, attribute: str, name: str, values: torch.Tensor, dtype: torch.dtype, indices: Indices
    ) -> None:
        self._set_usd("PhysxArticulationAPI", f"physxArticulation:{attribute}", name, values, dtype, indices)
