# SPDX-License-Identifier: Apache-2.0
"""What is run on each engine, in a process of its own: python scenario.py NAME OUTPUT [CHECKOUT]

Without a checkout of Isaac Sim it runs on our own engine. What a scenario returns goes to OUTPUT.
"""

from __future__ import annotations

import asyncio
import logging
import os
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

STEPS = 1000
WALKERS = ("Anymal", "G1Velocity", "Go1Velocity", "Humanoid")
LIFTING = ("FrankaLift", "FrankaStack", "FrankaStackOperationalSpace")
HANDS = ("AllegroHand", "ShadowHand")
FASTENERS = ("FactoryNutBoltPick", "FactoryNutBoltScrew")
FLYING = ("Crazyflie", "Ingenuity", "Quadcopter")
OTHERS = ("BallBalance", "FrankaCabinet", "FrankaReach", *FLYING, *HANDS, *LIFTING, *WALKERS)
"""Tasks beside Cartpole and Ant."""

ON_TERRAIN = ("AnymalTerrain", "G1VelocityRough", "Go1VelocityRough")
"""These are compared on a few tiles alone."""

# Otherwise PhysX takes contacts in an order that depends on what else is in the scene.
DETERMINISTIC = "task.sim.physx.enable_enhanced_determinism=True"
SETTINGS = {
    **dict.fromkeys(("BallBalance", *HANDS, *WALKERS), (DETERMINISTIC,)),
}


def configuration(engine: str, task: str, num_envs: int, *overrides: str) -> dict[str, Any]:
    """Compose a run's configuration, for the CPU unless it says otherwise."""
    from omni.myriad.app.config import load_config

    return load_config(
        [f"task={task}", f"num_envs={num_envs}", f"engine={engine}", "sim_device=cpu", "seed=7", *overrides]
    )


def roll_out(env: Any, steps: int) -> dict[str, torch.Tensor]:
    """Reset and take random steps; return everything that a trainer would have seen."""
    generator = torch.Generator().manual_seed(11)
    observations, rewards, dones, time_outs = [env.reset()["obs"].clone()], [], [], []
    start = time.perf_counter()
    for _ in range(steps):
        actions = 2.0 * torch.rand((env.num_envs, env.num_actions), generator=generator) - 1.0
        actions = actions.to(env.engine.device)
        obs, reward, done, extras = env.step(actions)
        observations.append(obs["obs"].clone())
        rewards.append(reward.clone())
        dones.append(done.clone())
        time_outs.append(extras["time_outs"].clone())
    seconds = time.perf_counter() - start
    return {
        "observations": torch.stack(observations),
        "rewards": torch.stack(rewards),
        "dones": torch.stack(dones),
        "time_outs": torch.stack(time_outs),
        "steps_per_second": torch.tensor(steps * env.num_envs / seconds),
    }


def tasks(engine: str) -> dict[str, Any]:
    """Run Cartpole and Ant for a thousand random steps each, then train Cartpole for a few epochs."""
    from omni.myriad.app import runs

    results: dict[str, Any] = {}
    for task, num_envs in (("Cartpole", 16), ("Ant", 16)):
        env: Any = runs.make_env(configuration(engine, task, num_envs, "engine.shards=1"))
        results["version"] = env.engine.version
        results[task] = roll_out(env, STEPS)
        env.close()
    folder = Path(sys.argv[2]).with_suffix(".runs")
    config = configuration(
        engine, "Cartpole", 64, "max_iterations=25", f"train_dir={folder}", "experiment=a", "engine.shards=1"
    )
    results["training"] = runs.train(config)
    return results


def copy_clones(engine: str) -> None:
    """Let PhysX copy environment 0, as it does in Kit, and not load every clone from the stage.

    Loaded ones do not have the shapes of a link in the order of environment 0's, and PhysX takes a link's contacts in
    the order of its shapes.
    """
    if engine == "isaacsim":
        from standin import start_options

        start_options["clones"] = "replicated"


def others(engine: str) -> dict[str, Any]:
    """Run the other tasks for random steps, a thousand or as many as MYRIAD_STEPS says."""
    from omni.myriad.app import runs

    copy_clones(engine)
    results: dict[str, Any] = {}
    for task in OTHERS:
        env: Any = runs.make_env(configuration(engine, task, 8, "engine.shards=1", *SETTINGS.get(task, ())))
        results[task] = roll_out(env, int(os.environ.get("MYRIAD_STEPS", STEPS)))
        env.close()
    return results


