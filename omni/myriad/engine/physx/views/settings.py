# SPDX-License-Identifier: Apache-2.0
"""Settings that live on the USD stage: PhysX reads them once, when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from pxr import Sdf, Usd

from omni.myriad.engine import usd

_TYPES = {torch.int32: "Int", torch.float32: "Float", torch.uint8: "Bool"}


@dataclass(frozen=True)
class Setting:
    """An attribute of an applied schema, which usd-core need not know.

    Attributes:
        schema: Name of the schema.
        attribute: Name of the attribute.
        dtype: Type of a tensor of its values; uint8 stands for booleans.
        fallback: What PhysX assumes where it is not authored, from PhysxSchema.
    """

    schema: str
    attribute: str
    dtype: torch.dtype
    fallback: Any = None

    def read(self, prim: Usd.Prim) -> Any:
        """Return the value of a prim, or the fallback."""
        value = prim.GetAttribute(self.attribute).Get() if prim.HasAttribute(self.attribute) else None
        return self.fallback if value is None else value

    def author(self, prim: Usd.Prim, value: Any) -> None:
        """Set the value of a prim, applying the schema first."""
        value = bool(value) if self.dtype == torch.uint8 else value
        usd.author(prim, self.schema, self.attribute, getattr(Sdf.ValueTypeNames, _TYPES[self.dtype]), value)

    def is_applied(self, prim: Usd.Prim) -> bool:
        """Tell whether a prim has the schema; `Usd.Prim.HasAPI` misses those that usd-core does not know."""
        return self.schema in prim.GetPrimTypeInfo().GetAppliedAPISchemas()
