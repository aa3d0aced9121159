# SPDX-License-Identifier: Apache-2.0
"""What only a GPU can show. Elsewhere these are skipped; run them with: ./myriad test tests/test_cuda.py"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from omni.myriad.learn.rl_games.learner import make_learner
from omni.myriad.learn.rl_games.library import learners
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

# PhysX cannot change its device within a process, and the other tests run it on the CPU.
ROLLOUT = """
import torch
import omni.myriad.env.capture
from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
config = load_config(["task={task}", "num_envs=64", "engine.shards={shards}", "sim_device=cuda"])
if {randomized}:
    config["task"]["domain_randomization"] = dict(randomize=True, randomization_params={randomized})
env = make_env(config)
if not {graph}:
    omni.myriad.env.capture._EAGER_CALLS = 10**9
generator = torch.Generator().manual_seed(1)
torch.manual_seed(2)
env.reset()
history = []
for _ in range(60):
    actions = (torch.rand((64, env.num_actions), generator=generator) * 2 - 1).cuda()
    obs, rewards, dones, extras = env.step(actions)
    flags = torch.stack((rewards, dones.float(), extras["time_outs"].float()), dim=1)
    history.append(torch.cat((obs["obs"], flags), dim=1).cpu())
torch.save(torch.stack(history), "{file}")
env.close()
"""

MENDED = """
import torch
import omni.myriad.engine.view
from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
env = make_env(load_config(["task={task}", "num_envs=64", "engine.shards=2", "sim_device=cuda", "on_nan=reset"]))
robots, nan, third = next(iter(env.engine.robots().values())), float("nan"), torch.tensor([3], device="cuda")
env.reset()
omni.myriad.engine.view._FIRST_LOOKS = 0  # in which a view would refuse NaN
for step in range(60):
    if step == 30:
        root = torch.full((1, 3), nan, device="cuda"), torch.full((1, 4), nan, device="cuda")
        robots.set_world_poses(*root, indices=third)
    if step == 40:
        env.mend(third)
    obs, rewards, dones, extras = env.step(torch.rand(64, env.num_actions, device="cuda") * 2 - 1)
    assert obs["obs"].isfinite().all() and rewards.isfinite().all(), step
    faulty = extras["faulty"].nonzero().flatten().tolist()
    assert faulty == ([3] if step == 30 or (30 < step < 40 and "{task}" == "Cartpole") else []), (step, faulty)
assert env._before_graph.captured and env._after_graph.captured
env.close()
"""

ISOLATION = """
import torch
from pxr import UsdGeom, UsdPhysics
from omni.myriad.app.config import load_config
from omni.myriad.engine import SimConfig, make_engine
engine = make_engine(SimConfig(load_config(["sim_device=cuda"])))
ball = UsdGeom.Sphere.Define(engine.stage, "/World/envs/env_0/Ball")
ball.CreateRadiusAttr(0.1)
for schema in (UsdPhysics.RigidBodyAPI, UsdPhysics.CollisionAPI, UsdPhysics.ArticulationRootAPI, UsdPhysics.MassAPI):
    schema.Apply(ball.GetPrim())
engine.clone_environments(8, 5.0)
from omni.myriad import ArticulationView
balls = engine.scene.add(ArticulationView("/World/envs/.*/Ball", name="balls"))
engine.reset()
balls.set_world_poses(positions=torch.tensor([[0.0, 0.0, 5.0]], device="cuda").repeat(8, 1))
balls.set_velocities(torch.zeros(8, 6, device="cuda"))
engine.step(20)
positions, _ = balls.get_world_poses()
assert torch.equal(positions, positions[:1].repeat(8, 1)), positions
engine.close()
"""


CONTACTS = """
import numpy as np
import torch
from pxr import Gf, UsdGeom, UsdPhysics
from omni.myriad import RigidPrimView
from omni.myriad.app.config import load_config
from omni.myriad.engine import SimConfig, make_engine
engine = make_engine(SimConfig(load_config(["sim_device=cuda", "engine.shards=2"])))
engine.add_height_field("/World/ground", np.zeros((9, 9), np.float32), 0.5, (-2.0, -2.0), 0.5)
for x, kind in enumerate((UsdGeom.Cylinder, UsdGeom.Sphere)):
    body = UsdGeom.Xform.Define(engine.stage, f"/World/envs/env_0/body_{x}")
    body.AddTranslateOp().Set(Gf.Vec3d(x, 0.0, 0.1 if x else 0.2))
    UsdPhysics.RigidBodyAPI.Apply(body.GetPrim())
    mass = UsdPhysics.MassAPI.Apply(body.GetPrim())
    mass.CreateMassAttr(2.0 + x)
    mass.CreateDiagonalInertiaAttr(Gf.Vec3f(0.01))
    shape = kind.Define(engine.stage, f"{body.GetPath()}/shape")
    shape.CreateRadiusAttr(0.1)
    if x == 0:
        shape.CreateHeightAttr(0.4)
    UsdPhysics.CollisionAPI.Apply(shape.GetPrim())