def chance(engine: str) -> dict[str, Any]:
    """Run an ant, and a ball on its table, of which all is randomized that both engines have, by known samples."""
    from omni.myriad.app import runs

    def always(operation: str, *numbers: float, time: str = "on_reset", **more: Any) -> dict[str, Any]:
        parameters = {"distribution": "uniform", "distribution_parameters": [[*numbers], [*numbers]]}
        return {time: {"operation": operation, **parameters, **more}}

    robots = {
        "body_masses": always("scaling", 1.5),
        "body_inertias": always("scaling", 1.2),
        "payload": {"names": "torso", **always("additive", 0.3)},
        "motor_strength": always("scaling", 0.9),
        "joint_armatures": always("direct", 0.02),
        "joint_friction": always("direct", 0.1),
        "joint_max_velocities": always("direct", 15.0),
        "lower_dof_limits": always("additive", -0.1),
        "upper_dof_limits": always("additive", 0.1),
        "material_properties": always("direct", 0.6, 0.5, 0.1),
        "position": always("additive", 0.1, 0.0, 0.2),
        "orientation": always("additive", 0.0, 0.0, 0.3),
        "joint_positions": always("additive", 0.05),
        "joint_efforts": always("additive", 0.5),
        "velocity": always("additive", 0.3, 0.0, 0.0, 0.0, 0.0, 0.5, time="on_interval", frequency_interval=10),
    }
    ball = {
        "mass": always("scaling", 1.5),
        "inertia": always("scaling", 1.5, 1.5, 1.5),
        "contact_offset": always("direct", 0.03),
        "rest_offset": always("direct", 0.002),
        "material_properties": always("direct", 0.6, 0.5, 0.1),
        "force": always("direct", 0.1, 0.0, 0.0, time="on_interval", frequency_interval=10),
    }
    results: dict[str, Any] = {}
    for task, params in (
        ("Ant", {"articulation_views": {"ant_view": robots}}),
        ("BallBalance", {"rigid_prim_views": {"ball_view": ball}}),
    ):
        config = configuration(engine, task, 8, "engine.shards=1", *SETTINGS.get(task, ()))
        config["task"]["domain_randomization"] = {"randomize": True, "randomization_params": params}
        env: Any = runs.make_env(config)
        results[task] = roll_out(env, 60)
        env.close()
    return results


def drawers(engine: str) -> dict[str, Any]:
    """Run FrankaCabinet while drawers are flung open: random actions never reach one, nor the props in it."""
    from omni.myriad.app import runs

    copy_clones(engine)
    env: Any = runs.make_env(configuration(engine, "FrankaCabinet", 8, "engine.shards=1"))
    task, step, poses = env.task, env.step, []
    generator = torch.Generator().manual_seed(5)

    def fling_and_step(actions: torch.Tensor) -> Any:
        if len(poses) % 40 == 0:
            speeds = torch.zeros((env.num_envs, task.cabinets.num_dof))
            speeds[:, task.drawer] = 3.0 * torch.rand(env.num_envs, generator=generator)  # m/s
            task.cabinets.set_joint_velocities(speeds)
        result = step(actions)
        poses.append(torch.cat(task.props.get_world_poses(), dim=-1).view(env.num_envs, -1, 7))
        return result

    env.step = fling_and_step
    result = roll_out(env, int(os.environ.get("MYRIAD_STEPS", STEPS))) | {"props": torch.stack(poses)}
    env.close()
    return {"FrankaCabinet": result}


def lifting(engine: str) -> dict[str, Any]:
    """Let a scripted hand take cubes and lift them: random actions hardly ever touch one."""
    from omni.myriad.app import runs

    copy_clones(engine)
    scripted = runpy.run_path(str(ROOT / "docs" / "manipulation" / "scripted.py"))
    results: dict[str, Any] = {}
    for task in LIFTING:
        env: Any = runs.make_env(configuration(engine, task, 8, "engine.shards=1"))
        step, seen = env.step, []

        def step_and_note(actions: torch.Tensor, step: Any = step, seen: list[Any] = seen) -> Any:
            result = step(actions)
            seen.append([part.clone() for part in (result[0]["obs"], result[1], result[2], result[3]["time_outs"])])
            return result

        env.reset()
        env.step = step_and_note
        cubes = scripted["grasp"](env)
        scripted["drive"](env, cubes + torch.tensor([0.0, 0.0, 0.2], device=cubes.device), False, 80)
        names = ("observations", "rewards", "dones", "time_outs")
        results[task] = {name: torch.stack(part) for name, part in zip(names, zip(*seen, strict=True), strict=True)}
        results[task]["heights"] = env.task.cube[:, 2].clone()
        env.close()
    return results


