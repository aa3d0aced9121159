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

    def inertia(self, mass: float) -> Vector:
        """Principal moments of inertia about the middle, kg m^2."""
        moment = 0.4 * mass * self.radius**2
        return (moment, moment, moment)


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
class Cylinder:
    """An upright cylinder about `center`."""

    name: str
    colour: Vector
    radius: float
    height: float
    center: Vector = (0.0, 0.0, 0.0)

    @property
    def volume(self) -> float:
        """Volume, m^3."""
        return math.pi * self.radius**2 * self.height

    def inertia(self, mass: float) -> Vector:
        """Principal moments of inertia about the middle, kg m^2."""
        across = mass * (self.radius**2 / 4 + self.height**2 / 12)
        return (across, across, mass * self.radius**2 / 2)


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


Geom = Sphere | Capsule | Cylinder | Box


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
    stiffness: float = 0.0  # N m/rad or N/m, of the drive


@dataclass(frozen=True)
class Joints:
    """Two or three hinges at right angles to each other at the body's origin, one joint of PhysX.

    The first is about the frame's x axis, the second about its y axis or, if `skip_y`, about its z axis. PhysX, and so
    the MJCF file, too, calls them by the joint's name and their number, as in "left_thigh:0".
    """

    name: str
    hinges: tuple[Joint, ...]
    skip_y: bool = False

    @property
    def axes(self) -> str:
        """The frame's axes that the hinges turn about."""
        return "XZ" if self.skip_y else "XYZ"[: len(self.hinges)]


@dataclass(frozen=True)
class Body:
    """One rigid body, hung on `parent` by `joint`; the first body of a robot has neither."""

    name: str
    geoms: tuple[Geom, ...]
    mass: float  # kg
    parent: str | None = None
    origin: Vector = (0.0, 0.0, 0.0)  # in the parent's frame
    joint: Joint | Joints | None = None
    inertia: Vector | None = None  # kg m^2, about the origin, where its centre of mass is; None: that of its shapes
    anchor: Vector | None = None  # point that a ball joint holds in place, in the body's frame
    painted: tuple[Geom, ...] = ()  # shapes that are seen, and neither touch nor weigh anything

    @property
    def hinges(self) -> tuple[Joint, ...]:
        """Degrees of freedom of its joint."""
        if isinstance(self.joint, Joints):
            return self.joint.hinges
        return (self.joint,) if self.joint else ()

    @cached_property
    def volume(self) -> float:
        """Sum of the shapes' volumes, overlaps counted twice as MuJoCo and PhysX do, m^3."""
        return sum(geom.volume for geom in self.geoms)


@dataclass(frozen=True)
class Robot:
    """A tree of bodies, parents before children and depth first; a lone body without joints is no articulation.

    With a fixed base it is one that nothing moves.
    """

    name: str
    bodies: tuple[Body, ...]
    fixed_base: bool
    collides: bool
    height: float  # of the first body's origin, where MJCF puts it; in USD placing the robot is the task's business, m
    friction: float = 1.0
    self_collisions: bool = False
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


