# SPDX-License-Identifier: Apache-2.0
"""The Newton engine: all environments in one model, and the physics of a control step in one graph."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import newton
import numpy as np
import torch
import warp
from mujoco_warp import OverflowType
from newton import ModelFlags
from pxr import UsdPhysics

from omni.myriad.engine.base import ENVS_PATH, Engine
from omni.myriad.engine.drives import is_stiff
from omni.myriad.engine.newton import kernels, scene
from omni.myriad.engine.newton.quantities import ContactForces, Quantities
from omni.myriad.engine.newton.quantity import Quantity
from omni.myriad.engine.physx.scene import check
from omni.myriad.engine.physx.views.articulation import ArticulationView
from omni.myriad.engine.physx.views.rigid_prim import RigidPrimView
from omni.myriad.engine.quiet import quiet_warp
from omni.myriad.engine.sim_config import SimConfig
from omni.myriad.engine.streams import on_torchs_stream, warp_device
from omni.myriad.errors import MyriadError

wp: Any = warp  # its functions take more than their types say

logger = logging.getLogger(__name__)

_EAGER_STEPS = 1
"""Steps before the capture: the first compiles kernels and allocates memory."""

_CHECK_EVERY = 16
"""Steps between two looks at whether buffers were large enough; a look waits for nothing."""

_MEASURED_STEPS = 64
"""Steps at the beginning after which somebody waits to see whether there was room, and which are made again if not."""

_MOST_ROOM = 4096
"""Contacts and constraints of an environment beyond which something else is wrong."""

_ENOUGH = 0.75
"""Part of a buffer that may be used before a larger one is made, where its size is left to the engine."""

_TOO_SMALL = {"NEFC": "constraints_per_env", "NJMAX_NNZ": "constraints_per_env", "BROADPHASE": "contacts_per_env"}
_TOO_SMALL |= {"NARROWPHASE": "contacts_per_env", "CCD": "contacts_per_env", "HFIELD": "contacts_per_env"}
"""The setting to raise for each of `mujoco_warp.OverflowType` that makes results wrong."""

_CENTRED = 1e-6
"""Square of the distance in m from the axes, below which a centre of mass is taken to lie on them."""

_SOLVER = "newton solver"
"""Where a state keeps what belongs to no view."""


@dataclass(frozen=True)
class Worlds:
    """All environments, under the names by which views ask PhysX's shards.

    Attributes:
        num_envs: Number of environments.
        layout: Where prims are found.
    """

    num_envs: int
    layout: scene.Layout

    @property
    def env_ids(self) -> range:
        """Ids of the environments."""
        return range(self.num_envs)

    def is_non_root_link(self, prim_path: str) -> bool:
        """Tell whether a body is a link that only joints can move."""
        path = prim_path.split("/", 4)[4]
        return self.layout.bodies[f"{ENVS_PATH}/env_0/{path}"] not in self.layout.free_joints


class NewtonCapture:
    """The `Capture` of Newton, whose views are its own memory: only what follows from a write has to be remembered.

    Args:
        engine: The engine.
    """

    def __init__(self, engine: NewtonEngine) -> None:
        self._engine = engine

    @contextmanager
    def only(self, envs: torch.Tensor) -> Iterator[None]:
        """Confine partial writes to some environments, (num_envs,) bool, while the context lasts."""
        self._engine.only_envs = envs
        try:
            yield
        finally:
            self._engine.only_envs = None

    @contextmanager
    def together(self) -> Iterator[None]:
        """Nothing waits here."""
        yield

    def flush(self) -> None:
        """Do nothing: what was written is where it belongs."""

    def keep_reading(self) -> None:
        """Do nothing: a graph that looks at something also computes it."""

    def pending_writes(self) -> tuple[bool, int]:
        """Return what the next step or reading has to make good."""
        return self._engine.is_stale, self._engine.changed

    def write_again(self, writes: tuple[bool, int]) -> None:
        """Note that a graph has written the same once more."""
        self._engine.is_stale |= writes[0]
        self._engine.changed |= writes[1]


class NewtonEngine(Engine):
    """Steps `num_envs` worlds of one Newton model with its MuJoCo solver.

    Args:
        sim_config: The run's configuration.

    Attributes:
        shards: The worlds, in a list as PhysX's shards are; empty until `reset`.
        model: Newton's model.
        state: Newton's state.
        control: Newton's targets and efforts.
        solver: The solver; None until the first step.
        pipeline: Newton's own search for contacts, where MuJoCo's would miss some; else None.
        contacts: What it found.
        only_envs: Environments, (num_envs,) bool, to which partial writes are confined; None for all.
        is_stale: Whether links have to follow joints that were written.
        changed: Newton's flags of the properties that were written since the last step.
        wants_wrenches: Whether somebody looks at what joints transmit.
        seen: What buffers were asked for so far: bits of what was too small, constraints of one world, contacts of all.
    """

    name = "newton"
    model: Any = None
    state: Any = None
    control: Any = None
    solver: Any = None
    pipeline: Any = None
    contacts: Any = None

    def __init__(self, sim_config: SimConfig) -> None:
        quiet_warp()
        self._open_stage(sim_config, ArticulationView, RigidPrimView)
        self._wp_device = warp_device(self.device)
        self.version = f"newton {newton.__version__}"
        self.capture = NewtonCapture(self)
        self.shards: list[Worlds] = []
        self.only_envs: torch.Tensor | None = None
        self.is_stale = False
        self.changed = 0
        self.wants_wrenches = False
        self._settings = sim_config.config["engine"]
        self._graphs: dict[tuple[int, bool], Any] = {}
        self._eager_steps = self._steps = 0
        self._driven: torch.Tensor | None = None
        self._contact_forces: list[ContactForces] = []
        self._room: dict[str, int | None] = {"contacts_per_env": None, "constraints_per_env": None}
        for setting in self._room:
            if self._settings[setting] != "auto":
                self._room[setting] = int(self._settings[setting])
        self._all: dict[int, torch.Tensor] = {}
        self._height_fields: list[scene.HeightField] = []

    def add_height_field(
        self,
        prim_path: str,
        heights: np.ndarray,
        cell: float,
        corner: tuple[float, float],
        wall_slope: float,
        static_friction: float = 1.0,
        dynamic_friction: float = 1.0,
        restitution: float = 0.0,
    ) -> None:
        """Author uneven ground, shared by all environments: to be seen; MuJoCo has the heights, without walls."""
        material = static_friction, dynamic_friction, restitution
        super().add_height_field(prim_path, heights, cell, corner, wall_slope, *material)
        prim = self.stage.GetPrimAtPath(f"{prim_path}/mesh")
        prim.RemoveAPI(UsdPhysics.MeshCollisionAPI)
        prim.RemoveAPI(UsdPhysics.CollisionAPI)
        self._height_fields.append(scene.HeightField(prim_path, heights, cell, corner, dynamic_friction))

    def _start(self) -> None:
        check(self.stage)
        with self.on_stream():
            self.model, layout = scene.load(
                self.stage, self._positions, self.get_gravity().tolist(), self._wp_device, self._height_fields
            )
            self.state, self.control = self.model.state(), self.model.control()
            newton.eval_fk(self.model, self.state.joint_q, self.state.joint_qd, self.state)
        # MuJoCo sees meshes as their convex hulls, which is right for bodies alone; and on height fields MuJoCo Warp
        # finds contacts at times that are metres deep.
        shapes = [wp.to_torch(array) for array in (self.model.shape_type, self.model.shape_body)]
        ground = (shapes[0] == int(newton.GeoType.MESH)) | (shapes[0] == int(newton.GeoType.HFIELD))
        self._concave = bool((ground & (shapes[1] < 0)).any())
        self._found: tuple[Any, int] = wp.zeros(1, int, device=self._wp_device), 0
        self.seen = torch.zeros(3, dtype=torch.int32, device=self.device)
        self._seen_here = torch.zeros(3, dtype=torch.int32, pin_memory=self.device.type == "cuda")
        self._looked = torch.cuda.Event() if self.device.type == "cuda" else None
        self.shards = [Worlds(self.num_envs, layout)]
        self._quantities = Quantities(self, layout)

    def set_gravity(self, gravity: torch.Tensor) -> None:
        """Change gravity of all worlds."""
        super().set_gravity(gravity)
        self.model.set_gravity(gravity.tolist())
        self.changed |= int(ModelFlags.MODEL_PROPERTIES)

    def write_property(self, view: Any, tensor_type: str, name: str, values: torch.Tensor, rows: torch.Tensor) -> None:
        """Write rows of a property, as `Engine` says."""
        if tensor_type.endswith("MAX_VELOCITY"):
            raise NotImplementedError("engine=newton does not limit the velocities of joints: use another engine.")
        super().write_property(view, tensor_type, name, values, rows)

    def _scale_robots(self, mass: float, friction: float) -> None:
        model: Any = self.model
        for array, factor in (
            *((array, mass) for array in (model.body_mass, model.body_inertia)),
            *((array, 1.0 / mass) for array in (model.body_inv_mass, model.body_inv_inertia)),
        ):
            wp.to_torch(array).mul_(factor)
        of_robots = wp.to_torch(model.shape_body) >= 0
        sliding = wp.to_torch(model.shape_material_mu)
        sliding.copy_(torch.where(of_robots, friction * sliding, sliding))

    def get_state(self) -> dict[str, dict[str, torch.Tensor]]:
        """Return copies of the views' states, and of the solution from which the solver starts its next search."""
        return {**super().get_state(), _SOLVER: {"warmstart": self._warmstart().clone()}}

    def set_state(self, state: Mapping[str, Mapping[str, torch.Tensor]], env_ids: torch.Tensor | None = None) -> None:
        """Write a state of `get_state`; with the solver's part the environments continue to the last bit on the CPU."""
        super().set_state(state, env_ids)
        if _SOLVER in state:
            self._warmstart()[slice(None) if env_ids is None else env_ids] = state[_SOLVER]["warmstart"]

    def _warmstart(self) -> torch.Tensor:
        with self.on_stream():
            self._prepare()
        return wp.to_torch(self.solver.mjw_data.qacc_warmstart)

    def is_playing(self) -> bool:
        """Tell whether physics has been started and not closed."""
        return bool(self.shards)

    def close(self) -> None:
        """Release the model; the engine cannot be used afterwards."""
        self.shards, self._graphs, self._ray_tracer = [], {}, None
        self.model = self.state = self.control = self.solver = self.pipeline = self.contacts = None

    # -- what views ask -----------------------------------------------------------------------------------------------

    def quantity(self, tensor_type: str, prim_paths: list[list[str]]) -> Quantity:
        """Return what views read and write by the name of an `ovphysx.TensorType`.

        Args:
            tensor_type: The name.
            prim_paths: Paths of the rows, in a list of one.

        Raises:
            NotImplementedError: If Newton has no such thing.
        """
        return self._quantities.make(tensor_type, prim_paths[0][: len(prim_paths[0]) // self.num_envs])

    def contact_sensors(self, sensors: list[list[str]], filters: list[list[str]], max_contacts: int) -> ContactForces:
        """Return what reads the contacts of some bodies."""
        self._contact_forces.append(ContactForces(self, self.shards[0].layout, sensors[0], filters[0]))
        self._graphs.clear()
        return self._contact_forces[-1]

    def are_all(self, rows: torch.Tensor, count: int) -> bool:
        """Tell whether row numbers are 0, 1, ..., count - 1; of a tensor that was looked at it is remembered."""
        if self._all.get(count) is rows:
            return True
        if len(rows) != count or (rows.is_cuda and torch.cuda.is_current_stream_capturing()):
            return False
        if torch.equal(rows, torch.arange(count, device=rows.device)):
            self._all[count] = rows
            return True
        return False

    def refresh_links(self) -> None:
        """Let links follow joints and roots that were written since the last step."""
        if self.is_stale:
            with self.on_stream():
                newton.eval_fk(self.model, self.state.joint_q, self.state.joint_qd, self.state)
            self.is_stale = False

    def update_kinematics(self) -> None:
        """Propagate written joint and root states to link poses without stepping."""
        self.refresh_links()
        self.num_steps += 1

    def on_stream(self) -> AbstractContextManager[Any]:
        """Let Warp work on torch's current stream, None on the CPU, and so in graphs that torch captures."""
        return on_torchs_stream(self.device)

    # -- stepping -----------------------------------------------------------------------------------------------------

    def step(self, num_steps: int = 1) -> None:
        """Advance all environments by `num_steps` physics steps, on CUDA as one graph from the second time on.

        Buffers whose size is left to the engine grow in the first steps, which are made again where they had no room.

        Raises:
            MyriadError: If a buffer of the solver's was too small in an earlier step: results since are wrong.
        """
        start = time.perf_counter()
        # Nobody can have asked before the first steps, and the first observations need them as well.
        with_wrenches = self.wants_wrenches or self._steps < _EAGER_STEPS
        with self.on_stream() as stream:
            self._prepare()
            before = self._what_steps_change() if self._steps < _MEASURED_STEPS else []
            self._run(num_steps, with_wrenches, stream)
            while before and self._make_room(self.seen.tolist()):
                for now, then in zip(self._what_steps_change(copy=False), before, strict=True):
                    now.copy_(then)
                self.seen[0] = 0
                self._run(num_steps, with_wrenches, stream)
        self.is_stale = False
        self._steps += 1
        self.num_steps += 1
        if self._steps % _CHECK_EVERY == 0:
            self._check_buffers()
        self._step_seconds += time.perf_counter() - start

    def _run(self, num_steps: int, with_wrenches: bool, stream: Any) -> None:
        key = num_steps, with_wrenches
        if self._eager_steps < _EAGER_STEPS:
            self._advance(*key)
            self._eager_steps += 1
            return
        if key not in self._graphs:
            self._graphs[key] = self.record(partial(self._advance, *key))
        wp.capture_launch(self._graphs[key], stream=stream)

    def _what_steps_change(self, copy: bool = True) -> list[torch.Tensor]:
        """Return what a step needs to be made again."""
        arrays = self.state.joint_q, self.state.joint_qd, self.state.body_f, self.solver.mjw_data.qacc_warmstart
        tensors = [wp.to_torch(array) for array in arrays]
        return [tensor.clone() for tensor in tensors] if copy else tensors

    def record(self, function: Callable[[], None]) -> Any:
        """Return a graph of what a function launches with Warp."""
        # Torch's default stream cannot be captured.
        stream = wp.Stream(self._wp_device) if self.device.type == "cuda" else None
        with wp.ScopedStream(stream), wp.ScopedCapture(self._wp_device, stream) as capture:
            function()
        return capture.graph

    def _advance(self, num_steps: int, with_wrenches: bool) -> None:
        solver, data = self.solver, self.solver.mjw_data
        for number in range(num_steps):
            # Forces that joints transmit take a pass of their own over the tree, and only the last step's are read.
            solver.mjw_model.opt.run_rne_postconstraint = with_wrenches and number == num_steps - 1
            if self.pipeline is not None:
                self.pipeline.collide(self.state, self.contacts)
            solver.step(self.state, self.state, self.control, self.contacts, self.physics_dt)
            if number == 0:
                self.state.body_f.zero_()  # forces on bodies act for one step, as in PhysX
            wp.launch(
                kernels.look_after,
                dim=self.num_envs,
                inputs=[
                    *(data.overflow, data.nefc, data.nacon, *self._found, int(OverflowType.NARROWPHASE)),
                    *(data.qacc_warmstart, wp.from_torch(self.seen)),
                ],
                device=self._wp_device,
            )
        if with_wrenches:
            self._quantities.read_wrenches()
        for forces in self._contact_forces:
            forces.read(solver)

    def _prepare(self) -> None:
        """Make the solver, or tell it what has changed in the model."""
        if self._concave:
            self.refresh_links()  # that is where contacts are looked for
        force = int(ModelFlags.JOINT_DOF_FORCE_PROPERTIES)
        if self.solver is None or (self.changed & force and self._has_new_drives()):
            self._make_solver()
        elif self.changed:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of Newton's calls of MuJoCo Warp
                self.solver.notify_model_changed(self.changed)
            if self.changed & (
                force | int(ModelFlags.JOINT_DOF_INERTIAL_PROPERTIES) | int(ModelFlags.BODY_INERTIAL_PROPERTIES)
            ):
                self._mend_constants()
        self.changed = 0

    def _mend_constants(self) -> None:
        """Change what MuJoCo Warp has worked out of masses and joints, where that is not what PhysX means."""
        self._free_stiff_drives()
        self._weigh_centred_links()

    def _free_stiff_drives(self) -> None:
        """Let MuJoCo cut those drives alone that are not stiff."""
        solver, model = self.solver, self.model
        dofs = wp.to_torch(solver.mjc_jnt_to_newton_dof).long()
        arrays = model.joint_target_ke, model.joint_target_kd, model.joint_effort_limit, solver.mjw_model.dof_invweight0
        stiffness, damping, limit, weight = map(wp.to_torch, arrays)
        weight = weight[:, wp.to_torch(solver.mjw_model.jnt_dofadr).long()]
        stiff = is_stiff(stiffness[dofs], damping[dofs], weight, self.physics_dt)
        limit = torch.where(stiff, scene.UNLIMITED, limit[dofs])
        wp.to_torch(solver.mjw_model.jnt_actfrcrange).copy_(torch.stack((-limit, limit), -1))

    def _weigh_centred_links(self) -> None:
        """Let contacts of links whose centre of mass lies on the axes that turn them be as hard as those of others.

        MuJoCo scales a contact by how easily its bodies' centres of mass move, which these do not at all: what rounding
        leaves makes their contacts as good as infinitely hard, and zero, for which MuJoCo Warp takes how easily they
        turn, far too soft. As for a free body, it is the inverse of their mass.
        """
        moves, turns = self.solver.mj_model.body_invweight0.T
        links = torch.as_tensor(np.flatnonzero(moves < _CENTRED * turns), device=self.device)
        weights, masses = (
            wp.to_torch(array) for array in (self.solver.mjw_model.body_invweight0, self.solver.mjw_model.body_mass)
        )
        weights[:, links, 0] = 1.0 / masses[:, links]

    def _has_new_drives(self) -> bool:
        return self._driven is None or bool((self._drives() > self._driven).any())

    def _drives(self) -> torch.Tensor:
        """Return which gains the degrees of freedom of a world have in any, (2, dofs) bool: stiffness, and damping."""
        gains = [
            wp.to_torch(array).view(self.num_envs, -1)
            for array in (self.model.joint_target_ke, self.model.joint_target_kd)
        ]
        return torch.stack([(gain != 0).any(0) for gain in gains])

    def _make_solver(self) -> None:
        """Build MuJoCo's model; it has a drive for those degrees of freedom alone that have gains by now."""
        self._driven = self._drives()
        mode, (stiff, damped) = newton.JointTargetMode, self._driven
        modes = torch.where(stiff, int(mode.POSITION_VELOCITY), torch.where(damped, int(mode.VELOCITY), int(mode.NONE)))
        wp.to_torch(self.model.joint_target_mode).copy_(modes.int().repeat(self.num_envs))
        warmstart = None if self.solver is None else self.solver.mjw_data.qacc_warmstart
        self._graphs.clear()
        self._eager_steps = 0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            contacts_per_env = self._room["contacts_per_env"]
            if self._concave:
                room = None if contacts_per_env is None else contacts_per_env * self.num_envs
                self.pipeline = newton.CollisionPipeline(self.model, rigid_contact_max=room)
                self.contacts = self.pipeline.contacts()
                self._found = self.contacts.rigid_contact_count, self.contacts.rigid_contact_max
                contacts_per_env = -(-self.contacts.rigid_contact_max // self.num_envs)
            try:
                self.solver = newton.solvers.SolverMuJoCo(
                    self.model,
                    separate_worlds=True,
                    nconmax=contacts_per_env,
                    use_mujoco_contacts=not self._concave,
                    njmax=self._room["constraints_per_env"],
                    kinematic_switchable_roots=False,
                    # Stiffness as implicit as PhysX's, and damping also in the search for contact forces.
                    integrator="discrete" if bool(stiff.any()) else "implicitfast",
                )
            except ValueError as error:
                raise MyriadError(f"MuJoCo cannot have this scene: {' '.join(str(error).split())}") from None
        self._mend_constants()
        self.solver.mjw_model.opt.warn_overflow = 0  # `_check_buffers` says it, and ends the run
        if warmstart is not None:
            wp.copy(self.solver.mjw_data.qacc_warmstart, warmstart)

    def _check_buffers(self) -> None:
        """Look at what the last look has brought, make room where it may run out, and send for the next."""
        if self._looked is None:
            self._seen_here.copy_(self.seen)
        elif not self._looked.query():
            return
        with self.on_stream():
            self._make_room(self._seen_here.tolist())
        if self._looked is not None:
            self._seen_here.copy_(self.seen, non_blocking=True)
            self._looked.record()

    def _make_room(self, seen: list[int]) -> bool:
        """Make buffers larger that may run out, and tell whether the last step did not find room.

        Raises:
            MyriadError: If it did not, and cannot be made again.
        """
        bits, constraints, contacts = seen
        data = self.solver.mjw_data
        room = {"contacts_per_env": data.naconmax // self.num_envs, "constraints_per_env": data.njmax}
        needed = {"contacts_per_env": -(-contacts // self.num_envs), "constraints_per_env": constraints}
        full = {setting: name for name, setting in _TOO_SMALL.items() if bits & int(OverflowType[name])}
        for setting, name in full.items():
            if self._settings[setting] != "auto" or self._steps >= _MEASURED_STEPS or room[setting] >= _MOST_ROOM:
                raise MyriadError(
                    f"Newton's solver had no room for what touches ({name.lower()}), and results are wrong since: "
                    f"raise engine.{setting} above {room[setting]}."
                )
        small = [setting for setting, most in needed.items() if most > _ENOUGH * room[setting]]
        small = {setting for setting in small if self._settings[setting] == "auto"} | full.keys()
        for setting in small:
            self._room[setting] = 2 * room[setting]
            logger.info("%s: %d of %d used, twice that from now on", setting, needed[setting], room[setting])
        if small:
            self._make_solver()
        return bool(full)
