# SPDX-License-Identifier: Apache-2.0
"""omni.physics.tensors on standalone PhysX, as strict as the compiled one.

Data are (count, ...) float32 or uint8, indices (M,) integers, all contiguous, on the device that PhysX simulates on or,
for properties, on the CPU; poses are (x, y, z, qx, qy, qz, qw). A getter fills and returns the same tensor at every
call, so that whoever keeps a result has to clone it.
"""

from __future__ import annotations

import enum
import weakref
from types import SimpleNamespace
from typing import Any, ClassVar

import torch
from ovphysx.types import TensorType
from pxr import Usd, UsdPhysics

from . import kit, native
from .importer import provide

ORDER = {"key": None}
"""How a pattern's prims are sorted within PhysX; None leaves the order of the stage."""

_VIEWS: weakref.WeakSet = weakref.WeakSet()
_DTYPES = {"float32": torch.float32, "int32": torch.int32, "uint8": torch.uint8, "bool": torch.uint8}

_ARTICULATION = {
    # name: (tensor type without its prefix, whether there is a setter)
    "root_transforms": ("ROOT_POSE", True),
    "root_velocities": ("ROOT_VELOCITY", True),
    "link_transforms": ("LINK_POSE", False),
    "link_velocities": ("LINK_VELOCITY", False),
    "link_incoming_joint_force": ("LINK_INCOMING_JOINT_FORCE", False),
    "dof_positions": ("DOF_POSITION", True),
    "dof_velocities": ("DOF_VELOCITY", True),
    "dof_position_targets": ("DOF_POSITION_TARGET", True),
    "dof_velocity_targets": ("DOF_VELOCITY_TARGET", True),
    "dof_actuation_forces": ("DOF_ACTUATION_FORCE", True),
    "dof_projected_joint_forces": ("DOF_PROJECTED_JOINT_FORCE", False),
    "dof_limits": ("DOF_LIMIT", True),
    "dof_stiffnesses": ("DOF_STIFFNESS", True),
    "dof_dampings": ("DOF_DAMPING", True),
    "dof_max_forces": ("DOF_MAX_FORCE", True),
    "dof_max_velocities": ("DOF_MAX_VELOCITY", True),
    "dof_armatures": ("DOF_ARMATURE", True),
    "dof_friction_properties": ("DOF_FRICTION_PROPERTIES", True),
    "material_properties": ("SHAPE_FRICTION_AND_RESTITUTION", True),
    "contact_offsets": ("CONTACT_OFFSET", True),
    "rest_offsets": ("REST_OFFSET", True),
    "drive_types": ("DOF_DRIVE_TYPE", False),
    "masses": ("BODY_MASS", True),
    "inv_masses": ("BODY_INV_MASS", False),
    "coms": ("BODY_COM_POSE", True),
    "inertias": ("BODY_INERTIA", True),
    "inv_inertias": ("BODY_INV_INERTIA", False),
    "disable_gravities": ("BODY_DISABLE_GRAVITY", True),
    "jacobians": ("JACOBIAN", False),
    "generalized_mass_matrices": ("MASS_MATRIX", False),
    "coriolis_and_centrifugal_compensation_forces": ("CORIOLIS_AND_CENTRIFUGAL_FORCE", False),
    "gravity_compensation_forces": ("GRAVITY_FORCE", False),
}
_RIGID_BODY = {
    "transforms": ("POSE", True),
    "velocities": ("VELOCITY", True),
    "masses": ("MASS", True),
    "inv_masses": ("INV_MASS", False),
    "coms": ("COM_POSE", True),
    "inertias": ("INERTIA", True),
    "inv_inertias": ("INV_INERTIA", False),
    "disable_gravities": ("DISABLE_GRAVITY", True),
    "disable_simulations": ("DISABLE_SIMULATION", True),
    "material_properties": ("SHAPE_FRICTION_AND_RESTITUTION", True),
    "contact_offsets": ("CONTACT_OFFSET", True),
    "rest_offsets": ("REST_OFFSET", True),
}


