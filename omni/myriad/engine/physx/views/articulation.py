# SPDX-License-Identifier: Apache-2.0
"""ArticulationView: all robots of a kind, one row per environment."""

from __future__ import annotations

import logging
from typing import Any

import torch
from pxr import Usd, UsdPhysics
from torch import Tensor

from omni.myriad.engine import checks
from omni.myriad.engine.base import ENV_0_PATH
from omni.myriad.engine.physx.views.prim import PrimView, needs_physics
from omni.myriad.engine.physx.views.settings import Setting
from omni.myriad.engine.physx.views.unsupported import unsupported
from omni.myriad.engine.view import DofType, Indices, JointsState, Names, Poses, RobotView, XFormPrimViewState

logger = logging.getLogger(__name__)

_FRICTION = "ARTICULATION_DOF_FRICTION_PROPERTIES"
_TENDON = "ARTICULATION_FIXED_TENDON_"

_SOLVER = "PhysxArticulationAPI"
_POSITION_ITERATIONS = Setting(_SOLVER, "physxArticulation:solverPositionIterationCount", torch.int32, 32)
_VELOCITY_ITERATIONS = Setting(_SOLVER, "physxArticulation:solverVelocityIterationCount", torch.int32, 1)
_STABILIZATION_THRESHOLD = Setting(_SOLVER, "physxArticulation:stabilizationThreshold", torch.float32, 1e-5)
_SLEEP_THRESHOLD = Setting(_SOLVER, "physxArticulation:sleepThreshold", torch.float32, 5e-5)
_SELF_COLLISIONS = Setting(_SOLVER, "physxArticulation:enabledSelfCollisions", torch.uint8, True)

_EFFORT_MODES = ("force", "acceleration")
_NUM_ROOT_COORDINATES = 6


