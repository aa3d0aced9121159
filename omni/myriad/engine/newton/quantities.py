# SPDX-License-Identifier: Apache-2.0
"""What views ask by PhysX's names, and where Newton has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import newton
import torch
import warp
from newton import ModelFlags
from torch import Tensor

from omni.myriad.engine.base import ENVS_PATH
from omni.myriad.engine.newton import kernels
from omni.myriad.engine.newton.quantity import Computed, Quantity
from omni.myriad.engine.newton.scene import UNLIMITED, Layout, Robot
from omni.myriad.errors import MyriadError
from omni.myriad.maths import quat_mul, quat_rotate

if TYPE_CHECKING:
    from .engine import NewtonEngine

wp: Any = warp  # its functions take more than their types say

_FORCE = int(ModelFlags.JOINT_DOF_FORCE_PROPERTIES)
_MATERIAL = "SHAPE_FRICTION_AND_RESTITUTION"
_INERTIAL = int(ModelFlags.JOINT_DOF_INERTIAL_PROPERTIES)
_BODY = int(ModelFlags.BODY_INERTIAL_PROPERTIES)

_DOF_PROPERTIES = {
    "DOF_STIFFNESS": ("joint_target_ke", _FORCE),
    "DOF_DAMPING": ("joint_target_kd", _FORCE),
    "DOF_MAX_FORCE": ("joint_effort_limit", _FORCE),
    "DOF_MAX_VELOCITY": ("joint_velocity_limit", 0),
    "DOF_ARMATURE": ("joint_armature", _INERTIAL),
    "DOF_FRICTION_PROPERTIES": ("joint_friction", _FORCE),
}
"""Properties of degrees of freedom: Newton's array, and the flag that tells the solver."""

_BODY_PROPERTIES = {
    "MASS": ("body_mass", 1),
    "INV_MASS": ("body_inv_mass", 1),
    "INERTIA": ("body_inertia", 9),
    "INV_INERTIA": ("body_inv_inertia", 9),
}
"""Properties of bodies: Newton's array, and how many numbers there are for each."""