class DofType(enum.IntEnum):
    """omni.physics.tensors.DofType."""

    Rotation = 0
    Translation = 1
    Invalid = 255


class JointType(enum.IntEnum):
    """omni.physics.tensors.JointType."""

    Fixed = 0
    Revolute = 1
    Prismatic = 2
    Spherical = 3
    Invalid = 255


_JOINTS = {
    "PhysicsRevoluteJoint": (JointType.Revolute, DofType.Rotation),
    "PhysicsPrismaticJoint": (JointType.Prismatic, DofType.Translation),
    "PhysicsFixedJoint": (JointType.Fixed, DofType.Invalid),
    # Several axes of an articulation's joint turn; its degrees of freedom are named joint:number.
    "PhysicsSphericalJoint": (JointType.Spherical, DofType.Rotation),
    "PhysicsJoint": (JointType.Spherical, DofType.Rotation),
}


def release_views() -> None:
    """Destroy the bindings of every view, before PhysX goes."""
    for view in list(_VIEWS):
        view.release()


class _View:
    _prefix = ""
    _quantities: ClassVar[dict[str, tuple[str, bool]]] = {}

    def __init__(self, prim_paths: list[str]) -> None:
        self.prim_paths = prim_paths
        self.count = len(prim_paths)
        self._buffers: dict[str, tuple[Any, torch.Tensor]] = {}
        _VIEWS.add(self)

    def release(self) -> None:
        for binding, _ in self._buffers.values():
            binding.destroy()
        self._buffers.clear()

    def __getattr__(self, name: str) -> Any:
        verb, _, quantity = name.partition("_")
        if quantity in self._quantities:
            tensor_type, can_set = self._quantities[quantity]
            if verb == "get":
                return lambda: self.read(tensor_type)
            if verb == "set" and can_set:
                return lambda data, indices: self.write(tensor_type, data, indices)
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotImplementedError(f"the stand-in for Kit has no {type(self).__name__}.{name}")

    def buffer(self, tensor_type: str) -> tuple[Any, torch.Tensor]:
        """Return the binding of a quantity and its one tensor."""
        if tensor_type not in self._buffers:
            if native.PHYSICS.physx is None:
                raise RuntimeError("the simulation view is no longer valid")
            binding = native.PHYSICS.physx.create_tensor_binding(
                prim_paths=self.prim_paths, tensor_type=TensorType[self._prefix + tensor_type]
            )
            if binding.shape[0] != self.count:
                raise RuntimeError(f"PhysX found {binding.shape[0]} of {self.count} prims for {tensor_type}")
            device = "cpu" if str(binding.native_device).lower().startswith("cpu") else native.PHYSICS.device
            tensor = torch.zeros(binding.shape, dtype=_DTYPES[binding.dtype_name], device=device)
            self._buffers[tensor_type] = binding, tensor
        return self._buffers[tensor_type]

    def read(self, tensor_type: str) -> torch.Tensor:
        binding, tensor = self.buffer(tensor_type)
        binding.read(tensor)
        return self.shaped(tensor_type, tensor)

    def shaped(self, tensor_type: str, tensor: torch.Tensor) -> torch.Tensor:
        """Return the tensor in the shape that omni.physics.tensors gives it."""
        return tensor

    def write(self, tensor_type: str, data: torch.Tensor, indices: torch.Tensor) -> None:
        binding, tensor = self.buffer(tensor_type)
        shape = self.shaped(tensor_type, tensor).shape
        # The compiled module counts elements, so that Isaac Sim may write masses (N,) where it reads (N, 1).
        check(tensor_type, data, shape[:-1] if data.ndim == 1 and shape[-1] == 1 else shape, tensor)
        synchronize()
        binding.write(data.view(tensor.shape), indices=as_int32(indices, self.count, tensor.device))


def synchronize() -> None:
    """Wait until torch has computed what PhysX is about to read."""
    if native.PHYSICS.device != "cpu":
        torch.cuda.synchronize()


