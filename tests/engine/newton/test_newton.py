# SPDX-License-Identifier: Apache-2.0
"""Newton under the same tasks and views as PhysX, on the CPU: where kernels are not cached, compiling takes minutes."""

import math
from pathlib import Path

import pytest
import torch

from omni.myriad.app import runs
from omni.myriad.app.config import load_config
from omni.myriad.deploy.deployment import deploy
from omni.myriad.engine.newton.bare_loop import READS, BareLoop
from omni.myriad.env.vec_env import VecEnv
from omni.myriad.errors import MyriadError
from tests.conformance import view_calls, view_table

ROOT = Path(__file__).parents[3]
SCENE = ["task=ViewsScene", f"task.task_path=[{ROOT / 'tests/conformance/scene'}]", "num_envs=4", "engine.shards=1"]
# PhysX's TGS takes a step in several; PGS takes it at once, as MuJoCo does.
PLAIN = "task.sim.physx.solver_type=0"
DT = 1 / 120


@pytest.fixture(scope="module")
def made():
    """Build environments that live as long as the module, one for each command line."""
    envs: dict[tuple[str, ...], VecEnv] = {}

    def build(*overrides) -> VecEnv:
        if overrides not in envs:
            envs[overrides] = runs.make_env(load_config(["sim_device=cpu", "seed=7", *overrides]))
        return envs[overrides]

    yield build
    for env in envs.values():
        env.close()


