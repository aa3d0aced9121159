# SPDX-License-Identifier: Apache-2.0
"""Policies judged outside the trainer: one robot, driven by the exported file, in PhysX and in MuJoCo.

The only room that knows MuJoCo: it judges here and does not train, so it is no engine in `omni.myriad.engine`.
"""
