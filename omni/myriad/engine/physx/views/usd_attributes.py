# SPDX-License-Identifier: Apache-2.0
"""Settings that live on the USD stage: written to environment 0 before physics starts, then only read."""

from __future__ import annotations

from typing import Any

import torch
from pxr import Sdf, Usd

from omni.myriad.engine.base import ENV_0_PATH
from omni.myriad.engine.physx.scene import break_instances
from omni.myriad.engine.physx.views import checks
from omni.myriad.engine.physx.views.prim import Indices, PrimView

_TYPE_NAMES = {torch.int32: "Int", torch.float32: "Float", torch.uint8: "Bool"}


class UsdMethods(PrimView):
    """Access to attributes of the view's prims that PhysX reads once, when it starts."""

    def _env_0_prims(self) -> list[Usd.Prim]:
        """Return the view's prims in environment 0, all of them editable."""
        stage = self._require_engine().stage
        break_instances(stage.GetPrimAtPath(ENV_0_PATH))
        return [stage.GetPrimAtPath(f"{ENV_0_PATH}/{path}") for path in self._find_prims()]

    def _get_usd(self, attribute: str, fallback: Any, dtype: torch.dtype, indices: Indices) -> torch.Tensor:
        """Return an attribute per prim, (M,) on the engine's device; the schema's fallback where it is not authored."""
        values = []
        for prim in self._env_0_prims():
            value = prim.GetAttribute(attribute).Get() if prim.HasAttribute(attribute) else None
            values.append(fallback if value is None else value)
        rows = torch.tensor(values, dtype=dtype, device=self._device).repeat(self._require_engine().num_envs)
        index = checks.as_indices("indices", indices, len(rows), self._device) if indices is not None else None
        return rows if index is None else rows[index]

    def _set_usd(
        self, schema: str, attribute: str, name: str, values: Any, dtype: torch.dtype, indices: Indices
    ) -> None:
        """Author an attribute, (M,), on environment 0, which every environment is a copy of.

        Raises:
            NotImplementedError: Once physics runs, or if environments would differ.
        """
        engine = self._require_engine()
        if engine.is_playing():
            raise NotImplementedError(f"{attribute}: PhysX reads it once, when it starts; set it before.")
        if indices is not None:
            raise NotImplementedError(f"{attribute}: environments are copies of one; indices must be None.")
        if isinstance(values, torch.Tensor) and values.dtype == torch.bool:
            values = values.to(torch.uint8)
        device = values.device if isinstance(values, torch.Tensor) else torch.device("cpu")
        values = checks.as_values(name, values, (self.count,), device, dtype).cpu()
        per_env = values.reshape(engine.num_envs, -1)
        if not bool((per_env == per_env[:1]).all()):
            raise NotImplementedError(f"{attribute}: environments are copies of one; {name} must not differ.")
        for prim, value in zip(self._env_0_prims(), per_env[0].tolist(), strict=True):
            author(prim, schema, attribute, _TYPE_NAMES[dtype], bool(value) if dtype == torch.uint8 else value)


def author(prim: Usd.Prim, schema: str, attribute: str, type_name: str, value: Any) -> None:
    """Set an attribute of an applied schema that usd-core need not know, applying it first."""
    prim.AddAppliedSchema(schema)
    prim.CreateAttribute(attribute, getattr(Sdf.ValueTypeNames, type_name)).Set(value)


def has_schema(prim: Usd.Prim, schema: str) -> bool:
    """Tell whether a schema is applied; `Usd.Prim.HasAPI` and `GetAppliedSchemas` miss those usd-core does not know."""
    return schema in prim.GetPrimTypeInfo().GetAppliedAPISchemas()