def _humanoid() -> Robot:
    density = 1000.0  # kg/m^3

    def body(name: str, geoms: tuple[Geom, ...], parent: str | None = None, origin: Vector = (0.0, 0.0, 0.0),
             joint: Joint | Joints | None = None) -> Body:  # fmt: skip
        return Body(name, geoms, density * sum(geom.volume for geom in geoms), parent, origin, joint)

    def limb(name: str, colour: Vector, radius: float, start: Vector, end: Vector) -> Capsule:
        return Capsule(f"{name}_geom", colour, radius, start, end)

    def across(name: str, colour: Vector, radius: float, half: float, x: float, z: float) -> Capsule:
        return limb(name, colour, radius, (x, -half, z), (x, half, z))

    def hinge(name: str, axis: Vector, limits: tuple[float, float], stiffness: float, damping: float,
              armature: float) -> Joint:  # fmt: skip
        return Joint(name, "revolute", axis, limits, 0.0, damping, armature, stiffness=stiffness)

    chest = (
        across("torso", AMBER, 0.07, 0.07, 0.0, 0.0),
        across("upper_waist", AMBER, 0.06, 0.06, -0.01, -0.12),
        Sphere("head_geom", SAND, 0.09, (0.0, 0.0, 0.19)),
    )
    waist = (
        hinge("lower_waist:0", (0.0, 0.0, 1.0), (-45.0, 45.0), 20.0, 5.0, 0.02),
        hinge("lower_waist:1", (0.0, 1.0, 0.0), (-75.0, 30.0), 20.0, 5.0, 0.01),
    )
    hip = hinge("pelvis", (1.0, 0.0, 0.0), (-35.0, 35.0), 10.0, 5.0, 0.01)
    bodies = [
        body("torso", chest),
        body("lower_waist", (across("lower_waist", AMBER, 0.06, 0.06, 0.0, -0.065),), "torso", (-0.01, 0.0, -0.195),
             Joints("lower_waist", waist)),
        body("pelvis", (across("pelvis", SLATE, 0.09, 0.07, -0.02, -0.1),), "lower_waist", (0.0, 0.0, -0.13), hip),
    ]  # fmt: skip
    for side, y in (("right", -1.0), ("left", 1.0)):
        thigh, shin, foot = f"{side}_thigh", f"{side}_shin", f"{side}_foot"
        thigh_hinges = (  # outward turns of both legs are positive
            hinge(f"{thigh}:0", (-y, 0.0, 0.0), (-45.0, 15.0), 10.0, 5.0, 0.01),
            hinge(f"{thigh}:1", (0.0, 1.0, 0.0), (-120.0, 45.0), 20.0, 5.0, 0.01),
            hinge(f"{thigh}:2", (0.0, 0.0, -y), (-60.0, 35.0), 10.0, 5.0, 0.01),
        )
        knee = hinge(shin, (0.0, -1.0, 0.0), (-160.0, 2.0), 5.0, 0.1, 0.007)
        ankle = (
            hinge(f"{foot}:0", (0.0, 1.0, 0.0), (-50.0, 50.0), 2.0, 1.0, 0.006),
            hinge(f"{foot}:1", (1.0, 0.0, 0.5), (-50.0, 50.0), 2.0, 1.0, 0.006),
        )
        soles = (  # the outer and the inner half
            limb(f"outer_{foot}", SAND, 0.027, (-0.07, 0.02 * y, -0.08), (0.14, 0.04 * y, -0.08)),
            limb(f"inner_{foot}", SAND, 0.027, (-0.07, 0.0, -0.08), (0.14, -0.02 * y, -0.08)),
        )
        bodies += [
            body(thigh, (limb(thigh, SLATE, 0.06, (0.0, 0.0, 0.0), (0.0, -0.01 * y, -0.34)),), "pelvis",
                 (0.0, 0.1 * y, -0.14), Joints(thigh, thigh_hinges)),
            body(shin, (limb(shin, AMBER, 0.049, (0.0, 0.0, -0.02), (0.0, 0.0, -0.32)),), thigh,
                 (0.0, -0.01 * y, -0.383), knee),
            body(foot, soles, shin, (0.0, 0.0, -0.33), Joints(foot, ankle)),
        ]  # fmt: skip
    for side, y in (("right", -1.0), ("left", 1.0)):
        upper, lower = f"{side}_upper_arm", f"{side}_lower_arm"
        shoulder = (
            hinge(f"{upper}:0", (-2.0 * y, 1.0, -y), (-90.0, 70.0), 10.0, 5.0, 0.01),
            hinge(f"{upper}:2", (0.0, -1.0, -y), (-90.0, 70.0), 10.0, 5.0, 0.01),
        )
        elbow = hinge(lower, (0.0, -1.0, -y), (-90.0, 50.0), 2.0, 1.0, 0.006)
        forearm = limb(lower, AMBER, 0.031, (0.01, -0.01 * y, 0.01), (0.17, -0.17 * y, 0.17))
        hand = Sphere(f"{side}_hand_geom", SAND, 0.04, (0.18, -0.18 * y, 0.18))
        bodies += [
            body(upper, (limb(upper, SLATE, 0.04, (0.0, 0.0, 0.0), (0.16, 0.16 * y, -0.16)),), "torso",
                 (0.0, 0.17 * y, 0.06), Joints(upper, shoulder, skip_y=True)),
            body(lower, (forearm, hand), upper, (0.18, 0.18 * y, -0.18), elbow),
        ]  # fmt: skip
    return Robot("Humanoid", tuple(bodies), fixed_base=False, collides=True, height=1.34, self_collisions=True)


