# SPDX-License-Identifier: Apache-2.0
"""Our robots as tables of numbers, which build.py writes as USD and as MJCF. README.md names the sources.

Metres, kilograms, seconds; joint limits and initial positions of revolute joints in degrees, gains per radian.
A body's frame is its joint's frame: with the joint at zero it is turned as its parent is.
"""

import math
from dataclasses import dataclass
from functools import cached_property

Vector = tuple[float, float, float]

AMBER, SLATE, SAND = (0.93, 0.42, 0.10), (0.17, 0.23, 0.31), (0.90, 0.84, 0.72)
STEEL, BLUE = (0.42, 0.46, 0.50), (0.13, 0.40, 0.68)


@dataclass(frozen=True)
class Sphere:
    """A ball about `center`."""

    name: str
    colour: Vector
    radius: float
    center: Vector = (0.0, 0.0, 0.0)

    @property
    def volume(self) -> float:
        """Volume, m^3."""
        return 4 / 3 * math.pi * self.radius**3


@dataclass(frozen=True)
class Capsule:
    """A cylinder from `start` to `end` with a half ball on each end."""

    name: str
    colour: Vector
    radius: float
    start: Vector
    end: Vector

    @property
    def length(self) -> float:
        """Length of the cylinder, without the half balls, m."""
        return math.dist(self.start, self.end)

    @property
    def center(self) -> Vector:
        """The middle."""
        (a, b, c), (x, y, z) = self.start, self.end
        return ((a + x) / 2, (b + y) / 2, (c + z) / 2)

    @property
    def volume(self) -> float:
        """Volume, m^3."""
        return math.pi * self.radius**2 * (self.length + 4 / 3 * self.radius)


@dataclass(frozen=True)
class Box:
    """A box of `size` about `center`, along the axes."""

    name: str
    colour: Vector
    size: Vector
    center: Vector = (0.0, 0.0, 0.0)

    @property
    def volume(self) -> float:
        """Volume, m^3."""
        return math.prod(self.size)

    def inertia(self, mass: float) -> Vector:
        """Principal moments of inertia about the middle, kg m^2."""
        x, y, z = (side**2 * mass / 12 for side in self.size)
        return (y + z, x + z, x + y)


Geom = Sphere | Capsule | Box


@dataclass(frozen=True)
class Joint:
    """One degree of freedom, at the body's origin."""

    name: str
    kind: str  # "revolute" or "prismatic"
    axis: Vector
    limits: tuple[float, float] | None  # degrees or m; None: turns for ever
    initial: float = 0.0  # degrees or m
    damping: float = 0.0  # N m s/rad or N s/m
    armature: float = 0.0  # kg m^2 or kg
    max_effort: float | None = None  # N m or N, of the drive; None: as much as it takes


@dataclass(frozen=True)
class Body:
    """One rigid body, hung on `parent` by `joint`; the first body of a robot has neither."""

    name: str
    geoms: tuple[Geom, ...]
    mass: float  # kg
    parent: str | None = None
    origin: Vector = (0.0, 0.0, 0.0)  # in the parent's frame
    joint: Joint | None = None

    @cached_property
    def volume(self) -> float:
        """Sum of the shapes' volumes, overlaps counted twice as MuJoCo and PhysX do, m^3."""
        return sum(geom.volume for geom in self.geoms)


@dataclass(frozen=True)
class Robot:
    """A tree of bodies, parents before children and depth first."""

    name: str
    bodies: tuple[Body, ...]
    fixed_base: bool
    collides: bool
    height: float  # of the first body's origin, where MJCF puts it; in USD placing the robot is the task's business, m
    friction: float = 1.0
    max_depenetration_velocity: float = 10.0  # m/s
    position_iterations: int = 4
    velocity_iterations: int = 0
    sleep_threshold: float = 0.005  # J/kg
    stabilization_threshold: float = 0.001  # J/kg


def _ant() -> Robot:
    density, radius = 5.0, 0.08  # kg/m^3; of every limb, m
    legs = (  # name of the leg, of its foot; where it points; the ankle's axis; the ankle's limits (degrees)
        ("front_left_leg", "front_left_foot", (1, 1), (-1.0, 1.0, 0.0), (30.0, 100.0)),
        ("front_right_leg", "front_right_foot", (-1, 1), (1.0, 1.0, 0.0), (-100.0, -30.0)),
        ("left_back_leg", "left_back_foot", (-1, -1), (-1.0, 1.0, 0.0), (-100.0, -30.0)),
        ("right_back_leg", "right_back_foot", (1, -1), (1.0, 1.0, 0.0), (30.0, 100.0)),
    )

    def limb(name: str, colour: Vector, x: float, y: float) -> Capsule:
        return Capsule(f"{name}_geom", colour, radius, (0.0, 0.0, 0.0), (x, y, 0.0))

    def body(name: str, geoms: tuple[Geom, ...], parent: str | None = None, origin: Vector = (0.0, 0.0, 0.0),
             joint: Joint | None = None) -> Body:  # fmt: skip
        return Body(name, geoms, density * sum(geom.volume for geom in geoms), parent, origin, joint)

    def hinge(name: str, axis: Vector, limits: tuple[float, float], initial: float) -> Joint:
        return Joint(name, "revolute", axis, limits, initial, damping=0.1, armature=0.01)

    hips = tuple(limb(f"aux_{i}", SLATE, 0.2 * x, 0.2 * y) for i, (_, _, (x, y), _, _) in enumerate(legs, 1))
    bodies = [body("torso", (Sphere("torso_geom", AMBER, 0.25), *hips))]
    for leg, foot, (x, y), axis, (lower, upper) in legs:
        end = (0.2 * x, 0.2 * y, 0.0)
        hip = hinge(leg, (0.0, 0.0, 1.0), (-40.0, 40.0), 0.0)
        ankle = hinge(foot, axis, (lower, upper), math.copysign(45.0, lower))
        bodies += [
            body(leg, (limb(leg, SLATE, 0.2 * x, 0.2 * y),), "torso", end, hip),
            body(foot, (limb(foot, SAND, 0.4 * x, 0.4 * y),), leg, end, ankle),
        ]
    return Robot("Ant", tuple(bodies), fixed_base=False, collides=True, height=0.5)


def _cartpole() -> Robot:
    cart = Joint("cartJoint", "prismatic", (0.0, 1.0, 0.0), (-4.0, 4.0), max_effort=1000.0)
    pole = Joint("poleJoint", "revolute", (1.0, 0.0, 0.0), None, max_effort=1000.0)
    rail_box = Box("rail_geom", STEEL, (0.03, 8.0, 0.03))
    cart_box = Box("cart_geom", BLUE, (0.2, 0.25, 0.2))
    pole_box = Box("pole_geom", AMBER, (0.04, 0.06, 1.0), (0.0, 0.0, 0.47))
    bodies = (
        Body("rail", (rail_box,), 1.0),  # held by the world: its mass moves nothing
        Body("cart", (cart_box,), 1.0, "rail", joint=cart),
        Body("pole", (pole_box,), 1.0, "cart", (0.12, 0.0, 0.0), pole),
    )
    # Nothing that a Cartpole does is a contact, and rails are longer than environments are apart: no colliders.
    return Robot("Cartpole", bodies, fixed_base=True, collides=False, height=2.0)


ANT = _ant()
CARTPOLE = _cartpole()
