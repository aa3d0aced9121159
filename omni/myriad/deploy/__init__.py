# SPDX-License-Identifier: Apache-2.0
"""Policies judged outside the trainer: one robot, driven by the exported file, in PhysX and in MuJoCo."""
