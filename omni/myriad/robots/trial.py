# SPDX-License-Identifier: Apache-2.0
"""A robot is tried, not believed: PhysX against MuJoCo's reading of its file, dropped or held, and swept."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pxr import Gf, UsdGeom

from omni.myriad.engine import SimConfig, make_engine
from omni.myriad.engine.base import ENV_0_PATH, ENVS_PATH, Engine
from omni.myriad.engine.usd import new_stage
from omni.myriad.errors import MyriadError

from .model import Model, clean, inverse, pose_of, quaternion
from .robot import Robot

COPIES = 64
"""That are dropped or held at once."""
_DT = 1 / 120
_SECONDS = 2.0
_STIFF = 30.0
"""rad/s: how fast the drives of the trial would swing each joint, so that they suit every mass."""
_YIELD = 0.02
"""rad or m: at which distance from its target the drive overcomes a joint's dry friction."""
_POSE, _MASS, _TORQUE = 2e-4, 1e-4, 2e-3
"""How far PhysX may be from MuJoCo: m or rad; share of the mass; share of the largest torque."""


@dataclass
class Trial:
    """What was found.

    Attributes:
        dof_names: In PhysX's order.
        body_names: In PhysX's order.
        masses: Of the bodies, kg.
        pose_difference: Largest between PhysX and MuJoCo, in m or of a rotation matrix, over random positions.
        mass_difference: Of the moving links, as a share of their mass.
        torque_difference: Largest of what balances gravity, as a share of the largest torque.
        notes: What is worth knowing and no failure.
        motion: For each joint that was swept, its name and the links' poses at each moment: positions (T, links, 3) in
            m and orientations (T, links, 4) as wxyz.
    """

    dof_names: list[str]
    body_names: list[str]
    masses: list[float]
    pose_difference: float
    mass_difference: float
    torque_difference: float
    notes: list[str]
    motion: dict[str, tuple[np.ndarray, np.ndarray]]


def try_out(usd: Path, model: Model, judge: Any, mujoco: Any, height: float, seed: int = 0) -> Trial:
    """Try a robot in PhysX on the CPU.

    Args:
        usd: The robot's file.
        model: What was written into it.
        judge: MuJoCo's model of what the robot came from.
        mujoco: The library.
        height: Of a free robot's root, so that it stands on the ground, m.
        seed: Of the random positions.

    Raises:
        MyriadError: If it is not what MuJoCo reads, or explodes, sinks, drifts or cannot move, with the reason.
    """
    random = np.random.default_rng(seed)
    free = not model.fixed_base
    with _engine(usd, COPIES, height + 0.05 if free else 0.0, ground=free) as (engine, view):
        masses = view.get_body_masses()[0].tolist()
        differences = _compare(engine, view, model, judge, mujoco, random)
        notes = _drop(engine, view, model, random) if free else _hold(engine, view, model)
        dof_names, body_names = list(view.dof_names), list(view.body_names)
    motion, stuck = _sweep(usd, model)
    return Trial(dof_names, body_names, masses, *differences, [*notes, *stuck], motion)


def put_on_stage(stage: Any, usd: Path, height: float) -> Any:
    """Reference a robot into environment 0 at a height in m, and return its prim."""
    prim = stage.DefinePrim(f"{ENV_0_PATH}/Robot")
    prim.GetReferences().AddReference(str(usd))
    xform = UsdGeom.Xformable(prim)
    xform.ClearXformOpOrder()
    xform.AddTranslateOp().Set(Gf.Vec3d(0.0, 0.0, height))
    return prim


def at_home(robot: Robot) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return a stage with a robot at home on the ground, and its links' positions (L, 3) and orientations (L, 4)."""
    stage = new_stage()
    prim = put_on_stage(stage, robot.usd, 0.0)
    bounds = UsdGeom.BBoxCache(0, [UsdGeom.Tokens.default_, UsdGeom.Tokens.guide]).ComputeWorldBound(prim)
    prim.GetAttribute("xformOp:translate").Set(Gf.Vec3d(0.0, 0.0, -bounds.ComputeAlignedRange().GetMin()[2]))
    cache = UsdGeom.XformCache()
    poses = [cache.GetLocalToWorldTransform(prim.GetChild(link)) for link in robot.links]
    return (
        stage,
        np.array([pose.ExtractTranslation() for pose in poses]),
        np.array([quaternion(np.array(pose).T) for pose in poses]),
    )