@needs_physics
class ArticulationView(PrimView, RobotView):
    """The articulations that an expression names, one in every environment.

    Args:
        prim_paths_expr: Expression of the articulations' root prims, or of prims with one articulation below, such as
            "/World/envs/.*/Ant"; or several.
        name: Name under which the scene registers the view.
        positions: Default world positions in m, (N, 3), taken when physics starts.
        translations: Default positions in m in the parent's frame, (N, 3), instead of `positions`.
        orientations: Default orientations as wxyz, (N, 4), in the same frame.
        scales: Not available here: PhysX reads sizes from environment 0.
        visibilities: Not available here: nothing is rendered.
        reset_xform_properties: Accepted for Isaac Sim's sake and unused: transforms are PhysX's.
        enable_residual_reports: Not available here; Isaac Sim dropped it in 6.0.
    """

    def __init__(
        self,
        prim_paths_expr: str | list[str],
        name: str = "articulation_prim_view",
        positions: Tensor | None = None,
        translations: Tensor | None = None,
        orientations: Tensor | None = None,
        scales: Any = None,
        visibilities: Any = None,
        reset_xform_properties: bool = True,
        enable_residual_reports: bool = False,
    ) -> None:
        super().__init__(prim_paths_expr, name, positions, translations, orientations, scales, visibilities)
        if enable_residual_reports:
            self.get_position_residuals()
        self._default_poses = XFormPrimViewState(None, None)
        self._default_joints = JointsState(None, None, None)

    def _resolve(self, relative_paths: list[str]) -> list[str]:
        roots = []
        for path in relative_paths:
            prim = self._require_engine().stage.GetPrimAtPath(f"{ENV_0_PATH}/{path}")
            below = [p for p in Usd.PrimRange(prim) if p.HasAPI(UsdPhysics.ArticulationRootAPI)]
            if len(below) != 1:
                raise checks.ArgumentError(
                    f"{self.name}: {prim.GetPath()} is no articulation: {len(below)} prims at or below it have "
                    "PhysicsArticulationRootAPI, where one should."
                )
            roots.append(str(below[0].GetPath())[len(ENV_0_PATH) + 1 :])
        return list(dict.fromkeys(roots))

    def _on_physics_ready(self) -> None:
        binding = self._metadata()
        self._body_names, self._joint_names, self._dof_names = (
            binding.body_names,
            binding.joint_names,
            binding.dof_names,
        )
        # Tasks written for OmniIsaacGymEnvs read these two under just these names.
        self._body_indices = {name: index for index, name in enumerate(self._body_names)}
        self._dof_indices = {name: index for index, name in enumerate(self._dof_names)}
        self._default_kps, self._default_kds = self.get_gains()
        super()._on_physics_ready()
        positions, orientations = self.get_world_poses()
        self._fill_defaults(self._default_poses, positions=positions, orientations=orientations)
        # Isaac Sim takes the drives' targets for the default state, not the joints' positions.
        targets, velocities, efforts = self._applied()
        self._fill_defaults(
            self._default_joints, positions=targets, velocities=velocities, efforts=torch.zeros_like(efforts)
        )
        self._paused: tuple[Tensor, Tensor, Tensor] | None = None

    def _metadata(self) -> Any:
        return self._quantity("ARTICULATION_DOF_POSITION").bindings[0]

    # -- names and counts ---------------------------------------------------------------------------------------------

    @property
    def num_joints(self) -> int:
        """Number of joints of one articulation, fixed ones included, the one that fixes a base to the world not."""
        return len(self._joint_names)

    @property
    def num_shapes(self) -> int:
        """Number of collision shapes of one articulation."""
        return self._quantity("ARTICULATION_CONTACT_OFFSET").data.shape[1]

    @property
    def num_fixed_tendons(self) -> int:
        """Number of fixed tendons of one articulation."""
        return self._metadata().fixed_tendon_count

    @property
    def joint_names(self) -> list[str]:
        """Names of the joints; joint i leads to the link `body_names[i + 1]`."""
        return list(self._joint_names)

    @property
    def body_indices(self) -> dict[str, int]:
        """Index of each link by name."""
        return self._body_indices

    @property
    def dof_indices(self) -> dict[str, int]:
        """Index of each degree of freedom by name."""
        return self._dof_indices

    def get_joint_index(self, joint_name: str) -> int:
        """Return the index of a joint."""
        return checks.as_name_indices("joint_name", [joint_name], self._joint_names)[0]

    def get_articulation_body_count(self) -> int:
        """Return the number of links of one articulation."""
        return len(self._body_names)

    def get_dof_types(self, dof_names: Names = None) -> list[DofType]:
        """Return whether each degree of freedom turns or slides.

        Args:
            dof_names: Degrees of freedom; None means all.

        Raises:
            NotImplementedError: For a joint that may do either; PhysX does not tell.
        """
        names = self._dof_names
        if dof_names is not None:
            names = [names[i] for i in checks.as_name_indices("dof_names", dof_names, names)]
        joints = self._joint_prims()
        return [_dof_type(joints[name.split(":")[0]]) for name in names]

    def _joint_prims(self) -> dict[str, Usd.Prim]:
        """Return the joints of environment 0 that lie in the view's robot, by name."""
        robot = self._find_prims()[0].split("/")[0]
        prims = Usd.PrimRange(self._require_engine().stage.GetPrimAtPath(f"{ENV_0_PATH}/{robot}"))
        return {prim.GetName(): prim for prim in prims if prim.IsA(UsdPhysics.Joint)}

    # -- joint state: rad and rad/s, or m and m/s ---------------------------------------------------------------------

    def get_joints_state(self) -> JointsState:
        """Return all joints' positions and velocities, (N, num_dof) each; efforts are None, as in Isaac Sim."""
        return JointsState(self.get_joint_positions(), self.get_joint_velocities(), None)

    # -- targets and efforts ------------------------------------------------------------------------------------------

    def get_measured_joint_efforts(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> Tensor:
        """Return what the solver transmitted along each degree of freedom in the last step, (M, K) in N m or N."""
        dofs = self._dofs(joint_indices, joint_names)
        return self._read("ARTICULATION_DOF_PROJECTED_JOINT_FORCE", indices, dofs, clone)

    # -- kind of drive ------------------------------------------------------------------------------------------------

    def get_drive_types(self) -> Tensor:
        """Return 0 (none), 1 (force) or 2 (acceleration), (N, num_dof) uint8, always on the CPU."""
        return self._quantity("ARTICULATION_DOF_DRIVE_TYPE").read().clone()

    def get_effort_modes(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> list[list[str]]:
        """Return "force" or "acceleration" per articulation and degree of freedom; without a drive it is "force"."""
        dofs = self._dofs(joint_indices, joint_names)
        types = self._read("ARTICULATION_DOF_DRIVE_TYPE", indices, dofs, False)
        return [[_EFFORT_MODES[drive_type == 2] for drive_type in row] for row in types.tolist()]

    def set_effort_modes(
        self, mode: str, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Make drives act by force or by acceleration, in every environment and before physics starts.

        Args:
            mode: "force" or "acceleration".
            indices: Must be None: clones are copies of environment 0.
            joint_indices: Must be None: PhysX has not numbered the joints yet.
            joint_names: Joints by name; None means all that have a drive.

        Raises:
            NotImplementedError: Once physics runs, or for some environments only.
        """
        checks.as_choice("mode", mode, _EFFORT_MODES)
        if self._require_engine().is_playing():
            raise NotImplementedError("set_effort_modes: PhysX reads it once, when it starts; set it before.")
        if indices is not None or joint_indices is not None:
            raise NotImplementedError("set_effort_modes: before physics starts, only joint_names tell joints apart.")
        joints = self._joint_prims()
        if joint_names is not None:
            checks.as_name_indices("joint_names", joint_names, list(joints))
            joints = {name: joints[name] for name in joint_names}
        for joint in joints.values():
            for drive in ("angular", "linear"):
                if joint.HasAPI(UsdPhysics.DriveAPI, drive):
                    UsdPhysics.DriveAPI(joint, drive).CreateTypeAttr().Set(mode)

    # -- limits, armature and friction of joints ----------------------------------------------------------------------

    def get_dof_limits(self) -> Tensor:
        """Return lower and upper limits in rad or m, (N, num_dof, 2), always on the CPU, as in Isaac Sim."""
        return self._quantity("ARTICULATION_DOF_LIMIT").read().clone()

    def set_max_efforts(
        self, values: Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Set the largest effort of each drive, (M, K) in N m or N."""
        self._write("ARTICULATION_DOF_MAX_FORCE", "values", values, indices, self._dofs(joint_indices, joint_names))

    def set_max_joint_velocities(
        self, values: Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Set the largest velocity of each joint, (M, K) in rad/s or m/s."""
        self._write("ARTICULATION_DOF_MAX_VELOCITY", "values", values, indices, self._dofs(joint_indices, joint_names))

    def get_friction_coefficients(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> Tensor:
        """Return each joint's static friction effort, (M, K) in N m or N; see `set_friction_coefficients`."""
        return self._read(_FRICTION, indices, self._dofs(joint_indices, joint_names), clone)[..., 0]

    def set_friction_coefficients(
        self, values: Tensor, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None
    ) -> None:
        """Set each joint's static and dynamic friction effort, (M, K) in N m or N.

        Standalone PhysX has no coefficient that is multiplied by the load on the joint, as Isaac Sim's classes do, but
        a friction effort. Zero, the default, means no friction in both.
        """
        dofs = self._dofs(joint_indices, joint_names)
        properties = self._read(_FRICTION, indices, dofs, True)
        properties[..., :2] = self._floats("values", values, tuple(properties.shape[:-1]))[..., None]
        self._write(_FRICTION, "values", properties, indices, dofs)

    # -- links --------------------------------------------------------------------------------------------------------

    def get_body_masses(self, indices: Indices = None, body_indices: Indices = None, clone: bool = True) -> Tensor:
        """Return masses, (M, K) in kg."""
        return self._read("ARTICULATION_BODY_MASS", indices, self._bodies(body_indices), clone)

    def set_body_masses(self, values: Tensor, indices: Indices = None, body_indices: Indices = None) -> None:
        """Set masses, (M, K) in kg; inertias stay as they are."""
        self._write("ARTICULATION_BODY_MASS", "values", values, indices, self._bodies(body_indices))

    def get_body_inv_masses(self, indices: Indices = None, body_indices: Indices = None, clone: bool = True) -> Tensor:
        """Return inverse masses, (M, K) in 1/kg."""
        return self._read("ARTICULATION_BODY_INV_MASS", indices, self._bodies(body_indices), clone)

    def get_body_inertias(self, indices: Indices = None, body_indices: Indices = None, clone: bool = True) -> Tensor:
        """Return inertia tensors about the centre of mass in the link's frame, (M, K, 9) in kg m^2.

        The nine numbers are a symmetric matrix, so that Isaac Sim's column-major order is PhysX's row-major order.
        """
        return self._read("ARTICULATION_BODY_INERTIA", indices, self._bodies(body_indices), clone)

    def set_body_inertias(self, values: Tensor, indices: Indices = None, body_indices: Indices = None) -> None:
        """Set inertia tensors about the centre of mass in the link's frame, symmetric, (M, K, 9) in kg m^2."""
        self._write("ARTICULATION_BODY_INERTIA", "values", values, indices, self._bodies(body_indices))

    def get_body_inv_inertias(
        self, indices: Indices = None, body_indices: Indices = None, clone: bool = True
    ) -> Tensor:
        """Return inverse inertia tensors, (M, K, 9) in 1/(kg m^2)."""
        return self._read("ARTICULATION_BODY_INV_INERTIA", indices, self._bodies(body_indices), clone)

    def get_body_coms(self, indices: Indices = None, body_indices: Indices = None, clone: bool = True) -> Poses:
        """Return centres of mass (M, K, 3) in m and the principal axes' orientations (M, K, 4) as wxyz, in the link."""
        return self._read_poses("ARTICULATION_BODY_COM_POSE", indices, self._bodies(body_indices), clone)

    def set_body_coms(
        self,
        positions: Tensor | None = None,
        orientations: Tensor | None = None,
        indices: Indices = None,
        body_indices: Indices = None,
    ) -> None:
        """Set centres of mass (M, K, 3) in m and the principal axes' orientations (M, K, 4) as wxyz, in the link.

        Args:
            positions: None leaves them as they are.
            orientations: None leaves them as they are.
            indices: Articulations; None means all.
            body_indices: Links; None means all.
        """
        self._write_poses("ARTICULATION_BODY_COM_POSE", positions, orientations, indices, self._bodies(body_indices))

    def get_body_disable_gravity(
        self, indices: Indices = None, body_indices: Indices = None, clone: bool = True
    ) -> Tensor:
        """Return 1 where a link feels no gravity, (M, K) uint8."""
        return self._read("ARTICULATION_BODY_DISABLE_GRAVITY", indices, self._bodies(body_indices), clone)

    def set_body_disable_gravity(self, values: Tensor, indices: Indices = None, body_indices: Indices = None) -> None:
        """Free links from gravity where `values`, (M, K) uint8 or bool, is not zero."""
        values = checks.as_flags(values)
        self._write("ARTICULATION_BODY_DISABLE_GRAVITY", "values", values, indices, self._bodies(body_indices))

    # -- equations of motion, in which a floating root's six velocities come before the joints' -----------------------

    def get_jacobian_shape(self) -> tuple[int, int, int]:
        """Return (links, 6, coordinates) of one Jacobian; a fixed base has no row and no columns of its own."""
        rows, columns = self._quantity("ARTICULATION_JACOBIAN").data.shape[1:]
        return rows // 6, 6, columns

    def get_jacobians(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return the maps from generalised velocities to links' velocities, (M, links, 6, coordinates).

        Six rows per link: linear velocity of its centre of mass, then angular, in the world frame. With a fixed
        base the root link is left out, and num_dof columns remain of 6 + num_dof.
        """
        return self._read("ARTICULATION_JACOBIAN", indices, None, clone).unflatten(1, (-1, 6))

    def get_mass_matrix_shape(self) -> tuple[int, int]:
        """Return the shape of one mass matrix, num_dof or, on a floating base, 6 + num_dof squared."""
        rows, columns = self._quantity("ARTICULATION_MASS_MATRIX").data.shape[1:]
        return rows, columns

    def get_mass_matrices(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return generalised mass matrices in kg, kg m and kg m^2, without armatures, (M, *get_mass_matrix_shape())."""
        return self._read("ARTICULATION_MASS_MATRIX", indices, None, clone)

    def get_coriolis_and_centrifugal_forces(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> Tensor:
        """Return the joint efforts that balance Coriolis and centrifugal forces, (M, K) in N m or N.

        On a floating base these are the joints' entries. Isaac Sim's class returns the first num_dof entries there, of
        which six belong to the root: read its tensors directly if a task has to run on both.
        """
        tensor_type = "ARTICULATION_CORIOLIS_AND_CENTRIFUGAL_FORCE"
        return self._read_joint_part(tensor_type, indices, self._dofs(joint_indices, joint_names), clone)

    def get_generalized_gravity_forces(
        self, indices: Indices = None, joint_indices: Indices = None, joint_names: Names = None, clone: bool = True
    ) -> Tensor:
        """Return the joint efforts that balance gravity, (M, K) in N m or N.

        On a floating base these are the joints' entries. Isaac Sim's class returns the first num_dof entries there, of
        which six belong to the root: read its tensors directly if a task has to run on both.
        """
        tensor_type = "ARTICULATION_GRAVITY_FORCE"
        return self._read_joint_part(tensor_type, indices, self._dofs(joint_indices, joint_names), clone)

    def _read_joint_part(self, tensor_type: str, indices: Indices, dofs: Tensor | None, clone: bool) -> Tensor:
        root = 0 if self._metadata().is_fixed_base else _NUM_ROOT_COORDINATES
        if dofs is not None:
            return self._read(tensor_type, indices, dofs + root, clone)
        return self._read(tensor_type, indices, None, clone)[:, root:]

    # -- fixed tendons, (M, num_fixed_tendons) ------------------------------------------------------------------------

    def get_fixed_tendon_stiffnesses(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return stiffness, (M, T)."""
        return self._read(_TENDON + "STIFFNESS", indices, None, clone)

    def get_fixed_tendon_dampings(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return damping, (M, T)."""
        return self._read(_TENDON + "DAMPING", indices, None, clone)

    def get_fixed_tendon_limit_stiffnesses(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return the stiffness beyond the limits, (M, T)."""
        return self._read(_TENDON + "LIMIT_STIFFNESS", indices, None, clone)

    def get_fixed_tendon_limits(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return lower and upper length limits, (M, T, 2)."""
        return self._read(_TENDON + "LIMIT", indices, None, clone)

    def get_fixed_tendon_rest_lengths(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return rest lengths, (M, T)."""
        return self._read(_TENDON + "REST_LENGTH", indices, None, clone)

    def get_fixed_tendon_offsets(self, indices: Indices = None, clone: bool = True) -> Tensor:
        """Return length offsets, (M, T)."""
        return self._read(_TENDON + "OFFSET", indices, None, clone)

    def set_fixed_tendon_properties(
        self,
        stiffnesses: Tensor | None = None,
        dampings: Tensor | None = None,
        limit_stiffnesses: Tensor | None = None,
        limits: Tensor | None = None,
        rest_lengths: Tensor | None = None,
        offsets: Tensor | None = None,
        indices: Indices = None,
    ) -> None:
        """Set what is not None; (M, T), limits (M, T, 2). Without the first dimension, all get the same."""
        for name, kind, values in (
            ("stiffnesses", "STIFFNESS", stiffnesses),
            ("dampings", "DAMPING", dampings),
            ("limit_stiffnesses", "LIMIT_STIFFNESS", limit_stiffnesses),
            ("limits", "LIMIT", limits),
            ("rest_lengths", "REST_LENGTH", rest_lengths),
            ("offsets", "OFFSET", offsets),
        ):
            if values is None:
                continue
            shape = self._shape(self._quantity(_TENDON + kind), self._rows(indices), None)
            if isinstance(values, Tensor) and values.ndim == len(shape) - 1:
                values = self._floats(name, values, shape[1:]).expand(shape)
            self._write(_TENDON + kind, name, values, indices)

    # -- solver settings, (M,): set before physics starts and the same in all environments, or NotImplementedError ----

    def set_solver_position_iteration_counts(self, counts: Tensor, indices: Indices = None) -> None:
        """Set the solver's position iterations, (M,) int32."""
        self._set_setting(_POSITION_ITERATIONS, "counts", counts, indices)

    def get_solver_position_iteration_counts(self, indices: Indices = None) -> Tensor:
        """Return the solver's position iterations, (M,) int32."""
        return self._get_setting(_POSITION_ITERATIONS, indices)

    def set_solver_velocity_iteration_counts(self, counts: Tensor, indices: Indices = None) -> None:
        """Set the solver's velocity iterations, (M,) int32."""
        self._set_setting(_VELOCITY_ITERATIONS, "counts", counts, indices)

    def get_solver_velocity_iteration_counts(self, indices: Indices = None) -> Tensor:
        """Return the solver's velocity iterations, (M,) int32."""
        return self._get_setting(_VELOCITY_ITERATIONS, indices)

    def set_stabilization_thresholds(self, thresholds: Tensor, indices: Indices = None) -> None:
        """Set the mass-normalised energy below which a robot may be stabilised, (M,) in m^2/s^2."""
        self._set_setting(_STABILIZATION_THRESHOLD, "thresholds", thresholds, indices)

    def get_stabilization_thresholds(self, indices: Indices = None) -> Tensor:
        """Return the mass-normalised energy below which a robot may be stabilised, (M,) in m^2/s^2."""
        return self._get_setting(_STABILIZATION_THRESHOLD, indices)

    def set_sleep_thresholds(self, thresholds: Tensor, indices: Indices = None) -> None:
        """Set the mass-normalised energy below which a robot may go to sleep, (M,) in m^2/s^2."""
        self._set_setting(_SLEEP_THRESHOLD, "thresholds", thresholds, indices)

    def get_sleep_thresholds(self, indices: Indices = None) -> Tensor:
        """Return the mass-normalised energy below which a robot may go to sleep, (M,) in m^2/s^2."""
        return self._get_setting(_SLEEP_THRESHOLD, indices)

    def set_enabled_self_collisions(self, flags: Tensor, indices: Indices = None) -> None:
        """Set whether links of a robot collide with each other, (M,) uint8 or bool."""
        self._set_setting(_SELF_COLLISIONS, "flags", flags, indices)

    def get_enabled_self_collisions(self, indices: Indices = None) -> Tensor:
        """Return whether links of a robot collide with each other, (M,) uint8."""
        return self._get_setting(_SELF_COLLISIONS, indices)

    # -- default states, by default those that physics starts with ----------------------------------------------------

    def get_default_state(self) -> XFormPrimViewState:
        """Return the default poses of the root links."""
        return self._default_poses

    def set_default_state(
        self, positions: Tensor | None = None, orientations: Tensor | None = None, indices: Indices = None
    ) -> None:
        """Set the poses that `post_reset` writes, (M, 3) in m and (M, 4) as wxyz; what is None stays as it is."""
        self._set_defaults(self._default_poses, indices, positions=positions, orientations=orientations)

    def get_joints_default_state(self) -> JointsState:
        """Return the default joint positions, velocities and efforts, (N, num_dof) each."""
        return self._default_joints

    def set_joints_default_state(
        self, positions: Tensor | None = None, velocities: Tensor | None = None, efforts: Tensor | None = None
    ) -> None:
        """Set the state that `post_reset` writes, (N, num_dof) each; what is None stays as it is."""
        self._set_defaults(self._default_joints, positions=positions, velocities=velocities, efforts=efforts)

    def post_reset(self) -> None:
        """Write the default root poses, joint state and gains; roots are at rest."""
        self.set_world_poses(self._default_poses.positions, self._default_poses.orientations)
        self.set_velocities(torch.zeros(self.count, 6, device=self._device))
        default = self._default_joints
        assert default.positions is not None and default.velocities is not None and default.efforts is not None
        self.set_joint_positions(default.positions)
        self.set_joint_velocities(default.velocities)
        self.set_joint_efforts(default.efforts)
        self.set_gains(self._default_kps, self._default_kds)

    # -- pausing, saving and restoring --------------------------------------------------------------------------------

    def pause_motion(self) -> None:
        """Stop all joints and hold them where they are, as far as their drives can.

        Isaac Sim's class keeps its tensors' reused buffers here, so that `resume_motion` restores the wrong values;
        this one keeps copies.
        """
        targets, velocity_targets, _ = self._applied()
        self._paused = (self.get_joint_velocities(), targets, velocity_targets)
        self.set_joint_position_targets(self.get_joint_positions())
        self.set_joint_velocities(torch.zeros_like(velocity_targets))

    def resume_motion(self) -> None:
        """Restore the joints' velocities and targets from before `pause_motion`."""
        if self._paused is None:
            logger.warning("%s.resume_motion: the motion was not paused", self.name)
            return
        velocities, position_targets, velocity_targets = self._paused
        self._paused = None
        self.set_joint_velocities(velocities)
        self.set_joint_position_targets(position_targets)
        self.set_joint_velocity_targets(velocity_targets)

    # -- what standalone PhysX does not have --------------------------------------------------------------------------

    get_position_residuals = unsupported("get_position_residuals", indices=None, report_max=True)
    get_velocity_residuals = unsupported("get_velocity_residuals", indices=None, report_max=True)


def _dof_type(joint: Usd.Prim) -> DofType:
    if joint.IsA(UsdPhysics.RevoluteJoint) or joint.IsA(UsdPhysics.SphericalJoint):
        return DofType.Rotation
    if joint.IsA(UsdPhysics.PrismaticJoint):
        return DofType.Translation
    raise NotImplementedError(
        f"get_dof_types: {joint.GetPath()} is a {joint.GetTypeName()}, which may turn or slide; PhysX does not tell."
    )