def check(name: str, data: Any, shape: torch.Size, like: torch.Tensor) -> None:
    """Refuse what the compiled module refuses or would misread.

    Raises:
        TypeError: If `data` is no contiguous tensor of this shape, with the dtype and device of another.
    """
    if not isinstance(data, torch.Tensor):
        raise TypeError(f"{name}: a torch tensor is expected, not {type(data).__name__}")
    if data.dtype != like.dtype or data.shape != shape or data.device != like.device or not data.is_contiguous():
        raise TypeError(
            f"{name}: {like.dtype} {tuple(shape)} on {like.device}, contiguous, is expected, not {data.dtype} "
            f"{tuple(data.shape)} on {data.device}, {'' if data.is_contiguous() else 'not '}contiguous"
        )


def as_int32(indices: Any, count: int, device: torch.device) -> torch.Tensor:
    """Return integer indices as int32, as the torch frontend of omni.physics.tensors does.

    Raises:
        TypeError: If they are no integer vector on the device.
        IndexError: If one is out of range, where the compiled module would write past its buffers.
    """
    if not isinstance(indices, torch.Tensor) or indices.dtype not in (torch.int32, torch.int64) or indices.ndim != 1:
        raise TypeError(f"indices: an integer vector is expected, not {indices!r}")
    if indices.device != device:
        raise TypeError(f"indices: they have to be on {device}, not on {indices.device}")
    if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < count:
        raise IndexError(f"indices: {indices.tolist()} are not all in [0, {count})")
    return indices.to(torch.int32).contiguous()