@contextlib.contextmanager
def _engine(
    usd: Path, copies: int, height: float, ground: bool, gravity: float = -9.81
) -> Iterator[tuple[Engine, Any]]:
    """Yield PhysX with copies of a robot far apart, and their view; collisions with itself are on where it may fall."""
    physx = {"solver_type": 1, "enable_sleeping": False, "bounce_threshold_velocity": 0.2}
    sim = {
        "dt": _DT,
        "gravity": [0.0, 0.0, gravity],
        "enable_scene_query_support": False,
        "disable_contact_processing": True,
        "physx": physx,
    }
    config = {"sim_device": "cpu", "engine": {"name": "physx", "shards": 1}, "task": {"name": "import", "sim": sim}}
    sim_config = SimConfig(config)
    engine = make_engine(sim_config)
    try:
        prim = put_on_stage(engine.stage, usd, height)
        sim_config.apply_articulation_settings("Robot", prim, {"enable_self_collisions": gravity != 0.0})
        if ground:
            engine.add_ground_plane("/World/ground", 1.0, 1.0, 0.0)
        engine.clone_environments(copies, 6.0)
        from omni.myriad.engine import ArticulationView

        view = engine.scene.add(ArticulationView(f"{ENVS_PATH}/.*/Robot", name="robots"))
        engine.reset()
        yield engine, view
    finally:
        engine.close()


def _compare(
    engine: Engine, view: Any, model: Model, judge: Any, mujoco: Any, random: np.random.Generator
) -> tuple[float, float, float]:
    """Return the largest differences of poses, mass and gravity's torques to MuJoCo, over random positions."""
    hinges = {hinge.name: hinge for hinge in model.dofs()}
    missing = sorted(set(hinges) ^ set(view.dof_names))
    if missing:
        raise MyriadError(f"PhysX and the file disagree about joints: {', '.join(missing)}.")
    low = np.array([max(hinges[name].lower, -math.pi) for name in view.dof_names])
    high = np.array([min(hinges[name].upper, math.pi) for name in view.dof_names])
    positions = random.uniform(low, high, (COPIES, len(low)))
    start = view.get_joint_positions()
    view.set_joint_positions(torch.tensor(positions, dtype=torch.float32))
    engine.update_kinematics()
    places, turns = (each.double().numpy() for each in view.get_body_poses())
    torques = view.get_generalized_gravity_forces().double().numpy()

    def index(kind: Any, count: int) -> dict[str, int]:
        return {clean(mujoco.mj_id2name(judge, kind, i) or f"_{i}"): i for i in range(count)}

    bodies, joints = index(mujoco.mjtObj.mjOBJ_BODY, judge.nbody), index(mujoco.mjtObj.mjOBJ_JOINT, judge.njnt)
    if absent := [name for name in view.dof_names if name not in joints]:
        raise MyriadError(f"MuJoCo's reading of the file has no joint {', '.join(absent)}.")
    columns = [joints[name] for name in view.dof_names]
    data = mujoco.MjData(judge)
    common = [name for name in view.body_names if name in bodies and name != model.root]
    judge.opt.gravity[:] = [0.0, 0.0, -9.81]
    worst_pose = worst_torque = 0.0
    largest = 1e-6
    at = ""
    for copy in range(COPIES):
        mujoco.mj_resetData(judge, data)
        data.qpos[judge.jnt_qposadr[columns]] = positions[copy]
        mujoco.mj_forward(judge, data)
        root = bodies.get(model.root, 0)
        base = pose_of(data.xpos[root], data.xquat[root])
        mine = inverse(pose_of(places[copy, 0], turns[copy, 0]))
        for name in common:
            theirs = inverse(base) @ pose_of(data.xpos[bodies[name]], data.xquat[bodies[name]])
            link = view.body_names.index(name)
            difference = np.abs(mine @ pose_of(places[copy, link], turns[copy, link]) - theirs).max()
            if difference > worst_pose:
                worst_pose, at = float(difference), name
        bias = data.qfrc_bias[judge.jnt_dofadr[columns]]
        worst_torque = max(worst_torque, float(np.abs(torques[copy] - bias).max()))
        largest = max(largest, float(np.abs(bias).max()))
    total = sum(model.links[name].mass or 0.0 for name in model.links if name != model.root or not model.fixed_base)
    trees = {judge.body_treeid[judge.jnt_bodyid[j]] for j in columns} if judge.nbody else set()
    theirs = sum(float(judge.body_mass[b]) for b in range(judge.nbody) if judge.body_treeid[b] in trees)
    worst_mass = abs(total - theirs) / theirs
    if worst_pose > _POSE:
        raise MyriadError(f"Link {at} is {worst_pose:.2g} (m, or of its rotation) from where MuJoCo has it.")
    if worst_mass > _MASS:
        raise MyriadError(f"The moving links weigh {total:.6g} kg, in MuJoCo {theirs:.6g} kg.")
    if worst_torque > _TORQUE * largest:
        raise MyriadError(f"Gravity's torques differ from MuJoCo's by {worst_torque:.2g} of {largest:.3g} N m.")
    view.set_joint_positions(start)
    view.set_joint_velocities(torch.zeros_like(start))
    return worst_pose, worst_mass, worst_torque / largest