def _balance_bot() -> Robot:
    tray_radius, tray_thickness, leg_radius = 0.5, 0.02, 0.02  # m
    outer, below = tray_radius - 0.1, -leg_radius - tray_thickness / 2  # where legs meet the tray, m
    length = outer - 2 * leg_radius  # of each of a leg's two halves, at 45 degrees, m
    along = length / math.sqrt(2)
    tray = Cylinder("tray_geom", BLUE, tray_radius, tray_thickness)
    bodies = [Body("tray", (tray,), 100.0 * tray.volume)]
    for i in range(3):
        x, y = math.cos(i * math.tau / 3), math.sin(i * math.tau / 3)
        upper = Capsule(f"upper_leg{i}_geom", SLATE, leg_radius, (0.0, 0.0, 0.0), (-along * x, -along * y, -along))
        lower = Capsule(f"lower_leg{i}_geom", AMBER, leg_radius, (0.0, 0.0, 0.0), (along * x, along * y, -along))
        hip = Joint(f"upper_leg{i}", "revolute", (-y, x, 0.0), (-45.0, 45.0))
        knee = Joint(f"lower_leg{i}", "revolute", (-y, x, 0.0), (-70.0, 90.0), damping=math.degrees(40.0),
                     max_effort=1000.0, stiffness=math.degrees(400.0))  # fmt: skip
        mass = 1000.0 * upper.volume
        bodies += [
            Body(f"upper_leg{i}", (upper,), mass, "tray", (outer * x, outer * y, below), hip),
            Body(f"lower_leg{i}", (lower,), mass, f"upper_leg{i}", upper.end, knee, anchor=lower.end),
        ]
    height = 2 * along + 2 * leg_radius + tray_thickness / 2
    return Robot("BalanceBot", tuple(bodies), fixed_base=False, collides=True, height=height,
                 max_depenetration_velocity=1000.0, position_iterations=8, velocity_iterations=4)  # fmt: skip


def _ball() -> Robot:
    ball = Sphere("ball_geom", AMBER, 0.1)
    return Robot("Ball", (Body("ball", (ball,), 200.0 * ball.volume),), fixed_base=False, collides=True, height=2.0,
                 max_depenetration_velocity=1000.0, position_iterations=8)  # fmt: skip


def _quadcopter() -> Robot:
    chassis, arm_radius, rotor_radius = Cylinder("chassis_geom", AMBER, 0.1, 0.03), 0.01, 0.04  # m
    out, further = chassis.radius + arm_radius / 4, rotor_radius + arm_radius / 4  # arms, and rotors from there, m
    arms, rotors = [], []
    for i in range(4):
        x, y = math.cos((i + 0.5) * math.tau / 4), math.sin((i + 0.5) * math.tau / 4)
        arm = Sphere(f"rotor_arm{i}_geom", SLATE, arm_radius)
        rotor = Cylinder(f"rotor{i}_geom", BLUE, rotor_radius, 0.01)
        pitch = Joint(f"rotor_pitch{i}", "revolute", (-y, x, 0.0), (-30.0, 30.0), stiffness=1000.0)
        roll = Joint(f"rotor_roll{i}", "revolute", (x, y, 0.0), (-30.0, 30.0), stiffness=1000.0)
        arms.append(Body(f"rotor_arm{i}", (arm,), 200.0 * arm.volume, "chassis", (out * x, out * y, 0.0), pitch))
        rotors.append(
            Body(f"rotor{i}", (rotor,), 1000.0 * rotor.volume, f"rotor_arm{i}", (further * x, further * y, 0.0), roll)
        )
    limbs = [body for pair in zip(arms, rotors, strict=True) for body in pair]
    # Episodes end before anything touches the ground: no colliders, on this and the other two that fly.
    return Robot("Quadcopter", (Body("chassis", (chassis,), 50.0 * chassis.volume), *limbs), fixed_base=False,
                 collides=False, height=1.0, max_depenetration_velocity=1000.0)  # fmt: skip


