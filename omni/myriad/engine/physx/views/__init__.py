# SPDX-License-Identifier: Apache-2.0
"""Batched views of robots and bodies with the names and semantics of Isaac Sim's `Articulation` and `RigidPrim`."""