def _check(view: Any, what: str, fastest: float = 200.0) -> None:
    """Refuse what exploded."""
    speeds, velocities = view.get_joint_velocities(), view.get_velocities()
    for values, limit in ((speeds, fastest), (velocities, 50.0), (view.get_world_poses()[0], math.inf)):
        if not torch.isfinite(values).all() or values.abs().max() > limit:
            place = int(torch.nan_to_num(values.abs(), nan=math.inf).max(dim=0).values.argmax())
            where = f"joint {view.dof_names[place]}" if values is speeds else "its root"
            raise MyriadError(
                f"The robot explodes when it is {what}: {where} moves without end ({float(values.abs().max()):.3g})."
            )


def _hold(engine: Engine, view: Any, model: Model) -> list[str]:
    """Hold the home pose for a while with drives that suit its masses."""
    home = view.get_joint_positions()
    root = view.get_world_poses()[0]
    _stiffen(view, model)
    view.set_joint_position_targets(home)
    for _ in range(round(_SECONDS / _DT / 10)):
        engine.step(10)
        _check(view, "held")
    moved = (view.get_world_poses()[0] - root).norm(dim=-1).max()
    if moved > 1e-4:
        raise MyriadError(f"The robot drifts when it is held: its root moved by {moved:.2g} m, although it is fixed.")
    sag = (view.get_joint_positions() - home).abs().amax(dim=0)
    weak = [name for name, by in zip(view.dof_names, sag.tolist(), strict=True) if by > 0.2]
    return [f"does not hold its home pose within its effort limits: {', '.join(weak)}"] if weak else []


def _drop(engine: Engine, view: Any, model: Model, random: np.random.Generator) -> list[str]:
    """Let copies fall 5 cm, each a little different, and see them come to rest above the ground."""
    home = view.get_joint_positions()
    limits = view.get_dof_limits()
    room = torch.clamp(limits[..., 1] - limits[..., 0], max=2.0)
    noise = torch.tensor(random.uniform(-0.05, 0.05, home.shape), dtype=torch.float32) * room
    _stiffen(view, model)
    view.set_joint_positions(torch.clamp(home + noise, limits[..., 0], limits[..., 1]))
    view.set_joint_position_targets(home)
    tail = []
    for _ in range(round(_SECONDS / _DT / 10)):
        engine.step(10)
        _check(view, "dropped")
        tail.append(view.get_world_poses()[0][:, :2].clone())
    lowest = view.get_body_poses()[0][..., 2].min(dim=1).values
    if (sunk := (lowest < -0.1).float().mean()) > 0.02:
        raise MyriadError(
            f"The robot sinks into the ground: {sunk:.0%} of the copies have a link more than 10 cm below it."
        )
    drift = (tail[-1] - tail[-6]).norm(dim=-1).median() / (5 * 10 * _DT)
    if drift > 0.5:
        raise MyriadError(f"The robot drifts: left alone on the ground it still moves at {drift:.2g} m/s.")
    return []


