# SPDX-License-Identifier: Apache-2.0
"""From the fields of ROS messages to what a policy asks for, without ROS: plain values go in and come out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from myriad_policy.runtime import Command, Policy, PolicyError


@dataclass
class ImuReading:
    """An IMU's measurement in the root link's frame.

    Attributes:
        orientation: From root to world, (w, x, y, z); None where the sensor has none.
        angular_velocity: In rad/s, in the root's frame.
    """

    orientation: np.ndarray | None
    angular_velocity: np.ndarray


def imu_reading(
    orientation_xyzw: Sequence[float], orientation_covariance: Sequence[float], angular_velocity: Sequence[float]
) -> ImuReading:
    """Read the fields of sensor_msgs/Imu, which says by a covariance of -1 that it has no orientation.

    Raises:
        PolicyError: If the orientation is no rotation.
    """
    velocity = np.asarray(angular_velocity, np.float64)
    if len(orientation_covariance) and orientation_covariance[0] == -1.0:
        return ImuReading(None, velocity)
    x, y, z, w = orientation_xyzw
    quaternion = np.array([w, x, y, z], np.float64)
    norm = float(np.linalg.norm(quaternion))
    if not abs(norm - 1.0) < 0.01:
        raise PolicyError(f"the IMU's orientation has norm {norm:.3f}, so it is no rotation")
    return ImuReading(quaternion / norm, velocity)


def _orientation(imu: ImuReading) -> np.ndarray:
    if imu.orientation is None:
        raise PolicyError("the policy needs an orientation, and the IMU has none")
    return imu.orientation


def _rotation(imu: ImuReading) -> np.ndarray:
    """Return the rotation matrix from root to world."""
    w, x, y, z = _orientation(imu)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _roll(imu: ImuReading) -> float:
    matrix = _rotation(imu)
    return math.atan2(matrix[2, 1], matrix[2, 2])


def _pitch(imu: ImuReading) -> float:
    return math.asin(max(-1.0, min(1.0, -_rotation(imu)[2, 0])))


def _yaw(imu: ImuReading) -> float:
    matrix = _rotation(imu)
    return math.atan2(matrix[1, 0], matrix[0, 0])


# Source of an observation term (docs/policy-file.md): how an IMU answers it.
IMU_SOURCES: dict[str, Callable[[ImuReading], np.ndarray | float]] = {
    "root_angular_velocity": lambda imu: imu.angular_velocity,
    "root_orientation": _orientation,
    "root_up_projection": lambda imu: float(_rotation(imu)[2, 2]),
    "projected_gravity": lambda imu: -_rotation(imu)[2],
    "root_roll": _roll,
    "root_pitch": _pitch,
    "root_yaw": _yaw,
}


class PolicyMapping:
    """Keeps the latest measurements and acts on them.

    Args:
        policy: The policy.

    Attributes:
        imu_terms: Names of the observation terms that the IMU answers.
        topic_terms: Names of those that neither joints, IMU nor poses answer; each has to come from somewhere else.
        places: Names of things whose poses answer the rest: "root", links, what is beside the robot, what is commanded.
    """

    def __init__(self, policy: Policy) -> None:
        if not policy.can_act:
            raise PolicyError("this policy's file does not say which joints it observes and commands")
        self.policy = policy
        self.imu_terms, self.topic_terms, self.places = [], [], policy.places
        for name, term in policy.required.items():
            in_root = term["source"] != "root_angular_velocity" or term["frame"] == "root"
            if term["source"] in IMU_SOURCES and in_root:
                self.imu_terms.append(name)
            elif name not in policy.term_places:
                self.topic_terms.append(name)
        terms = [*policy.metadata["observations"]["terms"], *policy.metadata["actions"]["terms"]]
        self._joints = {name for term in terms for name in term["joint_names"]}
        self._positions: dict[str, float] = {}
        self._velocities: dict[str, float] = {}
        self._stamps: dict[str, float] = {}
        self._imu: tuple[float, ImuReading] | None = None
        self._topics: dict[str, tuple[float, np.ndarray]] = {}
        self._poses: dict[str, tuple[float, np.ndarray]] = {}

    def on_joint_state(
        self, names: Sequence[str], positions: Sequence[float], velocities: Sequence[float], stamp: float
    ) -> None:
        """Take the fields of sensor_msgs/JointState, in whatever order and with whichever of the joints it has.

        Raises:
            PolicyError: If it lacks positions or velocities.
        """
        for what, values in (("positions", positions), ("velocities", velocities)):
            if len(values) != len(names):
                raise PolicyError(f"the joint state has {len(values)} {what} for {len(names)} joints")
        self._positions.update(zip(names, positions, strict=True))
        self._velocities.update(zip(names, velocities, strict=True))
        self._stamps.update(dict.fromkeys(names, stamp))

    def on_imu(self, reading: ImuReading, stamp: float) -> None:
        """Take an IMU's measurement."""
        self._imu = (stamp, reading)

    def on_term(self, name: str, values: Sequence[float], stamp: float) -> None:
        """Take an observation term that comes from elsewhere, in its unit and frame, before scaling."""
        self._topics[name] = (stamp, np.asarray(values, np.float64))

    def on_pose(self, place: str, position: Sequence[float], orientation_xyzw: Sequence[float], stamp: float) -> None:
        """Take where a thing is, in m, and how it is turned, in the one frame that `Policy.act` asks for."""
        x, y, z, w = orientation_xyzw
        self._poses[place] = (stamp, np.array([*position, w, x, y, z], np.float64))

    def command(self, now: float) -> Command:
        """Act on the latest measurements, of which the oldest must be fresh enough.

        Args:
            now: Seconds, on the clock of the stamps.

        Raises:
            PolicyError: If something has not been measured, or is too old, or wrong.
        """
        if not self._stamps:
            raise PolicyError("no joint state has come yet")
        stamps = [stamp for name, stamp in self._stamps.items() if name in self._joints]
        terms: dict[str, np.ndarray | float] = {}
        if self.imu_terms:
            if self._imu is None:
                raise PolicyError(f"no IMU measurement has come yet; the policy needs {', '.join(self.imu_terms)}")
            stamp, reading = self._imu
            stamps.append(stamp)
            for name in self.imu_terms:
                terms[name] = IMU_SOURCES[self.policy.required[name]["source"]](reading)
        for name in self.topic_terms:
            if name not in self._topics:
                raise PolicyError(f"no value of {name} has come yet")
            stamp, terms[name] = self._topics[name]
            stamps.append(stamp)
        if unknown := [place for place in self.places if place not in self._poses]:
            raise PolicyError(f"no pose of {unknown[0]} has come yet")
        stamps += [stamp for stamp, _ in self._poses.values()]
        poses = {place: pose for place, (_, pose) in self._poses.items()}
        stamp = min(stamps, default=None)
        return self.policy.act(self._positions, self._velocities, terms, stamp=stamp, now=now, poses=poses)

    def safe_command(self) -> Command:
        """Return what to do without a policy: no effort, no motion, positions held where they were last measured."""
        command = Command()
        for term in self.policy.metadata["actions"]["terms"]:
            for name in term["joint_names"]:
                if term["kind"] != "position":
                    getattr(command, term["kind"])[name] = 0.0
                elif name in self._positions:
                    command.position[name] = self._positions[name]
        return command


def joint_state_fields(command: Command) -> tuple[list[str], list[float], list[float], list[float]]:
    """Return a command as the fields of sensor_msgs/JointState: names, positions, velocities, efforts.

    A kind that nothing is commanded in is empty; in the others, joints commanded otherwise are NaN.
    """
    names = list(dict.fromkeys([*command.position, *command.velocity, *command.effort]))
    kinds = (command.position, command.velocity, command.effort)
    positions, velocities, efforts = ([kind.get(n, math.nan) for n in names] if kind else [] for kind in kinds)
    return names, positions, velocities, efforts