def fasteners(engine: str) -> dict[str, Any]:
    """Run the Factory tasks, as `others` does, for so long that nuts were lifted, or tried to be, and lie anew.

    FactoryNutBoltPlace takes gravity away between episodes, which what stands in for Kit cannot.
    """
    from omni.myriad.app import runs

    copy_clones(engine)
    results: dict[str, Any] = {}
    for task in FASTENERS:
        settings = ("engine.shards=1", DETERMINISTIC, "task.env.sdfResolution=16")
        env: Any = runs.make_env(configuration(engine, task, 8, *settings))
        results[task] = roll_out(env, 140)
        env.close()
    return results


def terrain(engine: str) -> dict[str, Any]:
    """Run the tasks on terrain on a few tiles, as `others` does, and say where on them robots start."""
    from omni.myriad.app import runs

    copy_clones(engine)
    results: dict[str, Any] = {}
    settings = ("engine.shards=1", DETERMINISTIC)
    for task in ON_TERRAIN:
        new = "" if task == "AnymalTerrain" else "+"  # the others' YAML leaves these at their defaults
        few = [f"{new}task.env.terrain.{part}" for part in ("levels=2", "columns=7", "border=3.0", "start_levels=2")]
        env: Any = runs.make_env(configuration(engine, task, 8, *settings, *few))
        (robots,) = env.engine.robots().values()
        results[task] = roll_out(env, int(os.environ.get("MYRIAD_STEPS", STEPS)))
        results[task]["origins"] = env.task.terrain_origins.clone()
        results[task]["clearance"] = robots.get_world_poses()[0] - env.task.terrain_origins
        env.close()
    return results


def views(engine: str) -> dict[str, Any]:
    """Ask every method of both views on the same state."""
    import view_calls

    from omni.myriad.app import runs

    folder = Path(__file__).parent / "scene"
    env: Any = runs.make_env(configuration(engine, "ViewsScene", 4, f"task.task_path=[{folder}]", "engine.shards=1"))
    try:
        return view_calls.answers(env)
    finally:
        env.close()


def order(engine: str) -> dict[str, Any]:
    """Let PhysX hold the environments in another order than they were cloned in, and say where robots are."""
    from omni.myriad.app import runs

    if engine == "isaacsim":
        from standin import start_options

        start_options["order"] = str  # env_0, env_1, env_10, env_11, env_2, ...
    env: Any = runs.make_env(configuration(engine, "Ant", 12, "engine.shards=1"))
    result = {
        "positions": env.engine.env_positions.clone(),
        "authored": env.task.robots.get_world_poses()[0],  # before anything was written or stepped
        "joints": env.task.robots.get_joint_positions(),
        "velocities": env.task.robots.get_velocities(),
        "start": env.task.initial_root_pos.clone(),
        "paths": list(env.task.robots.prim_paths),
    }
    env.close()
    return result


def scene(engine: str) -> dict[str, Any]:
    """Return what is written on the physics scene, and the camera's and lights' places, with a window or without."""
    from omni.myriad.app import runs

    env: Any = runs.make_env(configuration(engine, "Cartpole", 4, "engine.shards=1", "headless=False"))
    result = {"settings": scene_settings(env.engine.stage)}
    if engine == "isaacsim":
        from standin import ui

        lights = [prim.GetName() for prim in env.engine.stage.Traverse() if prim.GetTypeName().endswith("Light")]
        result |= {"eye": ui.VIEWPORT.eye, "target": ui.VIEWPORT.target, "lights": sorted(lights)}
        result["env_0"] = env.engine.env_positions[0].tolist()
    env.close()
    return result


def scene_settings(stage: Any) -> dict[str, str]:
    """Return the attributes that are written on the physics scene, by name."""
    prim = stage.GetPrimAtPath("/physicsScene")
    return {attribute.GetName(): str(attribute.Get()) for attribute in prim.GetAttributes() if attribute.IsAuthored()}


