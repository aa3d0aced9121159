# SPDX-License-Identifier: Apache-2.0
"""Our Ant in DART, the physics engine that Gazebo uses by default: one robot per process, as in a robot's simulator."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

_GRAVITY = -9.81


class DartAnt:
    """One ant on a floor.

    Args:
        file: The robot's MJCF file: spheres and capsules, hinges and a keyframe, as `assets/build.py` writes them.
        dt: Step in s.
        decimation: Steps in a control step.
        max_effort: Torques are drawn evenly between -max_effort and max_effort, in N m.

    Attributes:
        robot: DART's skeleton.
        world: DART's world.
    """

    def __init__(self, file: Path, dt: float, decimation: int, max_effort: float) -> None:
        self._dart: Any = import_module("dartpy")
        self._decimation, self._max_effort = decimation, max_effort
        dynamics = self._dart.dynamics
        self.world = self._dart.simulation.World()
        self.world.setTimeStep(dt)
        self.world.setGravity([0.0, 0.0, _GRAVITY])
        # Gazebo's choice, and the one of DART's that has capsules.
        self.world.getConstraintSolver().setCollisionDetector(self._dart.collision.OdeCollisionDetector())
        floor = dynamics.Skeleton("floor")
        _, ground = floor.createWeldJointAndBodyNodePair()
        self._add_shape(ground, dynamics.BoxShape([1000.0, 1000.0, 1.0]), np.eye(3), np.array([0.0, 0.0, -0.5]))
        self.world.addSkeleton(floor)
        tree = ElementTree.parse(file).getroot()
        self.robot = dynamics.Skeleton("robot")
        (torso,) = tree.findall("worldbody/body")
        self._add_body(torso, None)
        self.world.addSkeleton(self.robot)
        (key,) = tree.findall("keyframe/key")
        start = _numbers(key.get("qpos"))
        positions = self.robot.getPositions()
        positions[3:6], positions[6:] = start[:3], start[7:]  # DART has a free joint's rotation first
        self.robot.setPositions(positions)
        self._forces = np.zeros(len(positions))
        self._random = np.random.default_rng()

    def step(self) -> None:
        """Make a control step with random torques."""
        self._forces[6:] = self._random.uniform(-self._max_effort, self._max_effort, len(self._forces) - 6)
        for _ in range(self._decimation):
            self.robot.setForces(self._forces)
            self.world.step()
        self.robot.getPositions()
        self.robot.getVelocities()

    def _add_body(self, element: ElementTree.Element, parent: Any) -> None:
        dynamics, hinge = self._dart.dynamics, element.find("joint")
        if hinge is None:
            _, body = self.robot.createFreeJointAndBodyNodePair(parent)
        else:
            properties, axis = dynamics.RevoluteJointProperties(), _numbers(hinge.get("axis"))
            properties.mAxis = axis / np.linalg.norm(axis)
            properties.mT_ParentBodyToJoint = self._dart.math.Isometry3(np.eye(3), _numbers(element.get("pos")))
            joint, body = self.robot.createRevoluteJointAndBodyNodePair(parent, properties)
            low, high = np.radians(_numbers(hinge.get("range")))
            joint.setPositionLowerLimit(0, low)
            joint.setPositionUpperLimit(0, high)
            joint.setLimitEnforcement(True)
            joint.setDampingCoefficient(0, float(hinge.get("damping", 0.0)))
        parts = [self._add_geom(geom, body) for geom in element.findall("geom")]
        mass = sum(part for part, _, _ in parts)
        centre = sum(part * at for part, at, _ in parts) / mass
        inertia = sum(turning + part * _steiner(at - centre) for part, at, turning in parts)
        body.setInertia(dynamics.Inertia(mass, centre, inertia))
        for child in element.findall("body"):
            self._add_body(child, body)

    def _add_geom(self, geom: ElementTree.Element, body: Any) -> tuple[float, np.ndarray, np.ndarray]:
        """Add a shape, and return its mass, its centre, and its inertia about it."""
        dynamics, mass, radius = self._dart.dynamics, float(geom.get("mass", 0.0)), _numbers(geom.get("size"))[0]
        if geom.get("type") == "sphere":
            shape, centre, rotation = dynamics.SphereShape(radius), _numbers(geom.get("pos")), np.eye(3)
        else:
            start, end = np.split(_numbers(geom.get("fromto")), 2)
            length = np.linalg.norm(end - start)
            shape, centre = dynamics.CapsuleShape(radius, length), (start + end) / 2
            along = (end - start) / length
            across = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
            across /= np.linalg.norm(across)
            rotation = np.stack((across, np.cross(along, across), along), 1)
        self._add_shape(body, shape, rotation, centre)
        return mass, centre, rotation @ shape.computeInertia(mass) @ rotation.T

    def _add_shape(self, body: Any, shape: Any, rotation: np.ndarray, position: np.ndarray) -> None:
        node = body.createShapeNode(shape)
        node.createCollisionAspect()
        node.createDynamicsAspect()
        node.setRelativeTransform(self._dart.math.Isometry3(rotation, position))


def _numbers(text: str | None) -> np.ndarray:
    return np.array([float(number) for number in (text or "").split()])


def _steiner(arm: np.ndarray) -> np.ndarray:
    return arm @ arm * np.eye(3) - np.outer(arm, arm)