def _stiffen(view: Any, model: Model) -> None:
    """Give drives gains by which every joint swings alike, critically damped."""
    masses = view.get_mass_matrices()
    inertia = torch.diagonal(masses, dim1=1, dim2=2)[:, -view.num_dof :] + view.get_armatures()
    inertia = inertia.clamp(min=1e-5)
    hinges = {hinge.name: hinge for hinge in model.dofs()}
    friction = torch.tensor([hinges[name].friction for name in view.dof_names])
    led = torch.tensor([hinges[name].mimic is None for name in view.dof_names])  # what follows is pulled by its leader
    view.set_gains(kps=(inertia * _STIFF**2 + friction / _YIELD) * led, kds=inertia * 2 * _STIFF * led)


def _sweep(usd: Path, model: Model) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], list[str]]:
    """Move each joint to both of its limits in a copy of its own, without gravity; return the motion and notes."""
    swept = [hinge for hinge in model.dofs() if not hinge.mimic]
    with _engine(usd, len(swept), 2.0, ground=False, gravity=0.0) as (engine, view):
        _stiffen(view, model)
        home = view.get_joint_positions()
        columns = [view.get_dof_index(hinge.name) for hinge in swept]
        rows = list(range(len(swept)))
        low = torch.tensor([max(hinge.lower, -math.pi) for hinge in swept])
        high = torch.tensor([min(hinge.upper, math.pi) for hinge in swept])
        middle, half = (low + high) / 2, (high - low) / 2
        fastest = torch.tensor([hinge.velocity for hinge in swept])
        # A cosine from the upper to the lower limit and back; its top speed is pi * half / period per half period.
        seconds = min(8.0, max(2.0, float((2 * math.pi * half / (0.7 * fastest)).max())))
        steps = round(seconds / _DT)
        reached = [torch.full_like(low, math.inf), torch.full_like(low, -math.inf)]
        places, turns = [], []
        targets = home.clone()
        settle = round(0.7 / _DT)
        for step in range(steps + 2 * settle):
            phase = min(max(step - settle, 0), steps) / steps * 2 * math.pi
            wanted = middle + half * math.cos(phase)
            first = home[rows, columns]
            targets[rows, columns] = first + (wanted - first) * min(1.0, step / settle)
            view.set_joint_position_targets(targets)
            engine.step()
            here = view.get_joint_positions()[rows, columns]
            reached = [torch.minimum(reached[0], here), torch.maximum(reached[1], here)]
            if step % 4 == 0:
                _check(view, "swept through its limits")
                position, turn = view.get_body_poses()
                places.append((position - engine.env_positions[:, None]).numpy().copy())
                turns.append(turn.numpy().copy())
        _check_mimics(view, model)
        ranges = list(zip(swept, *(each.tolist() for each in (*reached, low, high)), strict=True))
        notes = [
            f"joint {hinge.name} moved from {a:.3g} to {b:.3g} of [{hinge.lower:.3g}, {hinge.upper:.3g}]"
            for hinge, a, b, lower, upper in ranges
            if max(a - lower, upper - b) > 0.05 * (upper - lower) + 0.02
        ]
        if len(notes) > len(swept) // 2:
            raise MyriadError(f"Most joints cannot move through their limits, such as: {notes[0]}.")
        over = [hinge.name for hinge, a, b, lower, upper in ranges if a < lower - 0.2 or b > upper + 0.2]
        if over:
            raise MyriadError(f"PhysX does not keep the limits of: {', '.join(over)}.")
        motion = {
            hinge.name: (np.stack([p[row] for p in places]), np.stack([t[row] for t in turns]))
            for row, hinge in enumerate(swept)
        }
    return motion, notes


def _check_mimics(view: Any, model: Model) -> None:
    positions = view.get_joint_positions()
    for hinge in model.dofs():
        if not hinge.mimic:
            continue
        leader, multiplier, offset = hinge.mimic
        wanted = (positions[:, view.get_dof_index(leader)] * multiplier + offset).clamp(hinge.lower, hinge.upper)
        off = (positions[:, view.get_dof_index(hinge.name)] - wanted).abs().max()
        if off > 0.1 * (hinge.upper - hinge.lower):
            raise MyriadError(
                f"Joint {hinge.name} does not follow {leader}: it is {off:.2g} away from where it should be."
            )