def offsets(engine: str) -> dict[str, Any]:
    """Return the contact offsets of robots' shapes as PhysX has them, which it derives from the steps per second."""
    from omni.myriad.app import runs

    results: dict[str, Any] = {}
    for task in ("Go1Velocity", "Humanoid"):
        env: Any = runs.make_env(configuration(engine, task, 2, "engine.shards=1"))
        from ovphysx.types import TensorType

        if engine == "isaacsim":
            from standin import native

            physx = native.PHYSICS.physx
        else:
            physx = env.engine.shards[0]._physx
        (robots,) = env.engine.robots().values()
        paths = list(robots.prim_paths)
        binding = physx.create_tensor_binding(prim_paths=paths, tensor_type=TensorType.ARTICULATION_CONTACT_OFFSET)
        results[task] = torch.zeros(binding.shape)
        binding.read(results[task])
        binding.destroy()
        env.close()
    return results


def contacts(engine: str) -> dict[str, Any]:
    """Return the forces on resting balls without and with processing of contacts, in this order."""
    from omni.myriad.app import runs

    folder = Path(__file__).parent / "scene"
    results: dict[str, Any] = {}
    for without in (True, False):
        settings = (f"task.task_path=[{folder}]", "engine.shards=1", f"task.sim.disable_contact_processing={without}")
        env: Any = runs.make_env(configuration(engine, "ViewsScene", 4, *settings))
        env.engine.step(60)
        results[f"without={without}"] = env.task.balls.get_net_contact_forces(dt=env.engine.physics_dt).clone()
        env.close()
    return results


def replicated(engine: str) -> dict[str, Any]:
    """Run Ant where Isaac Sim's clones are copied inside PhysX, and not loaded from the stage."""
    from omni.myriad.app import runs

    copy_clones(engine)
    env: Any = runs.make_env(configuration(engine, "Ant", 12, "engine.shards=1"))
    result = roll_out(env, 100)
    env.close()
    return result


def gpu(engine: str) -> dict[str, Any]:
    """Run Cartpole and Ant on a GPU, without CUDA graphs: with groups that keep clones apart, and with ids."""
    from omni.myriad.app import runs

    results: dict[str, Any] = {}
    for ids in (False, True):
        if engine == "isaacsim":
            from standin import start_options

            start_options["device"] = "cuda:0"
            if ids:
                from standin import native

                native.PHYSICS.replicates = True
        for task in ("Cartpole", "Ant"):
            settings = ("sim_device=cuda:0", "engine.shards=1", f"engine.enable_env_ids={ids}")
            env: Any = runs.make_env(configuration(engine, task, 64, *settings))
            env._before_graph = env._after_graph = None  # graphs draw starts for all environments, others for some
            results[f"{task}, ids={ids}"] = {name: value.cpu() for name, value in roll_out(env, 200).items()}
            env.close()
    return results


def joined(engine: str) -> dict[str, Any]:
    """Run Cartpole inside a Kit that owns the loop: on Isaac Sim only asynchronous calls are allowed there."""
    from omni.myriad.app import runs

    config = configuration(engine, "Cartpole", 16, "engine.shards=1")
    if engine == "physx":
        env: Any = runs.make_env(config)
        return {"Cartpole": roll_out(env, 50)}
    import standin

    standin.start_kit(Path(sys.argv[3]))
    return asyncio.run(_joined(config))


async def _joined(config: dict[str, Any]) -> dict[str, Any]:
    import omni.kit.app  # pyright: ignore[reportMissingImports]
    from omni.myriad.app.runs import set_seed
    from omni.myriad.engine import SimConfig, make_engine, make_engine_async
    from omni.myriad.env.vec_env import VecEnv
    from omni.myriad.errors import MyriadError
    from omni.myriad.task.loader import load_task_class

    sim_config = SimConfig(config)
    refused = []
    results: dict[str, Any] = {"refused": refused}
    for _ in range(2):  # loaded, closed, loaded again, as somebody with a window does
        set_seed(config["seed"])
        engine: Any = await make_engine_async(sim_config)
        env = VecEnv(engine, sim_config)
        task = load_task_class("Cartpole", [])(name="Cartpole", sim_config=sim_config, env=env)
        for call in (lambda: make_engine(sim_config), engine.reset):
            try:
                call()
            except MyriadError as error:
                refused.append(str(error))
        await env.set_task_async(task)
        for _ in range(5):
            await omni.kit.app.get_app().next_update_async()
        await engine.render_async()
        results["Cartpole"] = roll_out(env, 50)
        results["settings"] = scene_settings(engine.stage)
        await engine.close_async()
    return results