def _ingenuity() -> Robot:
    box = Box("chassis_geom", SLATE, (0.12, 0.12, 0.12))
    bodies = [Body("chassis", (box,), 50.0 * box.volume)]
    for i in range(2):
        # The disc that lifts weighs and stands still; the blade is there to be seen, and weighs next to nothing.
        disc = Cylinder(f"rotor_physics_{i}_geom", STEEL, 0.15, 0.01)
        blade = Box(f"rotor_visual_{i}_geom", AMBER, (0.3, 0.03, 0.012))
        origin = (0.0, 0.0, 0.025 * i)
        still = Joint(f"rotor_{i}_physics", "revolute", (0.0, 0.0, 1.0), (0.0, 0.0))
        spin = Joint(f"rotor_{i}_visual", "revolute", (0.0, 0.0, 1.0), None)
        bodies += [
            Body(f"rotor_physics_{i}", (disc,), 1000.0 * disc.volume, "chassis", origin, still),
            Body(f"rotor_visual_{i}", (blade,), 0.01, "chassis", origin, spin),
        ]
    return Robot("Ingenuity", tuple(bodies), fixed_base=False, collides=False, height=1.0,
                 max_depenetration_velocity=1000.0, position_iterations=6)  # fmt: skip


def _crazyflie() -> Robot:
    arm = 0.0325  # m, of a motor along x and along y
    shell = (
        Box("board_geom", SLATE, (0.05, 0.05, 0.006)),
        Box("battery_geom", STEEL, (0.03, 0.018, 0.008), (0.0, 0.0, 0.007)),
        *(Cylinder(f"motor{i}_geom", AMBER, 0.0035, 0.016, (arm * x, arm * y, 0.0))
          for i, (x, y) in enumerate(((1, -1), (-1, -1), (-1, 1), (1, 1)), 1)),
    )  # fmt: skip
    propeller = 0.0002  # kg
    bodies = [Body("body", shell, 0.027 - 4 * propeller, inertia=(2.3951e-5, 2.3951e-5, 3.2347e-5))]
    for i, (x, y) in enumerate(((1, -1), (-1, -1), (-1, 1), (1, 1)), 1):
        disc = Cylinder(f"m{i}_prop_geom", SAND, 0.0225, 0.001)
        spin = Joint(f"m{i}_joint", "revolute", (0.0, 0.0, 1.0), None)
        bodies.append(Body(f"m{i}_prop", (disc,), propeller, "body", (arm * x, arm * y, 0.009), spin))
    return Robot("Crazyflie", tuple(bodies), fixed_base=False, collides=False, height=1.0,
                 max_depenetration_velocity=1000.0, position_iterations=6)  # fmt: skip