def random(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.rand(shape, generator=generator) * 2 - 1


def in_the_air(env, spin):
    """Lift ants, spinning so fast in rad/s, with joints inside their limits and efforts on them."""
    ants, drawn = env.task.robots, random(3)
    turned = torch.nn.functional.normalize(drawn(env.num_envs, 4), dim=-1)
    ants.set_world_poses(env.engine.env_positions + torch.tensor([0.0, 0.0, 6.0]), turned)
    ants.set_velocities(spin * drawn(env.num_envs, 6))
    ants.set_joint_positions(ants.get_dof_limits().mean(-1) + 0.2 * drawn(env.num_envs, 8))
    ants.set_joint_velocities(spin * drawn(env.num_envs, 8))
    ants.set_joint_efforts(0.3 * drawn(env.num_envs, 8))
    ants.get_measured_joint_forces()


@pytest.fixture(scope="module")
def answers(made):
    """What both engines answer to every call on the same scene, in which nothing touches."""
    said = {}
    for engine in ("physx", "newton"):
        env = made(*SCENE, f"engine={engine}", PLAIN)
        in_the_air(env, 0.1)
        env.task.balls.set_world_poses(env.engine.env_positions + torch.tensor([2.0, 0.0, 6.0]))
        env.task.balls.set_velocities(0.1 * random(4)(4, 6))
        env.engine.step()
        env.engine.update_kinematics()
        said[engine] = view_calls.ask(env)
    return said


@pytest.mark.parametrize("view", ["ArticulationView", "RigidPrimView"])
def test_views_answer_as_with_physx_but_where_the_table_says(answers, view):
    # A spinning body is integrated differently, which shows in the fourth digit.
    differ = {
        method: text
        for method, answer in answers["newton"][view].items()
        if (text := view_calls.difference(answer, answers["physx"][view][method], 2e-3))
    }
    assert set(differ) == set(view_table.NEWTON[view]), differ


def test_the_documentation_has_the_table():
    page = (ROOT / "docs/newton.md").read_text()
    assert view_table.insert(page, view_table.newton_table()) == page


def agree(states, **tolerance):
    physx, there = states
    for robot in physx.keys() & there.keys():
        for key, value in physx[robot].items():
            torch.testing.assert_close(
                there[robot][key], value, msg=lambda text, key=key: f"{key}: {text}", **tolerance
            )


@pytest.mark.parametrize("task", ["Ant", "Cartpole"])
def test_one_step_from_the_same_state_agrees_with_physx(made, task):
    states = []
    for engine in ("physx", "newton"):
        env = made(f"task={task}", "num_envs=4", f"engine={engine}", PLAIN)
        (robots,) = env.engine.robots().values()
        if task == "Ant":
            in_the_air(env, 0.0)
        else:
            robots.set_joint_positions(0.3 * random(1)(4, 2))
            robots.set_joint_velocities(random(2)(4, 2))
            robots.set_joint_efforts(20.0 * random(3)(4, 2))
        before = robots.get_joint_positions()
        env.engine.step()
        assert not torch.allclose(robots.get_joint_positions(), before, atol=1e-4)
        states.append(env.engine.get_state())
    agree(states, atol=1e-4, rtol=1e-4)


def drawn_by_drives(env, room):
    """Lift robots, turned anyhow and at rest, move their joints by up to `room`, and let their drives pull."""
    robots = next(iter(env.engine.robots().values()))  # the task's first, such as the arm before its cabinet
    drawn = random(3)
    positions, _ = robots.get_world_poses()
    turned = torch.nn.functional.normalize(drawn(env.num_envs, 4), dim=-1)
    robots.set_world_poses(positions + torch.tensor([0.0, 0.0, 6.0]), turned)
    robots.set_velocities(torch.zeros(env.num_envs, 6))
    limits, joints = robots.get_dof_limits(), robots.get_joint_positions()
    moved = joints + room * drawn(*joints.shape)
    free = limits[..., 1] - limits[..., 0] > 4.0 * room  # a locked joint is a hair's breadth outside of its limits
    inside = torch.minimum(torch.maximum(moved, limits[..., 0] + room), limits[..., 1] - room)
    joints = torch.where(free, inside, joints)
    robots.set_joint_positions(joints)
    robots.set_joint_velocities(torch.zeros_like(joints))
    robots.set_joint_position_targets(joints + 0.002)
    return robots


@pytest.mark.parametrize(
    ("task", "robot", "room", "effort"),
    [
        # Stiffer than torque can hold in a step, and so stable only where drives are implicit, as PhysX's are.
        ("Anymal", "Robot", 0.05, 0.0),
        pytest.param("AnymalTerrain", "Robot", 0.05, 0.0, marks=pytest.mark.nightly),
        ("Go1Velocity", "Robot", 0.05, 0.0),
        ("G1Velocity", "Robot", 0.05, 0.0),
        # A joint of three hinges turns by one rotation in PhysX, in MuJoCo by one after the other: the same at zero.
        ("Humanoid", "Humanoid", 0.0, 0.01),
        ("Quadcopter", "Quadcopter", 0.05, 0.0),
        ("Ingenuity", "Ingenuity", 0.05, 0.0),
        ("Crazyflie", "Crazyflie", 0.05, 0.0),
        ("FrankaReach", "Robot", 0.005, 0.0),
        ("AllegroHand", "Robot", 0.01, 0.0),
        pytest.param("FrankaLift", "Robot", 0.005, 0.0, marks=pytest.mark.nightly),
        pytest.param("FrankaCabinet", "Robot", 0.005, 0.0, marks=pytest.mark.nightly),
    ],
)
def test_one_step_of_robots_with_drives_agrees_with_physx(env_of, task, robot, room, effort):
    states = []
    for engine in ("physx", "newton"):
        # Drives are exact in PhysX when its iterations have converged; tasks stop at four.
        exact = f"task.sim.{robot}.solver_position_iteration_count=64"
        env = env_of(f"task={task}", "num_envs=2", f"engine={engine}", "engine.shards=1", PLAIN, exact)
        robots = drawn_by_drives(env, room)
        robots.set_joint_efforts(torch.full_like(robots.get_joint_positions(), effort))
        env.engine.step()
        states.append({robots.name: env.engine.get_state()[robots.name]})  # what lies about touches
    agree(states, atol=1e-4, rtol=1e-3)


def test_links_that_turn_about_their_middle_touch_as_others_do(env_of):
    env = env_of("task=AllegroHand", "num_envs=2", "engine=newton")
    env.step(torch.zeros(2, 16))
    solver = env.engine.solver
    weights = solver.mjw_model.body_invweight0.numpy()[:, :, 0]
    link = next(number for number in range(solver.mj_model.nbody) if solver.mj_model.body(number).name.endswith("_1_0"))
    assert weights[:, link] == pytest.approx(
        1.0 / 0.065
    )  # as its file says in kg; MuJoCo has 1e-14 there, and NaN follows
    assert (weights[:, 2:] > 0.1).all() and (weights[:, 2:] < 100.0).all()


def test_joints_that_close_loops_hold_as_in_physx(env_of):
    trays = []
    for engine in ("physx", "newton"):
        exact = "task.sim.BalanceBot.solver_position_iteration_count=64"
        env = env_of("task=BallBalance", "num_envs=2", f"engine={engine}", exact)
        env.reset()
        for _ in range(12):
            env.step(torch.tensor([[0.5, -0.5, 0.3], [-0.5, 0.3, 0.0]]))
        trays.append((*env.task.tables.get_world_poses(), env.task.tables.get_joint_positions()))
    assert trays[0][2].abs().amax() > 0.2
    torch.testing.assert_close(trays[1], trays[0], atol=0.02, rtol=0)


def test_ants_live_on_for_hundreds_of_steps_and_start_again(made):
    env = made("task=Ant", "num_envs=8", "engine=newton", "task.env.episodeLength=100")
    env.reset()
    drawn, ends = random(5), 0
    for _ in range(300):
        obs, rewards, dones, _ = env.step(drawn(8, 8))
        assert torch.isfinite(obs["obs"]).all() and torch.isfinite(rewards).all()
        ends += int(dones.sum())
    assert ends >= 16
    assert (env.task.height > 0.1).all(), "on the ground, and not below"


def test_ids_and_masks_reset_their_environments_alone(made):
    env = made("task=Ant", "num_envs=8", "engine=newton", "task.env.episodeLength=100")
    ants, engine = env.task.robots, env.engine
    before, poses = ants.get_joint_positions(), ants.get_body_poses()[0]
    ants.set_joint_positions(before[[5, 2]] + 0.1, indices=[5, 2])
    expected = before.clone()
    expected[[5, 2]] += 0.1
    assert torch.equal(ants.get_joint_positions(), expected)
    moved = (ants.get_body_poses()[0] - poses).norm(dim=-1).amax(-1) > 1e-3
    assert moved.nonzero().flatten().tolist() == [2, 5], "links follow at once"
    for rows in (torch.arange(8), torch.tensor([0, 3, 4, 5, 6, 7])):  # all of them, and some
        mask = torch.zeros(8, dtype=torch.bool)
        mask[[0, 3]] = True
        before = ants.get_joint_positions()
        with engine.capture.only(mask):
            ants.set_joint_positions(before[rows] + 0.1, indices=rows)
            ants.set_joint_positions(before[rows][:, :1] + 0.2, indices=rows, joint_indices=[4])
        expected = before.clone()
        expected[mask] += 0.1
        expected[mask, 4] = before[mask, 0] + 0.2
        assert torch.equal(ants.get_joint_positions(), expected)


def test_a_graph_that_wrote_makes_links_follow_again(made):
    env = made("task=Ant", "num_envs=8", "engine=newton", "task.env.episodeLength=100")
    ants, capture = env.task.robots, env.engine.capture
    positions = ants.get_joint_positions(clone=False)
    ants.set_joint_positions(positions + 0.1)
    writes = capture.pending_writes()
    before = ants.get_body_poses()[0]
    positions += 0.1  # what a graph does, of which nobody is told
    assert torch.equal(ants.get_body_poses()[0], before)
    capture.write_again(writes)
    assert not torch.allclose(ants.get_body_poses()[0], before, atol=1e-3)


def test_what_was_saved_goes_on_to_the_bit(made):
    env = made("task=Ant", "num_envs=8", "engine=newton", "task.env.episodeLength=100")
    env.reset()
    actions = random(6)(30, 8, 8)
    for action in actions[:20]:
        env.step(action)
    saved = env.get_env_state()
    torch.manual_seed(1)
    first = [env.step(action)[0]["obs"].clone() for action in actions[20:]]
    env.set_env_state(saved)
    torch.manual_seed(1)
    again = [env.step(action)[0]["obs"].clone() for action in actions[20:]]
    assert torch.equal(torch.stack(first), torch.stack(again))


def test_two_runs_of_a_seed_are_equal_to_the_bit_on_a_cpu(env_of):
    seen = []
    for _ in range(2):
        env = env_of("task=Ant", "num_envs=8", "engine=newton", "seed=5")
        env.reset()
        seen.append(torch.stack([env.step(action)[0]["obs"].clone() for action in random(6)(60, 8, 8)]))
    assert torch.equal(*seen)


def test_what_blew_up_starts_again_alone(made):
    env = made("task=Ant", "num_envs=8", "engine=newton", "task.env.episodeLength=100")
    env.reset()
    ants = env.task.robots
    ants.set_joint_velocities(torch.full((1, 8), math.nan), indices=[3])
    env.engine.step(2)
    healthy = torch.arange(8) != 3
    assert torch.isfinite(ants.get_joint_positions()[healthy]).all()
    assert not torch.isfinite(ants.get_joint_positions()[3]).any()
    env.task.reset_idx(torch.tensor([3]))
    env.engine.step(4)
    assert torch.isfinite(ants.get_body_velocities()).all()


def test_drives_pull_once_they_have_gains(made):
    env = made("task=Ant", "num_envs=8", "engine=newton", "task.env.episodeLength=100")
    in_the_air(env, 0.0)
    ants = env.task.robots
    ants.set_joint_efforts(torch.zeros(8, 8))
    ants.set_gains(kps=torch.full((8, 8), 5.0), kds=torch.full((8, 8), 0.5))
    goals = ants.get_dof_limits().mean(-1) + 0.3
    ants.set_joint_position_targets(goals)
    env.engine.step(100)
    torch.testing.assert_close(ants.get_joint_positions(), goals, atol=0.02, rtol=0)


def test_a_heavier_body_is_pushed_less_and_rests_on_what_holds_it(made):
    env = made(*SCENE, "engine=newton")
    balls = env.task.balls
    masses = torch.tensor([2.0, 4.0, 2.0, 2.0])
    balls.set_masses(masses)
    balls.set_world_poses(env.engine.env_positions + torch.tensor([2.0, 0.0, 6.0]))
    balls.set_velocities(torch.zeros(4, 6))
    balls.apply_forces(torch.tensor([[12.0, 0.0, 0.0]]).repeat(4, 1))
    env.engine.step()
    torch.testing.assert_close(balls.get_velocities()[:, 0], 12.0 / masses * DT)
    env.engine.step()
    torch.testing.assert_close(balls.get_velocities()[:, 0], 12.0 / masses * DT, msg="a push lasts one step")
    balls.set_world_poses(env.engine.env_positions + torch.tensor([2.0, 0.0, 0.6]))
    balls.set_velocities(torch.zeros(4, 6))
    env.engine.step(200)
    expected = torch.stack((torch.zeros(4), torch.zeros(4), 9.81 * masses), -1)
    torch.testing.assert_close(balls.get_net_contact_forces(dt=DT), expected, atol=0.1, rtol=1e-3)
    torch.testing.assert_close(balls.get_contact_force_matrix(dt=DT)[:, 0], expected, atol=0.1, rtol=1e-3)


def test_a_fixed_base_stands_where_it_is_put(made):
    env = made("task=Cartpole", "num_envs=4", "engine=newton", PLAIN)
    (robots,) = env.engine.robots().values()
    positions, orientations = robots.get_world_poses()
    moved = positions + torch.tensor([0.0, 1.0, 0.5])
    robots.set_world_poses(moved[:2], indices=[0, 1])
    expected = torch.cat((moved[:2], positions[2:]))
    for _ in range(2):
        torch.testing.assert_close(robots.get_world_poses(), (expected, orientations))
        torch.testing.assert_close(robots.get_body_poses()[0][:, 0], expected)
        env.engine.step(3)
    robots.set_world_poses(positions)


def test_too_little_room_is_an_error_that_names_the_setting(env_of):
    env = env_of("task=Ant", "num_envs=4", "engine=newton", "engine.constraints_per_env=4")
    with pytest.raises(MyriadError, match=r"raise engine.constraints_per_env above 4"):
        for _ in range(100):
            env.step(torch.ones(4, 8))


def test_room_is_made_before_it_runs_out(env_of):
    env, same = env_of("task=Ant", "num_envs=4", "engine=newton"), env_of("task=Ant", "num_envs=4", "engine=newton")
    env.engine._room["constraints_per_env"] = 3  # so few that steps must be made again
    for each in (env, same):
        torch.manual_seed(0)
        each.reset()
    for _ in range(60):
        obs, wanted = env.step(torch.zeros(4, 8))[0]["obs"], same.step(torch.zeros(4, 8))[0]["obs"]
    assert env.engine.solver.mjw_data.njmax in (24, 48)
    torch.testing.assert_close(obs, wanted, rtol=0, atol=1e-3)


def test_the_bare_loop_moves_what_views_read(made):
    env = made("task=Ant", "num_envs=8", "engine=newton", "task.env.episodeLength=100")
    loop = BareLoop(env.engine, max_effort=7.5, decimation=2)
    before = env.task.robots.get_joint_positions()
    loop.advance(5)
    assert not torch.allclose(env.task.robots.get_joint_positions(), before, atol=1e-3)
    assert all(torch.isfinite(loop.state[name]).all() for name in READS)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "task",
    [
        *("Anymal", "Humanoid", "Quadcopter", "Ingenuity", "Crazyflie", "FrankaReach", "Go1Velocity", "G1Velocity"),
        *("FrankaLift", "FrankaStack", "FrankaStackOperationalSpace", "BallBalance", "AllegroHand", "ShadowHand"),
    ],
)
def test_tasks_find_their_joints_and_step(env_of, task):
    envs = [env_of(f"task={task}", "num_envs=8", f"engine={engine}") for engine in ("physx", "newton")]
    names = [[view.dof_names for view in env.engine.robots().values()] for env in envs]
    assert names[0] == names[1]
    envs[1].reset()
    for _ in range(60):
        obs, rewards, *_ = envs[1].step(torch.rand(8, envs[1].num_actions) * 2 - 1)
        assert obs["obs"].isfinite().all() and rewards.isfinite().all()