engine.clone_environments(8, 0.0)
bodies = engine.scene.add(RigidPrimView("/World/envs/.*/body_.*", name="bodies", track_contact_forces=True))
engine.reset()
engine.step(120)
heights = bodies.get_world_poses()[0][:, 2].cpu()
torch.testing.assert_close(heights, torch.tensor([0.2, 0.1]).repeat(8), atol=2e-3, rtol=0.0)
weights = bodies.get_net_contact_forces(dt=engine.physics_dt)[:, 2].cpu()
torch.testing.assert_close(weights, 9.81 * torch.tensor([2.0, 3.0]).repeat(8), atol=0.0, rtol=0.05)
engine.close()
"""

NEWTON = """
import omni.myriad.env.capture
from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
import torch


def roll(graphs):
    omni.myriad.env.capture._EAGER_CALLS = 2 if graphs else 10**9
    env = make_env(load_config(["task={task}", "engine=newton", "num_envs=64", "sim_device=cuda", "seed=3"]))
    torch.manual_seed(3)
    env.reset()
    generator, history = torch.Generator().manual_seed(1), []
    for _ in range(15):
        actions = (torch.rand((64, env.num_actions), generator=generator) * 2 - 1).cuda()
        obs, rewards, dones, _ = env.step(actions)
        history.append(torch.cat((obs["obs"], rewards[:, None], dones[:, None]), 1).clone())
    captured = env._before_graph.captured and env._after_graph.captured
    env.close()
    return torch.stack(history), captured


graphs, captured = roll(True)
again, _ = roll(True)
plain, _ = roll(False)
assert captured and graphs.isfinite().all()
# MuJoCo Warp adds up with atomics, so that no two runs are equal to the bit, and contacts tear ants apart that differ.
for other in (again, plain):
    apart = (graphs - other).abs().amax((0, 2))
    print("{task}", apart.quantile(0.9), apart.max())
    assert apart.quantile(0.9) < 2e-3, apart
"""

PICTURES = """
import torch
from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
on, device = "task.visual_randomization.randomize=True", "{device}"
seen = []
for _ in range(2):
    env = make_env(load_config(["task=CartpoleCamera", "num_envs=32", f"sim_device={{device}}", "seed=3", on]))
    torch.manual_seed(3)
    env.reset()
    for _ in range(40):
        obs, *_ = env.step(2.0 * torch.rand(32, 1, device=device) - 1.0)
    seen.append(obs["obs"]["camera"].clone())
    env.task.camera._drawn_at = None  # so that it is drawn again, outside of the graph
    assert torch.equal(seen[-1][..., 3:], env.task.camera.get_rgb())
    captured = device == "cpu" or (env._before_graph.captured and env._after_graph.captured)
    env.close()
assert captured and torch.equal(*seen) and seen[0].float().std(dim=0).amax() > 5.0
"""

NO_ROOM = """
from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
import torch
env = make_env(
    load_config(["task=Ant", "engine=newton", "num_envs=64", "sim_device=cuda", "engine.constraints_per_env=4"])
)
for _ in range(200):
    env.step(torch.ones(64, 8, device="cuda"))
"""


def run(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def rollout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rollouts")

    def roll(task, shards, graph, name, randomized=None):
        file = folder / f"{name}.pt"
        run(ROLLOUT.format(task=task, shards=shards, graph=graph, file=file, randomized=randomized))
        return torch.load(file, weights_only=True)

    return roll


def drawn(low, high, operation, **more):
    parameters = {"distribution": "uniform", "distribution_parameters": [low, high]}
    return {"operation": operation, **parameters, **more}


RANDOMIZED = {
    "observations": {"on_interval": drawn(-0.1, 0.1, "additive", frequency_interval=1)},
    "latency": {"actions": [0.0, 1.5], "observations": [0.0, 0.5]},
    "sensors": {"joint_positions": {"bias": [-0.1, 0.1]}, "*": {"dropout": 0.05}},
    "articulation_views": {
        "ant_view": {
            "body_masses": {"on_reset": drawn(0.8, 1.2, "scaling")},
            "payload": {"names": "torso", "on_reset": drawn(0.0, 0.5, "additive")},
            "material_properties": {"on_reset": drawn(0.5, 1.0, "direct", num_buckets=16)},
            "velocity": {"on_interval": drawn(-0.5, 0.5, "additive", frequency_interval=7)},
            "joint_positions": {"on_reset": drawn(-0.1, 0.1, "additive")},
            "joint_efforts": {"on_reset": drawn(-1.0, 1.0, "additive")},
        }
    },
    "simulation": {"gravity": {"on_interval": drawn(-1.0, 1.0, "additive", frequency_interval=11)}},
}

GRAVITY = """
import torch
from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
env = make_env(load_config(["task=BallBalance", "num_envs=64", "engine.shards=2", "sim_device=cuda"]))
env.reset()
balls, dt = env.task.balls, env.engine.physics_dt
positions, _ = balls.get_world_poses()
positions[:, 2] += 5.0
for gravity in ((0.0, 0.0, -3.0), (1.0, -2.0, 0.5)):
    balls.set_world_poses(positions)
    balls.set_velocities(torch.zeros(64, 6, device="cuda"))
    env.engine.set_gravity(torch.tensor(gravity))
    env.engine.step(2)
    speeds = balls.get_velocities()[:, :3] / (2 * dt)
    torch.testing.assert_close(speeds.cpu(), torch.tensor([gravity]).repeat(64, 1), atol=1e-2, rtol=0.0)