class ArticulationView(_View):
    """omni.physics.tensors.ArticulationView."""

    _prefix = "ARTICULATION_"
    _quantities = _ARTICULATION

    def __init__(self, prim_paths: list[str]) -> None:
        super().__init__(prim_paths)
        binding = self.buffer("DOF_POSITION")[0]
        links, joints, dofs = binding.body_names, binding.joint_names, binding.dof_names
        prims = _descendants(prim_paths[0])
        joint_prims = {prim.GetName(): prim for prim in prims if prim.IsA(UsdPhysics.Joint)}
        types = {
            name: _JOINTS[prim.GetTypeName()] for name, prim in joint_prims.items() if prim.GetTypeName() in _JOINTS
        }
        self.is_homogeneous = True
        self.max_links, self.max_dofs = len(links), len(dofs)
        self.max_shapes = sum(prim.HasAPI(UsdPhysics.CollisionAPI) for prim in prims)
        self.max_fixed_tendons, self.max_spatial_tendons = binding.fixed_tendon_count, binding.spatial_tendon_count
        self.shared_metatype = SimpleNamespace(
            link_names=links,
            link_indices={name: index for index, name in enumerate(links)},
            link_count=len(links),
            joint_names=joints,
            joint_indices={name: index for index, name in enumerate(joints)},
            joint_types=[types[name][0] for name in joints],
            joint_count=len(joints),
            dof_names=dofs,
            dof_indices={name: index for index, name in enumerate(dofs)},
            dof_types=[types[name.partition(":")[0]][1] for name in dofs],
            dof_count=len(dofs),
            fixed_base=binding.is_fixed_base,
        )
        root = str(_robot_root(prim_paths[0]).GetPath())
        inside = {name: str(prim.GetPath())[len(root) :] for name, prim in joint_prims.items()}
        self.dof_paths = [
            [str(_robot_root(path).GetPath()) + inside[name.partition(":")[0]] for name in dofs] for path in prim_paths
        ]

    @property
    def jacobian_shape(self) -> tuple[int, ...]:
        return tuple(self.buffer("JACOBIAN")[1].shape[1:])

    @property
    def generalized_mass_matrix_shape(self) -> tuple[int, ...]:
        return tuple(self.buffer("MASS_MATRIX")[1].shape[1:])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("get_fixed_tendon_") and self.max_fixed_tendons == 0:
            return lambda: torch.zeros((self.count, 0, 2) if name.endswith("limits") else (self.count, 0))
        return super().__getattr__(name)

    def set_fixed_tendon_properties(self, *data: torch.Tensor) -> None:
        if self.max_fixed_tendons:
            raise NotImplementedError("the stand-in for Kit has no tendons")

    def shaped(self, tensor_type: str, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.view(self.count, -1, 6, tensor.shape[-1]) if tensor_type == "JACOBIAN" else tensor


class RigidBodyView(_View):
    """omni.physics.tensors.RigidBodyView."""

    _prefix = "RIGID_BODY_"
    _quantities = _RIGID_BODY

    def __init__(self, prim_paths: list[str]) -> None:
        super().__init__(prim_paths)
        prims = _below(native_prim(prim_paths[0]))
        self.max_shapes = sum(prim.HasAPI(UsdPhysics.CollisionAPI) for prim in prims)

    def shaped(self, tensor_type: str, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.view(self.count, 1) if tensor.ndim == 1 else tensor

    def apply_forces(self, data: torch.Tensor, indices: torch.Tensor, is_global: bool = True) -> None:
        self.apply_forces_and_torques_at_position(data, None, None, indices, is_global)

    def apply_forces_and_torques_at_position(
        self,
        force_data: torch.Tensor | None,
        torque_data: torch.Tensor | None,
        position_data: torch.Tensor | None,
        indices: torch.Tensor,
        is_global: bool,
    ) -> None:
        if not is_global:
            raise NotImplementedError("the stand-in for Kit applies forces in the world frame alone")
        shape = torch.Size((self.count, 3))
        for name, data in (("force", force_data), ("torque", torque_data), ("position", position_data)):
            if data is not None and data.numel() == 3 * self.count:
                check(name, data.view(shape), shape, self.buffer("WRENCH")[1])
        zeros = torch.zeros(shape, device=native.PHYSICS.device)
        force = zeros if force_data is None else force_data.view(shape)
        torque = zeros if torque_data is None else torque_data.view(shape)
        if position_data is None:
            position = self.read("POSE")[:, :3] + _rotate(self.read("POSE")[:, 3:], self.read("COM_POSE")[:, :3])
        else:
            position = position_data.view(shape)
        wrench = torch.cat((force, torque, position), -1)
        binding, tensor = self.buffer("WRENCH")
        synchronize()
        binding.write(wrench, indices=as_int32(indices, self.count, tensor.device))


class RigidContactView(_View):
    """omni.physics.tensors.RigidContactView."""

    def __init__(self, sensors: list[str], filters: list[str], max_contacts: int) -> None:
        super().__init__(sensors)
        self._contacts = native.PHYSICS.physx.create_contact_binding(
            sensor_patterns=sensors,
            filter_patterns=filters or None,
            filters_per_sensor=len(filters) // len(sensors),
            max_contact_data_count=max_contacts,
        )
        self.sensor_count, self.filter_count = self._contacts.sensor_count, self._contacts.filter_count
        self._max_contacts = max_contacts
        self._device = native.PHYSICS.device
        self._net = torch.zeros(self.sensor_count, 3, device=self._device)
        self._matrix = torch.zeros(self.sensor_count, self.filter_count, 3, device=self._device)

    def release(self) -> None:
        self._contacts.destroy()

    def get_net_contact_forces(self, dt: float) -> torch.Tensor:
        self._contacts.read_net_normal_forces(self._net)
        return self._net.mul_(native.PHYSICS.last_dt / dt)  # PhysX gives impulse over its own last step

    def get_contact_force_matrix(self, dt: float) -> torch.Tensor:
        self._contacts.read_normal_force_matrix(self._matrix)
        return self._matrix.mul_(native.PHYSICS.last_dt / dt)

    def get_contact_data(self, dt: float) -> tuple[torch.Tensor, ...]:
        forces, *others = self._details("read_normal_contact_data", (1, 3, 3, 1))
        return forces.mul_(native.PHYSICS.last_dt / dt), *others

    def get_friction_data(self, dt: float) -> tuple[torch.Tensor, ...]:
        forces, *others = self._details("read_friction_contact_data", (3, 3))
        return forces.mul_(native.PHYSICS.last_dt / dt), *others

    def _details(self, reader: str, widths: tuple[int, ...]) -> list[torch.Tensor]:
        flat = [torch.zeros(self._max_contacts, width, device=self._device) for width in widths]
        shape = (self.sensor_count, self.filter_count)
        pairs = [torch.zeros(shape, dtype=torch.int32, device=self._device) for _ in ("counts", "starts")]
        getattr(self._contacts, reader)(*flat, *pairs)
        return [*flat, *pairs]


class SimulationView:
    """omni.physics.tensors.SimulationView, with views for the torch frontend."""

    def __init__(self, frontend: str) -> None:
        self._frontend = frontend
        self.is_valid = True

    def set_subspace_roots(self, pattern: str) -> bool:
        if pattern != "/":
            raise NotImplementedError("the stand-in for Kit has no subspaces")
        return True

    def invalidate(self) -> None:
        self.is_valid = False

    def update_articulations_kinematic(self) -> bool:
        native.PHYSICS.physx.update_articulations_kinematic()
        return True

    def create_articulation_view(self, pattern: str | list[str]) -> ArticulationView:
        return ArticulationView(self._find(pattern))

    def create_rigid_body_view(self, pattern: str | list[str]) -> RigidBodyView:
        return RigidBodyView(self._find(pattern))

    def create_rigid_contact_view(
        self, pattern: str | list[str], filter_patterns: list, max_contact_data_count: int = 0
    ) -> RigidContactView:
        sensors = self._find(pattern)
        columns = [
            self._find(item) for group in filter_patterns for item in (group if isinstance(group, list) else [group])
        ]
        for column in columns:
            if len(column) not in (1, len(sensors)):
                raise ValueError(f"{len(column)} filters for {len(sensors)} sensors")
        filters = [column[i if len(column) > 1 else 0] for i in range(len(sensors)) for column in columns]
        return RigidContactView(sensors, filters, max_contact_data_count)

    def _find(self, pattern: str | list[str]) -> list[str]:
        if self._frontend != "torch" or not self.is_valid:
            raise NotImplementedError(f"the stand-in for Kit has no views for {self._frontend}, nor after a stop")
        patterns = pattern if isinstance(pattern, list) else [pattern]
        paths = [str(prim.GetPath()) for item in patterns for prim in native.match_prims(kit.CONTEXT.stage, item)]
        if not paths:
            raise RuntimeError(f"no prims match {pattern}")
        return sorted(paths, key=ORDER["key"]) if ORDER["key"] else paths


def create_simulation_view(frontend: str, stage_id: int = -1, backend: str = "physx") -> SimulationView:
    """Create a simulation view of the open stage."""
    if stage_id != kit.CONTEXT.get_stage_id() or native.PHYSICS.physx is None or backend != "physx":
        raise RuntimeError("no physics is loaded for this stage")
    return SimulationView(frontend)


def native_prim(path: str) -> Usd.Prim:
    """Return a prim of the open stage."""
    return kit.CONTEXT.stage.GetPrimAtPath(path)


def _below(prim: Usd.Prim) -> list[Usd.Prim]:
    return list(Usd.PrimRange(prim))


def _robot_root(path: str) -> Usd.Prim:
    """Return the prim below which a robot's links and joints lie: its articulation root, or a root link's parent."""
    prim = native_prim(path)
    return prim.GetParent() if prim.HasAPI(UsdPhysics.RigidBodyAPI) else prim


def _descendants(path: str) -> list[Usd.Prim]:
    return _below(_robot_root(path))


def _rotate(quaternions: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Rotate vectors by (x, y, z, w) quaternions: v + 2 w (q x v) + 2 q x (q x v)."""
    axis, w = quaternions[:, :3], quaternions[:, 3:]
    cross = torch.linalg.cross(axis, vectors)
    return vectors + 2 * (w * cross + torch.linalg.cross(axis, cross))


def install() -> None:
    """Install the module."""
    provide(
        "omni.physics.tensors",
        create_simulation_view=create_simulation_view,
        SimulationView=SimulationView,
        DofType=DofType,
        JointType=JointType,
    )