@pytest.mark.nightly
def test_uneven_ground_throws_no_robot_away(env_of):
    env = env_of("task=AnymalTerrain", "num_envs=16", "engine=newton", "seed=42")
    env.reset()
    (robots,) = env.engine.robots().values()
    drawn = random(42)
    for _ in range(100):
        env.step(drawn(16, 12))
        assert robots.get_joint_velocities().abs().max() < 150.0


@pytest.mark.nightly
def test_cartpole_learns_goes_on_and_exports(tmp_path):
    common = ["task=Cartpole", "engine=newton", "sim_device=cpu", f"train_dir={tmp_path}", "seed=1"]
    summary = runs.train(load_config([*common, "experiment=a", "max_iterations=60"]))
    assert summary["reward_mean"] > 400
    checkpoint = f"checkpoint={tmp_path / 'a'}"
    again = runs.train(load_config([*common, checkpoint, "experiment=b", "max_iterations=62"]))
    assert again["epochs"] == 62 and again["reward_mean"] > 400
    assert runs.export(load_config([*common, checkpoint]))["parity"]["max_error"] < 1e-4
    report = deploy(
        load_config(["engine=physx", "episodes=3", "video=False"]), tmp_path / "a/exported/policy.onnx", "newton"
    )
    *_, physx, mine = (row.rewards for row in report.rows)
    assert min(physx) > 400 and min(mine) > 400