def not_finite(engine: str) -> dict[str, Any]:
    """Train with on_nan=reset, and let NaN into a robot's root or joints once: when is it noticed, and what is left."""
    from omni.myriad.app import runs
    from omni.myriad.learn import run
    from tests.faults.spoil import spoil_before, spoil_joints, spoil_root

    results: dict[str, Any] = {}
    for task, spoil in (("Cartpole", spoil_joints), ("Ant", spoil_root)):
        env: Any = runs.make_env(configuration(engine, task, 16, "engine.shards=1", "on_nan=reset"))
        noted = spoil_before(env, {40}, spoil)  # in the third epoch of 16 steps
        folder = Path(sys.argv[2]).with_suffix(f".{task}")
        summary, _ = run.train(env.sim_config.config | {"max_iterations": 6}, env, folder)
        state = [value for view in env.engine.get_state().values() for value in view.values()]
        results[task] = {
            "status": summary["status"],
            "noted": noted,
            "finite": all(bool(value.isfinite().all()) for value in state),
        }
        env.close()
    return results


def strict(engine: str) -> dict[str, Any]:
    """Do to Kit what its native modules refuse, and collect what the stand-in says."""
    sys.argv[1:], command = ["task=Cartpole"], sys.argv[1:]
    from isaacsim import SimulationApp  # pyright: ignore[reportMissingImports]

    from omni.myriad.app import runs

    said: dict[str, str] = {}

    def refused(name: str, call: Callable[[], Any]) -> None:
        try:
            call()
            said[name] = "nothing"
        except Exception as error:
            said[name] = f"{type(error).__name__}: {error}"

    refused("command line", lambda: SimulationApp({}))
    env: Any = runs.make_env(configuration(engine, "Cartpole", 4))
    said["argv after"] = " ".join(sys.argv[1:])
    sys.argv[1:] = command
    import omni.kit.app  # pyright: ignore[reportMissingImports]
    import omni.physics.tensors  # pyright: ignore[reportMissingImports]

    view, rows = env.task.cartpoles._physics_view, torch.arange(4)
    refused("dtype", lambda: view.set_dof_positions(torch.zeros(4, 2, dtype=torch.float64), rows))
    refused("shape", lambda: view.set_dof_positions(torch.zeros(4, 3), rows))
    refused("device", lambda: view.set_dof_positions(torch.zeros(4, 2, device="meta"), rows))
    refused("contiguity", lambda: view.set_dof_positions(torch.zeros(2, 4).T, rows))
    refused("index", lambda: view.set_dof_positions(torch.zeros(4, 2), torch.tensor([4])))
    refused("index dtype", lambda: view.set_dof_positions(torch.zeros(4, 2), torch.zeros(1)))
    refused("missing", lambda: view.get_link_accelerations())
    refused("read-only", lambda: view.set_link_transforms(torch.zeros(4, 3, 7), rows))
    refused("stub", lambda: omni.kit.app.get_app_name())
    refused("frame", lambda: omni.kit.app.get_app().update())
    said["one buffer"] = str(view.get_dof_positions() is view.get_dof_positions())
    env.close()
    refused("after stop", lambda: view.get_dof_positions())
    return said


SCENARIOS: dict[str, Callable[[str], dict[str, Any]]] = {
    "tasks": tasks,
    "others": others,
    "chance": chance,
    "drawers": drawers,
    "lifting": lifting,
    "fasteners": fasteners,
    "terrain": terrain,
    "views": views,
    "order": order,
    "scene": scene,
    "offsets": offsets,
    "contacts": contacts,
    "replicated": replicated,
    "gpu": gpu,
    "joined": joined,
    "not_finite": not_finite,
    "strict": strict,
}


def main() -> None:
    """Run the scenario that the command line names."""
    name, output, *source = sys.argv[1:]
    logging.basicConfig(level=logging.WARNING)
    torch.set_num_threads(1)
    if source:
        import standin

        standin.install(Path(source[0]))
    torch.save(SCENARIOS[name]("isaacsim" if source else "physx"), output)


if __name__ == "__main__":
    main()