class Quantities:
    """Makes the quantities of views.

    Args:
        engine: The engine, whose model is there.
        layout: Where prims are found.
    """

    def __init__(self, engine: NewtonEngine, layout: Layout) -> None:
        self._engine, self._layout = engine, layout
        model = engine.model
        self._wrenches = torch.zeros(model.body_count, 6, device=engine.device)
        children = wp.to_torch(model.joint_child).long()
        joints = torch.full((model.body_count,), -1, dtype=torch.int32, device=engine.device)
        joints[children] = torch.arange(len(children), dtype=torch.int32, device=engine.device)
        self._body_joint = joints
        self._buffers: dict[str, Any] = {}

    def make(self, tensor_type: str, paths: list[str]) -> Quantity:
        """Return the quantity of that `ovphysx.TensorType` name for some prims of environment 0.

        Raises:
            NotImplementedError: If Newton has no such thing.
        """
        kind, _, name = tensor_type.partition("_")
        name = name.removeprefix("BODY_") if kind == "RIGID" or name.startswith("BODY_") else name
        if kind == "RIGID":
            numbers = [self._layout.bodies[path] for path in paths]
            if name == _MATERIAL:
                return self._materials([[number] for number in numbers])
            if name == "CONTACT_OFFSET":
                return self._zeros(len(paths), max(self._layout.shapes[number] for number in numbers))
            made = self._of_bodies(name, torch.tensor(numbers), None)
        else:
            robots = [self._layout.robots[path] for path in paths]
            if len({len(robot.dofs) for robot in robots} | {0}) > 2 or len({len(r.bodies) for r in robots}) > 1:
                raise MyriadError(f"A view's articulations must be alike, and these are not: {', '.join(paths)}.")
            made = self._of_robots(name, robots)
        if made is None:
            raise NotImplementedError(f"engine=newton has no {tensor_type}: use another engine.")
        return made

    # -- articulations ------------------------------------------------------------------------------------------------

    def _of_robots(self, name: str, robots: list[Robot]) -> Quantity | None:
        engine, layout = self._engine, robots[0]
        dofs = torch.tensor([robot.dofs for robot in robots])
        if name in ("DOF_POSITION", "DOF_VELOCITY"):
            array, key = ("joint_q", "coords") if name == "DOF_POSITION" else ("joint_qd", "dofs")
            entries = torch.tensor([getattr(robot, key) for robot in robots])
            return self._quantity(engine.state, array, entries, after_write=self._moved, layout=layout)
        if name == "DOF_POSITION_TARGET":
            entries = torch.tensor([robot.coords for robot in robots])
            return self._quantity(engine.control, "joint_target_q", entries, layout=layout)
        if name == "DOF_VELOCITY_TARGET":
            return self._quantity(engine.control, "joint_target_qd", dofs, layout=layout)
        if name == "DOF_ACTUATION_FORCE":
            return self._quantity(engine.control, "joint_f", dofs, layout=layout)
        if name in _DOF_PROPERTIES:
            array, flag = _DOF_PROPERTIES[name]
            entries = dofs[..., None].expand(-1, -1, 2) if array == "joint_friction" else dofs
            return self._quantity(engine.model, array, entries, after_write=self._tells(flag), layout=layout)
        if name == "CONTACT_OFFSET":
            return self._zeros(len(robots), layout.num_shapes)
        if name == _MATERIAL:
            return self._materials([robot.bodies for robot in robots])
        if name.startswith("FIXED_TENDON_"):
            return self._zeros(len(robots), 0, *([2] if name.endswith("_LIMIT") else []))
        if name == "DOF_DRIVE_TYPE":
            return Computed(engine, self._drive_types(robots), lambda: None, layout=layout)
        if name == "DOF_LIMIT":
            return self._limits(dofs, layout)
        if name in ("ROOT_POSE", "ROOT_VELOCITY"):
            roots = torch.tensor([robot.bodies[0] for robot in robots])
            return self._of_bodies(name.removeprefix("ROOT_"), roots, robots if layout.is_fixed_base else None)
        if name in ("JACOBIAN", "MASS_MATRIX") and len(robots) == 1:
            return self._of_motion(name, layout)
        if name in ("GRAVITY_FORCE", "CORIOLIS_AND_CENTRIFUGAL_FORCE"):
            return self._bias(name, robots)
        bodies = torch.tensor([robot.bodies for robot in robots])
        if name == "LINK_INCOMING_JOINT_FORCE":
            return self._wrenches_of(bodies)
        if name == "DOF_PROJECTED_JOINT_FORCE":
            return self._measured_efforts(robots)
        return self._of_bodies(name.removeprefix("LINK_"), bodies, robots, links=True)

    def _of_motion(self, name: str, robot: Robot) -> Quantity:
        """Return the Jacobian, without a fixed base's own rows, or the mass matrix, without armatures."""
        engine, model = self._engine, self._engine.model
        num_dofs = len(robot.dofs) + (0 if robot.is_fixed_base else 6)
        first = 6 if robot.is_fixed_base else 0
        index = list(self._layout.robots.values()).index(robot)
        shape = (model.articulation_count, model.max_joints_per_articulation * 6, model.max_dofs_per_articulation)
        if name == "JACOBIAN":
            buffer = self._buffer("jacobian", lambda: wp.zeros(shape, float, device=model.device))
            data = wp.to_torch(buffer).unflatten(0, (engine.num_envs, -1))[:, index]
            data = data[:, first : 6 * len(robot.bodies), :num_dofs]
        else:
            buffer = self._buffer(
                "mass", lambda: wp.zeros((shape[0], *shape[2:] * 2), dtype=float, device=model.device)
            )
            data = wp.to_torch(buffer).unflatten(0, (engine.num_envs, -1))[:, index, :num_dofs, :num_dofs]
            armature = wp.to_torch(model.joint_armature).view(engine.num_envs, -1)
            start = robot.dofs[0] - (0 if robot.is_fixed_base else 6) if robot.dofs else 0
            armature = armature[:, start : start + num_dofs]
        motion = self._buffer(
            "motion", lambda: wp.zeros(model.joint_dof_count, dtype=wp.spatial_vector, device=model.device)
        )

        def compute() -> None:
            engine.refresh_links()
            with engine.on_stream():
                if name == "JACOBIAN":
                    newton.eval_jacobian(model, engine.state, buffer, motion)
                    return
                newton.eval_mass_matrix(model, engine.state, buffer)
            data.diagonal(dim1=1, dim2=2).sub_(armature)

        return Computed(engine, data, compute, layout=robot)

    def _bias(self, name: str, robots: list[Robot]) -> Quantity:
        """Return the generalised forces that balance gravity, or Coriolis and centrifugal forces."""
        engine, model = self._engine, self._engine.model
        buffer = self._buffer(name, lambda: wp.zeros(model.joint_dof_count, float, device=model.device))
        key = "gravity_force" if name == "GRAVITY_FORCE" else "coriolis_force"

        def compute() -> None:
            engine.refresh_links()
            with engine.on_stream():
                newton.eval_inverse_dynamics_passive(model, engine.state, **{key: buffer})

        def entries(robot: Robot) -> list[int]:
            if robot.is_fixed_base:
                return robot.dofs
            root = self._layout.free_joints[robot.bodies[0]][1]
            return [*range(root, root + 6), *robot.dofs]

        numbers = torch.tensor([entries(robot) for robot in robots])
        return Quantity(engine, wp.to_torch(buffer), numbers, self._layout.sizes["dof"], compute, layout=robots[0])

    def _limits(self, dofs: Tensor, layout: Robot) -> Quantity:
        """Return lower and upper limits, on the CPU as PhysX's are."""
        lower, upper = (
            self._quantity(self._engine.model, f"joint_limit_{end}", dofs, after_write=self._tells(_FORCE))
            for end in ("lower", "upper")
        )
        limits = torch.zeros(*lower.data.shape, 2)

        def compute() -> None:
            limits.copy_(torch.stack((lower.read(), upper.read()), -1))
            limits.copy_(torch.where(limits.abs() < newton.MAXVAL, limits, limits.sign() * UNLIMITED))

        def write() -> None:
            within = limits.clamp(-newton.MAXVAL, newton.MAXVAL).to(self._engine.device)
            lower.put(within[..., 0])
            upper.put(within[..., 1])

        return Computed(self._engine, limits, compute, write, layout)

    def _drive_types(self, robots: list[Robot]) -> Tensor:
        """Return what the USD file says: 0 for no drive, 1 for one of force."""
        types = [[self._layout.drives[dof] for dof in robot.dofs] for robot in robots]
        return torch.tensor(types, dtype=torch.uint8).repeat(self._engine.num_envs, 1)

    def _zeros(self, per_env: int, *shape: int) -> Quantity:
        """Return what there is none of, or what only its shape is asked of."""
        zeros = torch.zeros(per_env * self._engine.num_envs, *shape, device=self._engine.device)
        return Computed(self._engine, zeros, lambda: None)

    def _buffer(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._buffers:
            self._buffers[name] = make()
        return self._buffers[name]

    def _materials(self, bodies: list[list[int]]) -> Quantity:
        """Return friction at rest and in motion, which are one here, and restitution, (prims, shapes, 3)."""
        model = self._engine.model
        of_shapes = wp.to_torch(model.shape_body).tolist()
        shapes: dict[int, list[int]] = {}
        for shape, body in enumerate(of_shapes):
            shapes.setdefault(body, []).append(shape)
        starts = [number * self._layout.sizes["body"] for number in range(self._engine.num_envs)]
        rows = [
            [shape for body in group for shape in shapes.get(start + body, [])] for start in starts for group in bodies
        ]
        numbers = torch.tensor(rows, device=self._engine.device)
        sliding, bouncing = (
            wp.to_torch(array) for array in (model.shape_material_mu, model.shape_material_restitution)
        )
        data = torch.zeros(*numbers.shape, 3, device=self._engine.device)

        def write() -> None:
            sliding[numbers], bouncing[numbers] = data[..., 1], data[..., 2]
            self._engine.changed |= int(ModelFlags.SHAPE_PROPERTIES)

        def compute() -> None:
            data.copy_(torch.stack((sliding[numbers], sliding[numbers], bouncing[numbers]), -1))

        return Computed(self._engine, data, compute, write)

    # -- bodies -------------------------------------------------------------------------------------------------------

    def _of_bodies(self, name: str, bodies: Tensor, robots: list[Robot] | None, links: bool = False) -> Quantity | None:
        """Return a quantity of bodies, (prims, ...); with `robots` they are links, or roots that stay."""
        engine, layout = self._engine, robots[0] if robots else None
        if name in ("POSE", "VELOCITY"):
            starts = [self._layout.free_joints.get(int(body)) for body in bodies.reshape(-1)]
            which, width = (0, 7) if name == "POSE" else (1, 6)
            if not links and None not in starts:
                first = torch.tensor([start[which] for start in starts if start])
                array = ("joint_q", "joint_qd")[which]
                return self._quantity(engine.state, array, first[:, None] + torch.arange(width), self._moved)
            array = ("body_q", "body_qd")[which]
            entries = bodies[..., None] * width + torch.arange(width)
            seen = self._quantity(engine.state, array, entries, before_read=engine.refresh_links, layout=layout)
            return seen if links or not robots else self._fixed_root(seen, robots, name)
        if name in _BODY_PROPERTIES:
            array, width = _BODY_PROPERTIES[name]
            entries = bodies[..., None] * width + torch.arange(width) if width > 1 else bodies
            return self._quantity(engine.model, array, entries, after_write=self._weighed, layout=layout)
        if name == "COM_POSE":
            return self._centres(bodies)
        if name == "DISABLE_GRAVITY":
            held = self._quantity(engine.model.mujoco, "gravcomp", bodies, after_write=self._tells(_BODY))
            flags = torch.zeros(held.data.shape, dtype=torch.uint8, device=engine.device)
            return Computed(engine, flags, lambda: flags.copy_(held.read() > 0), lambda: held.put(flags.float()))
        if name == "WRENCH":
            return self._pushes(bodies)
        return None

    def _fixed_root(self, seen: Quantity, robots: list[Robot], name: str) -> Quantity:
        """Return pose or velocity of roots that stay: what is written moves what they are fixed to."""
        engine, data = self._engine, seen.read().clone()
        joints = torch.tensor([robot.joint for robot in robots])
        entries = joints[:, None] * 7 + torch.arange(7)
        anchors = self._quantity(engine.model, "joint_X_p", entries, after_write=self._moved_anchor)
        child = self._quantity(engine.model, "joint_X_c", entries).read().clone()

        def write() -> None:
            if name == "VELOCITY":
                return
            rotation = data[:, 3:].roll(1, -1)
            position = data[:, :3] + quat_rotate(rotation, child[:, :3])
            turned = quat_mul(rotation, child[:, 3:].roll(1, -1)).roll(-1, -1)
            anchors.put(torch.cat((position, turned), -1))

        return Computed(engine, data, lambda: data.copy_(seen.read()), write)

    def _centres(self, bodies: Tensor) -> Quantity:
        """Return centres of mass in the bodies' frames; axes are the bodies', in which Newton has inertias."""
        entries = bodies[..., None] * 3 + torch.arange(3)
        centres = self._quantity(self._engine.model, "body_com", entries, after_write=self._tells(_BODY))
        data = torch.zeros(*centres.data.shape[:-1], 7, device=self._engine.device)
        data[..., 6] = 1.0
        return Computed(
            self._engine, data, lambda: data[..., :3].copy_(centres.read()), lambda: centres.put(data[..., :3])
        )

    def _pushes(self, bodies: Tensor) -> Quantity:
        """Return what pushes bodies in the next step: force, torque and the point in the world, (prims, 9)."""
        engine = self._engine
        forces = self._quantity(engine.state, "body_f", bodies[:, None] * 6 + torch.arange(6))
        links = bodies[:, None] * 7 + torch.arange(7)
        poses = self._quantity(engine.state, "body_q", links, before_read=engine.refresh_links)
        centres = self._quantity(engine.model, "body_com", bodies[:, None] * 3 + torch.arange(3))
        data = torch.zeros(len(forces.data), 9, device=engine.device)

        def write() -> None:
            pose = poses.read()
            centre = pose[:, :3] + quat_rotate(pose[:, 3:].roll(1, -1), centres.read())
            force, torque, point = data.split(3, -1)
            forces.put(torch.cat((force, torque + torch.linalg.cross(point - centre, force)), -1))

        return Computed(engine, data, data.zero_, write)

    # -- what follows from writes -------------------------------------------------------------------------------------

    def _quantity(
        self,
        owner: Any,
        array: str,
        entries: Tensor,
        after_write: Callable[[], None] | None = None,
        before_read: Callable[[], None] | None = None,
        layout: Robot | None = None,
    ) -> Quantity:
        source = wp.to_torch(getattr(owner, array)).view(-1)
        per_world = source.numel() // self._engine.num_envs
        none = lambda: None  # noqa: E731
        return Quantity(self._engine, source, entries, per_world, before_read or none, after_write or none, layout)

    def _moved(self) -> None:
        self._engine.is_stale = True

    def _moved_anchor(self) -> None:
        self._engine.is_stale = True
        self._engine.changed |= int(ModelFlags.JOINT_PROPERTIES)

    def _tells(self, flag: int) -> Callable[[], None]:
        def tell() -> None:
            self._engine.changed |= flag

        return tell

    def _weighed(self) -> None:
        """Let inverse masses and inertias follow."""
        model = self._engine.model
        mass, inertia = wp.to_torch(model.body_mass), wp.to_torch(model.body_inertia)
        wp.to_torch(model.body_inv_mass).copy_(torch.where(mass > 0, 1.0 / mass, 0.0))
        wp.to_torch(model.body_inv_inertia).copy_(torch.linalg.inv_ex(inertia)[0])
        self._engine.changed |= _BODY

    # -- forces in the last step --------------------------------------------------------------------------------------

    def _wrenches_of(self, bodies: Tensor) -> Quantity:
        self._engine.wants_wrenches = True
        entries = bodies[..., None] * 6 + torch.arange(6)
        per_world = self._wrenches.numel() // self._engine.num_envs
        return Quantity(self._engine, self._wrenches.view(-1), entries, per_world)

    def _measured_efforts(self, robots: list[Robot]) -> Quantity:
        """Return what joints transmitted along each degree of freedom, (prims, dofs)."""
        starts = [
            [robot.bodies[link] * 6 + 3 * turns for link, turns in zip(robot.links, robot.turns, strict=True)]
            for robot in robots
        ]
        self._engine.wants_wrenches = True
        entries = torch.tensor(starts)[..., None] + torch.arange(3)
        parts = Quantity(self._engine, self._wrenches.view(-1), entries, 6 * self._layout.sizes["body"])
        axes = torch.tensor([robot.axes for robot in robots], device=self._engine.device)
        axes = axes.repeat(self._engine.num_envs, 1, 1)
        data = torch.zeros(parts.data.shape[:2], device=self._engine.device)
        return Computed(self._engine, data, lambda: torch.sum(parts.read() * axes, -1, out=data), layout=robots[0])

    def read_wrenches(self) -> None:
        """Compute what joints transmitted in the last step."""
        solver, model = self._engine.solver, self._engine.model
        mjw_model, data = solver.mjw_model, solver.mjw_data
        wp.launch(
            kernels.read_joint_wrenches,
            dim=solver.mjc_body_to_newton.shape,
            inputs=[
                *(solver.mjc_body_to_newton, mjw_model.body_rootid, data.cfrc_int, data.subtree_com),
                *(data.xpos, data.xquat, wp.from_torch(self._body_joint), model.joint_parent, model.joint_X_c),
                wp.from_torch(self._wrenches, dtype=wp.spatial_vector),
            ],
            device=model.device,
        )


class ContactForces:
    """Reads normal forces on some bodies in the last step.

    Args:
        engine: The engine.
        layout: Where prims are found.
        sensors: Paths of the bodies in all environments.
        filters: Paths of what contacts are told apart by, the same number for each body in turn.

    Attributes:
        num_filters: Number of filters of each body.
    """

    def __init__(self, engine: NewtonEngine, layout: Layout, sensors: list[str], filters: list[str]) -> None:
        self._engine = engine
        model, device = engine.model, engine.device
        self.num_filters = len(filters) // len(sensors)

        def number(path: str) -> int:
            env, _, rest = path.removeprefix(f"{ENVS_PATH}/env_").partition("/")
            return int(env) * layout.sizes["body"] + layout.bodies[f"{ENVS_PATH}/env_0/{rest}"]

        shapes = {label: index for index, label in enumerate(model.shape_label)}
        told = [-2 - number(path) if path.startswith(f"{ENVS_PATH}/") else shapes[path] for path in filters]
        of_bodies = torch.full((model.body_count,), -1, dtype=torch.int32)
        of_bodies[[number(path) for path in sensors]] = torch.arange(len(sensors), dtype=torch.int32)
        self._sensors = of_bodies.to(device)
        self._told = torch.tensor(told, dtype=torch.int32).view(len(sensors), self.num_filters).to(device)
        self._net = torch.zeros(len(sensors), 3, device=device)
        self._matrix = torch.zeros(len(sensors), self.num_filters, 3, device=device)

    def net_forces(self, dt: float) -> Tensor:
        """Return the sum of normal forces on each body, (sensors, 3) in N s / `dt`."""
        return self._net * (self._engine.physics_dt / dt)

    def force_matrix(self, dt: float) -> Tensor:
        """Return the normal force from each filter on each body, (sensors, num_filters, 3) in N s / `dt`."""
        return self._matrix * (self._engine.physics_dt / dt)

    def contact_data(self, dt: float) -> tuple[Tensor, ...]:
        """Raise: single contacts are not told."""
        raise NotImplementedError("engine=newton tells no single contacts: use engine=physx.")

    friction_data = contact_data

    def read(self, solver: Any) -> None:
        """Add up what the solver's last step brought."""
        model, data, contact = self._engine.model, solver.mjw_data, solver.mjw_data.contact
        net, matrix = (wp.from_torch(forces, dtype=wp.vec3) for forces in (self._net, self._matrix))
        net.zero_()
        matrix.zero_()
        wp.launch(
            kernels.add_contact_forces,
            dim=data.naconmax,
            inputs=[
                *(data.nacon, contact.worldid, contact.geom, contact.frame, contact.dim, contact.efc_address),
                *(data.efc.force, int(solver.mjw_model.opt.cone) == 0, solver.mjc_geom_to_newton_shape),
                *(model.shape_body, wp.from_torch(self._sensors), wp.from_torch(self._told), net, matrix),
            ],
            device=model.device,
        )
