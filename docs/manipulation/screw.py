# SPDX-License-Identifier: Apache-2.0
"""Turn M16 nuts on their bolts in PhysX, and print how far that takes them: a turn is a pitch, 2 mm.

./myriad python docs/manipulation/screw.py --device cuda:0 --num-envs 128

Every second nut begins on the thread, and every other one on the bolt's tip. All are turned to the right at one turn
per second, and nothing pushes them but their weight.
"""

import argparse
import math
import time

import torch

from omni.myriad.app.config import load_config
from omni.myriad.engine import SimConfig, make_engine
from omni.myriad.task.fasteners import M16, author_mesh

SPEED = 2.0 * math.pi  # rad/s
SETTINGS = [  # those of the Factory tasks
    "task.sim.dt=0.0083333333",
    "task.sim.physx.friction_offset_threshold=0.01",
    "task.sim.physx.friction_correlation_distance=0.00625",
    "task.sim.physx.gpu_collision_stack_size=268435456",
    "engine.shards=1",
]
ACTOR = {"rest_offset": 0.0, "solver_position_iteration_count": 16, "solver_velocity_iteration_count": 0}


def main() -> None:
    """Print heights ten times, and then what a turn took the nuts down by."""
    parser = argparse.ArgumentParser(description="Turn M16 nuts on their bolts in PhysX.")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--num-envs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--resolution", type=int, default=128, help="samples of the field along a bolt")
    parser.add_argument("--contact-offset", type=float, default=0.0005, help="in m")
    args = parser.parse_args()
    config = load_config(["task=Cartpole", f"sim_device={args.device}", f"num_envs={args.num_envs}", *SETTINGS])
    sim_config = SimConfig(config)
    engine = make_engine(sim_config)
    from omni.myriad import RigidPrimView  # of the engine that runs now

    for name, mesh, fixed in (("Bolt", M16.bolt(), True), ("Nut", M16.nut(), False)):
        prim = author_mesh(engine.stage, name, mesh, (0.0, 0.0, 0.0), fixed, args.resolution)
        actor = {**ACTOR, "density": 7850.0, "contact_offset": args.contact_offset}
        sim_config.apply_articulation_settings(name, prim, actor)
    origins = engine.clone_environments(args.num_envs, 1.0)
    nuts = engine.scene.add(RigidPrimView("/World/envs/.*/Nut/nut", name="nuts"))
    start = time.perf_counter()
    engine.reset()
    print(f"started in {time.perf_counter() - start:.1f} s; a nut weighs {1e3 * nuts.get_masses()[0].item():.2f} g")
    positions = torch.zeros_like(origins)
    positions[::2, 2], positions[1::2, 2] = 0.010, M16.shank_length
    identity = torch.tensor([1.0, 0.0, 0.0, 0.0], device=engine.device).repeat(args.num_envs, 1)
    nuts.set_world_poses(origins + positions, identity)
    nuts.set_velocities(torch.zeros(args.num_envs, 6, device=engine.device))
    turns, last, marks = torch.zeros_like(origins[:, 0]), torch.zeros_like(origins[:, 0]), []
    steps = round(args.seconds * sim_config.steps_per_second)
    start = time.perf_counter()
    for step in range(1, steps + 1):
        velocities = nuts.get_velocities()
        velocities[:, 5] = -SPEED
        nuts.set_velocities(velocities)
        engine.step()
        places, rotations = nuts.get_world_poses()
        angles = 2.0 * torch.atan2(rotations[:, 3], rotations[:, 0])
        turns += ((angles - last + math.pi) % (2.0 * math.pi) - math.pi) / (2.0 * math.pi)
        last = angles
        if step % (steps // 10) == 0:
            marks.append((1e3 * places[:, 2], turns.clone()))
            rows = [
                f"{z:7.3f} mm after {t:6.3f} turns" for z, t in zip(*(m[:2].tolist() for m in marks[-1]), strict=True)
            ]
            print(f"{step / sim_config.steps_per_second:5.2f} s: on the thread {rows[0]}, on the tip {rows[-1]}")
    rate = steps / (time.perf_counter() - start)
    (begin, before), (end, after) = marks[0], marks[-1]
    pitches = ((end - begin) / (after - before))[::2]
    print(f"mm for each turn on the thread: {pitches.mean():.4f}, from {pitches.min():.4f} to {pitches.max():.4f}")
    caught = ((end - marks[-2][0]) / (after - marks[-2][1]))[1::2] > 1.8
    print(f"from the tip: {int(caught.sum())} of {len(caught)} nuts descend in the end by 1.8 mm or more for each turn")
    print(f"off the axis at most {1e3 * (places - origins)[::2, :2].norm(dim=-1).max():.3f} mm; {rate:.1f} steps/s")
    engine.close()


if __name__ == "__main__":
    main()
