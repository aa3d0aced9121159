# SPDX-License-Identifier: Apache-2.0
"""RigidPrimView: all rigid bodies of a kind, including the links of robots."""

from omni.myriad.engine.physx.views.prim import PrimView


class RigidPrimView(PrimView):
    """The rigid bodies that an expression names."""