env.close()
"""


def test_gravity_changes_by_chance():
    run(GRAVITY)


def test_graphs_change_nothing_of_what_is_drawn_by_chance(rollout):
    eager = rollout("Ant", 1, False, "randomized_eager", RANDOMIZED)
    assert torch.isfinite(eager).all()
    assert torch.equal(eager, rollout("Ant", 1, True, "randomized_graph", RANDOMIZED))
    assert not torch.equal(eager, rollout("Ant", 1, False, "not_randomized"))


@pytest.mark.parametrize("task", ["Cartpole", "Ant", "Anymal"])
def test_graphs_and_shards_change_nothing(rollout, task):
    eager = rollout(task, 1, False, f"{task}_eager")
    assert torch.isfinite(eager).all()
    assert torch.equal(eager, rollout(task, 1, True, f"{task}_graph"))
    assert torch.equal(eager, rollout(task, 2, True, f"{task}_shards"))


@pytest.mark.parametrize("task", ["Cartpole", "Ant"])
def test_episodes_end_and_begin_in_graphs(rollout, task):
    history = rollout(task, 1, True, f"{task}_long") if task == "Cartpole" else rollout(task, 2, True, f"{task}_long")
    dones = history[:, :, -2].bool()
    assert dones[10:-1].any(), "nothing ended once the graphs were captured"
    # Who ends is somewhere else one step later; who goes on is near where it was.
    moved = (history[1:, :, 0] - history[:-1, :, 0]).abs()
    assert moved[~dones[:-1]].max() < 0.5
    assert not (dones[1:] & dones[:-1]).any()


@pytest.mark.parametrize("task", ["Cartpole", "Ant"])
def test_what_is_not_finite_is_set_aside_and_mended_in_graphs(task):
    run(MENDED.format(task=task))


def test_environments_on_one_spot_never_touch():
    run(ISOLATION)


def test_what_lies_on_triangles_presses_on_them_with_its_weight():
    # Without the host's reports of contacts, and the cylinder as a mesh.
    run(CONTACTS)


def test_a_body_falls_as_it_should():
    done = subprocess.run(
        [sys.executable, "-m", "omni.myriad.engine.physx.probe", "cuda:0"], cwd=ROOT, capture_output=True, text=True
    )
    result = json.loads(done.stdout)
    assert result["ok"], result


def test_cartpole_learns_with_graphs(tmp_path):
    arguments = ["task=Cartpole", "sim_device=cuda", "seed=1", f"train_dir={tmp_path}", "experiment=gpu"]
    done = subprocess.run([sys.executable, "train.py", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "gpu/summary.json").read_text())["reward_mean"] > 400


@pytest.mark.parametrize("kind", ["lstm", "gru", "lstm critic", "mlp critic", "lstm in half precision"])
def test_recurrent_networks_and_critics_learn_in_graphs_as_without(kind, tmp_path, monkeypatch):
    def learned(eager_calls) -> Any:
        monkeypatch.setattr("omni.myriad.env.capture._EAGER_CALLS", eager_calls)
        env = CartPoleEnv(64, max_steps=7, with_states="critic" in kind, device="cuda")
        rnn = {"gru": "gru", "mlp critic": False}.get(kind, "lstm")
        cfg = make_cfg(env, max_iterations=3, rnn=rnn, mixed_precision="half" in kind)
        learner = make_learner(cfg, env, tmp_path / str(eager_calls))
        learner.train(lambda epoch: None)
        return learner

    graphs, plain = learned(2), learned(10**9)
    assert graphs.rollout._run_before.captured and graphs.update._descent.run.captured
    assert not plain.update._descent.run.captured
    for of_graphs, of_plain in zip(learners(graphs.agent), learners(plain.agent), strict=True):
        others = of_plain.model.state_dict()
        for name, one in of_graphs.model.state_dict().items():
            torch.testing.assert_close(one, others[name], rtol=1e-4, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}")
        for one, other in zip(of_graphs.rnn_states or (), of_plain.rnn_states or (), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("task", ["Ant", "Cartpole"])
def test_newton_steps_in_graphs_as_without(task):
    pytest.importorskip("newton")
    run(NEWTON.format(task=task))


def test_newton_ends_in_one_line_where_contacts_find_no_room():
    pytest.importorskip("newton")
    done = subprocess.run([sys.executable, "-c", NO_ROOM], cwd=ROOT, capture_output=True, text=True)
    assert "raise engine.constraints_per_env above 4." in done.stderr, done.stderr


def test_pictures_of_a_graph_are_those_without_and_repeat_with_their_textures_and_light():
    pytest.importorskip("newton")
    run(PICTURES.format(device="cuda"))
