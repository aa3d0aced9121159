# SPDX-License-Identifier: Apache-2.0
"""The fixed tendons of ArticulationView."""

from __future__ import annotations

import torch

from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.articulation_names import NameMethods
from omni.myriad.engine.physx.views.prim import Indices, needs_physics


class TendonMethods(NameMethods):
    """Properties of fixed tendons, (M, T): M articulations by `indices`, T = `num_fixed_tendons`."""

    @needs_physics
    def get_fixed_tendon_stiffnesses(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return stiffness, (M, T)."""
        return self._tendon("STIFFNESS", indices, clone)

    @needs_physics
    def get_fixed_tendon_dampings(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return damping, (M, T)."""
        return self._tendon("DAMPING", indices, clone)

    @needs_physics
    def get_fixed_tendon_limit_stiffnesses(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return the stiffness beyond the limits, (M, T)."""
        return self._tendon("LIMIT_STIFFNESS", indices, clone)

    @needs_physics
    def get_fixed_tendon_limits(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return lower and upper length limits, (M, T, 2)."""
        return self._tendon("LIMIT", indices, clone)

    @needs_physics
    def get_fixed_tendon_rest_lengths(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return rest lengths, (M, T)."""
        return self._tendon("REST_LENGTH", indices, clone)

    @needs_physics
    def get_fixed_tendon_offsets(self, indices: Indices = None, clone: bool = True) -> torch.Tensor:
        """Return length offsets, (M, T)."""
        return self._tendon("OFFSET", indices, clone)

    @needs_physics
    def set_fixed_tendon_properties(
        self,
        stiffnesses: torch.Tensor | None = None,
        dampings: torch.Tensor | None = None,
        limit_stiffnesses: torch.Tensor | None = None,
        limits: torch.Tensor | None = None,
        rest_lengths: torch.Tensor | None = None,
        offsets: torch.Tensor | None = None,
        indices: Indices = None,
    ) -> None:
        """Set what is not None; (M, T), limits (M, T, 2). Without the first dimension, all get the same."""
        for name, kind, values in (
            ("stiffnesses", "STIFFNESS", stiffnesses),
            ("dampings", "DAMPING", dampings),
            ("limit_stiffnesses", "LIMIT_STIFFNESS", limit_stiffnesses),
            ("limits", "LIMIT", limits),
            ("rest_lengths", "REST_LENGTH", rest_lengths),
            ("offsets", "OFFSET", offsets),
        ):
            if values is None:
                continue
            tensor_type = f"ARTICULATION_FIXED_TENDON_{kind}"
            quantity = self._quantity(tensor_type)
            shape = self._shape(quantity, self._rows(indices), None)
            if isinstance(values, torch.Tensor) and values.ndim == len(shape) - 1:
                one = checks.as_values(name, values, shape[1:], self._device, quantity.data.dtype)
                values = one.expand(shape)
            self._write(tensor_type, name, values, indices)

    def _tendon(self, kind: str, indices: Indices, clone: bool) -> torch.Tensor:
        return self._read(f"ARTICULATION_FIXED_TENDON_{kind}", indices, None, clone)