def _cabinet() -> Robot:
    """Return the kitchen cabinet of FrankaCabinet, of boxes."""
    wood = 600.0  # kg/m^3, of chipboard

    def box(name: str, colour: Vector, low: Vector, high: Vector) -> Box:
        size = tuple(b - a for a, b in zip(low, high, strict=True))
        center = tuple((a + b) / 2 for a, b in zip(low, high, strict=True))
        return Box(f"{name}_geom", colour, (size[0], size[1], size[2]), (center[0], center[1], center[2]))

    def body(name: str, boxes: tuple[Box, ...], origin: Vector = (0.0, 0.0, 0.0), joint: Joint | None = None) -> Body:
        return Body(name, boxes, wood * sum(part.volume for part in boxes), "sektion" if joint else None, origin, joint)

    shell = (
        box("top", SAND, (-0.305, -0.3843, 0.3728), (0.3248, 0.3843, 0.402)),
        box("bottom", SAND, (-0.305, -0.3843, -0.381), (0.305, 0.3843, -0.3514)),
        box("back", SAND, (-0.305, -0.3843, -0.3514), (-0.2754, 0.3843, 0.3728)),
        box("left_side", SAND, (-0.2754, -0.3843, -0.3514), (0.3126, -0.3578, 0.3728)),
        box("right_side", SAND, (-0.2754, 0.3578, -0.3514), (0.3126, 0.3843, 0.3728)),
    )
    bodies = [body("sektion", shell)]
    for side, y, limits in (("left", -1.0, (-90.0, 0.0)), ("right", 1.0, (0.0, 90.0))):
        ends = sorted((0.0, -2 * 0.184706 * y))
        knob = sorted((-0.3361 * y, -0.3659 * y))
        parts = (
            box(f"door_{side}", BLUE, (-0.0103, ends[0], -0.254), (0.0103, ends[1], 0.254)),
            box(f"knob_{side}", STEEL, (0.0103, knob[0], 0.17), (0.0368, knob[1], 0.1992)),
        )
        hinge = Joint(f"door_{side}_joint", "revolute", (0.0, 0.0, 1.0), limits, damping=10.0)
        bodies.append(body(f"door_{side}_link", parts, (0.3162, 0.3757 * y, -0.12973), hinge))
    for level, z in (("bottom", 0.18795), ("top", 0.3172)):
        name = f"drawer_{level}"
        parts = (
            box(f"{name}_front", BLUE, (0.246, -0.3794, -0.0619), (0.2732, 0.3794, 0.0619)),
            box(f"{name}_handle", STEEL, (0.2732, -0.0841, -0.0024), (0.3113, 0.0841, 0.0214)),
        )
        if level == "top":  # what things lie in
            parts += (
                box(f"{name}_floor", SAND, (-0.2532, -0.3444, -0.0452), (0.246, 0.3444, -0.0404)),
                box(f"{name}_back", SAND, (-0.2599, -0.3532, -0.0452), (-0.2453, 0.3532, 0.0455)),
                box(f"{name}_left", SAND, (-0.2453, -0.3534, -0.0467), (0.246, -0.3386, 0.047)),
                box(f"{name}_right", SAND, (-0.2453, 0.3386, -0.0467), (0.246, 0.3534, 0.047)),
            )
        slide = Joint(f"{name}_joint", "prismatic", (1.0, 0.0, 0.0), (0.0, 0.4), damping=10.0)
        bodies.append(body(name, parts, (0.0515, 0.0, z), slide))
    return Robot("Cabinet", tuple(bodies), fixed_base=True, collides=True, height=0.4,
                 max_depenetration_velocity=1000.0, position_iterations=12, velocity_iterations=1,
                 sleep_threshold=0.0)  # fmt: skip


def _prop() -> Robot:
    box = Box("prop_geom", SLATE, (0.08, 0.08, 0.08))
    return Robot("Prop", (Body("prop", (box,), 100.0 * box.volume),), fixed_base=False, collides=True, height=0.04,
                 max_depenetration_velocity=1000.0, position_iterations=12, velocity_iterations=1)  # fmt: skip


def _cube(name: str, colour: Vector, edge: float) -> Robot:
    box = Box(f"{name}_geom", colour, (edge, edge, edge))
    title = "".join(part.capitalize() for part in name.split("_"))
    return Robot(title, (Body(name, (box,), 1000.0 * box.volume),), fixed_base=False, collides=True, height=edge / 2,
                 max_depenetration_velocity=5.0, position_iterations=16, velocity_iterations=1)  # fmt: skip


def _table() -> Robot:
    top = Box("table_geom", SAND, (0.8, 1.2, 0.05))
    return Robot("Table", (Body("table", (top,), 600.0 * top.volume),), fixed_base=True, collides=True, height=-0.025)


