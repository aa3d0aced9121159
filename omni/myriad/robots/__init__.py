# SPDX-License-Identifier: Apache-2.0
"""Robots from elsewhere: URDF, MJCF and USD files, and those that pip brings, as one USD that PhysX can step."""

from .robot import Frame, Home, Joint, Mimic, Robot, find

__all__ = ["Frame", "Home", "Joint", "Mimic", "Robot", "find"]