def _bench() -> Robot:
    """Return the block that the arm of the Factory tasks works on."""
    box = Box("bench_geom", SAND, (0.6, 1.0, 0.4))
    return Robot("Bench", (Body("bench", (box,), 600.0 * box.volume),), fixed_base=True, collides=True, height=0.2)


def _block() -> Robot:
    """Return the cube that hands turn, each face of its own colour."""
    edge, painted, thickness = 0.05, 0.046, 0.002  # m; faces stand out by half their thickness
    colours = (AMBER, BLUE, SAND, (0.75, 0.16, 0.16), (0.25, 0.58, 0.30), (0.55, 0.30, 0.62))
    faces = []
    for face, colour in enumerate(colours):
        axis, side = face % 3, 1.0 if face < 3 else -1.0
        size, center = [painted] * 3, [0.0] * 3
        size[axis], center[axis] = thickness, side * edge / 2
        name = f"face_{'xyz'[axis]}_{'plus' if side > 0 else 'minus'}"
        faces.append(Box(name, colour, (size[0], size[1], size[2]), (center[0], center[1], center[2])))
    box = Box("object_geom", SLATE, (edge, edge, edge))
    return _in_hand("Block", Body("object", (box,), 0.07087, painted=tuple(faces)), edge / 2)


def _egg() -> Robot:
    """Return an ellipsoid that hands turn: five balls which touch it from inside, its tips of two colours.

    A ball about z = d on the long axis touches the ellipsoid of half axes a, a and c where its radius is
    a sqrt(1 - d^2 / (c^2 - a^2)), and its tip where d = (c^2 - a^2) / c. Between the balls the egg
    is up to 0.9 mm thinner.
    """
    across, along = 0.03, 0.04  # half axes, m
    squares = along**2 - across**2
    last, balls = squares / along, []
    parts = (("blunt", BLUE), ("low", SAND), ("object", SAND), ("high", SAND), ("tip", AMBER))
    for number, (name, colour) in enumerate(parts, -2):
        d = last * number / 2
        balls.append(Sphere(f"{name}_geom", colour, across * math.sqrt(1 - d**2 / squares), (0.0, 0.0, d)))
    mass = 1000.0 * 4 / 3 * math.pi * across**2 * along
    side, end = mass / 5 * (across**2 + along**2), mass / 5 * 2 * across**2
    spot = Sphere("spot", (0.75, 0.16, 0.16), 0.008, (across - 0.007, 0.0, 0.0))  # stands out by 1 mm on +x
    body = Body("object", tuple(balls), mass, inertia=(side, side, end), painted=(spot,))
    return _in_hand("Egg", body, along)


def _pen() -> Robot:
    """Return a capsule that hands turn, with a cap on its upper end."""
    radius, half = 0.008, 0.1  # m
    barrel = Capsule("object_geom", BLUE, radius, (0.0, 0.0, -half), (0.0, 0.0, half))
    cap = Capsule("cap", AMBER, radius + 0.001, (0.0, 0.0, half / 2), (0.0, 0.0, half))
    clip = Box("clip", SLATE, (0.002, 0.004, 0.04), (radius + 0.001, 0.0, 0.08))
    return _in_hand("Pen", Body("object", (barrel,), 1000.0 * barrel.volume, painted=(cap, clip)), half + radius)


def _in_hand(name: str, body: Body, height: float) -> Robot:
    return Robot(name, (body,), fixed_base=False, collides=True, height=height,
                 max_depenetration_velocity=1000.0, position_iterations=8)  # fmt: skip


ROBOTS = (
    _ant(), _cartpole(), _humanoid(), _balance_bot(), _ball(), _quadcopter(), _ingenuity(), _crazyflie(), _cabinet(),
    _prop(), _block(), _egg(), _pen(), _cube("cube", AMBER, 0.05), _cube("big_cube", BLUE, 0.07), _table(), _bench(),
)  # fmt: skip
