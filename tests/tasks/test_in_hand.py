# SPDX-License-Identifier: Apache-2.0
"""AllegroHand and ShadowHand: what is observed, rewarded and reset, by hand, with hand and cube in PhysX."""

import math

import pytest
import torch
from pxr import Usd, UsdPhysics, UsdShade

from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env, train
from omni.myriad.engine.shapes import robot_shapes
from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint
from omni.myriad.maths import quat_rotate

HANDS = ("AllegroHand", "ShadowHand")


@pytest.fixture(scope="module")
def one():
    """Return an AllegroHand that tests share: they put its YAML's numbers back."""
    env = make_env(load_config(["task=AllegroHand", "num_envs=3", "engine.shards=2", "sim_device=cpu"]))
    env.reset()
    yield env
    env.close()


@pytest.fixture
def hands(env_of):
    def build(task, *overrides):
        env = env_of(f"task={task}", "num_envs=3", "engine.shards=2", *overrides)
        env.reset()
        return env

    return build


def turned(angle, axis=(0.0, 0.0, 1.0)):
    half = 0.5 * angle
    return [math.cos(half), *(math.sin(half) * part for part in axis)]


def show(env, offset=(0.0, 0.0, 0.0), angle=math.pi / 2):
    """Let the task see cubes that far from where they belong, turned by an angle from their goals, at rest."""
    task = env.task
    task.goal_rotation[:] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    place = task.goal_position + task._env_pos + torch.tensor(offset)
    task.objects.set_world_poses(place, torch.tensor([turned(angle)]).repeat(3, 1))
    task.objects.set_velocities(torch.tensor([[0.1, 0.2, 0.3, 1.0, 2.0, 3.0]]).repeat(3, 1))
    task.progress_buf.fill_(5)
    task.successes.zero_()
    task.actions.fill_(0.5)
    task.post_physics_step()
    return task.rew_buf


CHARGE = 0.0002 * 0.25  # of an action of a half


# 10 a metre, 1 / (angle + 0.1), 250 for a goal; a cube falls at 0.24 m, which costs nothing by itself.
@pytest.mark.parametrize(
    ("offset", "angle", "reward", "reached", "fallen"),
    [
        ((0.0, 0.0, 0.0), math.pi / 2, 1.0 / (math.pi / 2 + 0.1), False, False),
        ((0.03, 0.0, 0.04), math.pi / 2, -0.5 + 1.0 / (math.pi / 2 + 0.1), False, False),
        ((0.0, 0.0, 0.0), 0.11, 1.0 / 0.21, False, False),
        ((0.0, 0.0, 0.0), 0.09, 1.0 / 0.19 + 250.0, True, False),
        ((0.0, 0.0, 0.0), -0.09, 1.0 / 0.19 + 250.0, True, False),
        ((0.0, 0.25, 0.0), math.pi, -2.5 + 1.0 / (math.pi + 0.1), False, True),
    ],
)
def test_reward_by_hand(one, offset, angle, reward, reached, fallen):
    torch.testing.assert_close(show(one, offset, angle), torch.full((3,), reward - 16 * CHARGE), atol=2e-3, rtol=0.0)
    task = one.task
    assert task.reached.tolist() == [reached] * 3 and task.successes.tolist() == [float(reached)] * 3
    assert task.reset_buf.bool().tolist() == [fallen] * 3


def test_observations_by_hand(one):
    task = one.task
    joints = 0.5 * (task.lower + task.upper)
    joints[0] = task.upper[0]
    task.robot.set_joint_positions(joints.repeat(3, 1))
    task.robot.set_joint_velocities(torch.full((3, 16), 0.5))
    show(one, (0.0, 0.1, 0.0), 1.0)
    seen = task.obs_buf[1]  # of a hand that stands off the world's origin
    assert seen.shape == (72,)
    torch.testing.assert_close(seen[:16], torch.tensor([1.0] + 15 * [0.0]), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(seen[16:32], torch.full((16,), 0.1), atol=1e-6, rtol=0.0)
    torch.testing.assert_close(seen[32:35], torch.tensor([0.0, -0.1, 0.52]), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(seen[35:39], torch.tensor(turned(1.0)), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(seen[39:45], torch.tensor([0.1, 0.2, 0.3, 0.2, 0.4, 0.6]), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(seen[45:52], torch.tensor([0.0, -0.2, 0.52, 1.0, 0.0, 0.0, 0.0]), atol=1e-6, rtol=0.0)
    torch.testing.assert_close(seen[52:56], torch.tensor(turned(1.0)), atol=1e-5, rtol=0.0)
    assert (seen[56:] == 0.5).all()


@pytest.mark.parametrize(
    ("task", "kind", "size"),
    [
        ("AllegroHand", "full_no_vel", 50),
        ("ShadowHand", "full_no_vel", 77),
        ("ShadowHand", "openai", 42),
        ("ShadowHand", "full_state", 187),
    ],
)
def test_what_is_observed_can_be_chosen(hands, task, kind, size):
    env = hands(task, f"task.env.observationType={kind}")
    observed = env.step(torch.zeros(3, env.num_actions))[0]["obs"]
    assert observed.shape == (3, size) and observed.isfinite().all()
    names = [term.name for term in env.task.observation_terms()]
    assert ("joint_velocities" in names) == (kind == "full_state")


def test_an_unknown_observation_is_refused(env_of):
    with pytest.raises(MyriadError, match="observationType=all is invalid: choose one of full, full_no_vel"):
        env_of("task=AllegroHand", "num_envs=1", "task.env.observationType=all")


def test_the_critic_can_see_what_fingertips_feel(hands):
    env = hands("ShadowHand", "task.env.observationType=openai", "task.env.asymmetric_observations=True")
    seen = env.step(torch.ones(3, 20))[0]
    assert seen["obs"].shape == (3, 42) and seen["states"].shape == (3, 187)
    torch.testing.assert_close(seen["obs"][:, :15], seen["states"][:, 72:87])  # where fingertips are
    assert seen["states"][:, 137:167].abs().max() > 0.1


def test_fingertips_are_ahead_of_the_palm_which_looks_up(hands):
    """The hand lies along -y below the cube, its thumb to the left, as OmniIsaacGymEnvs' does."""
    task = hands("ShadowHand").task
    tips = task.robot.frame_poses([f"robot0_{finger}distal" for finger in ("ff", "mf", "rf", "lf")])[0]
    palm = task.robot.frame_poses("robot0_palm")[0]
    assert (tips[..., 1] < palm[:, None, 1] - 0.1).all()
    assert (task.object_position[:, 2] > palm[:, 2]).all()


@pytest.mark.parametrize("task", HANDS)
def test_episodes_start_with_a_cube_above_the_palm_and_fingers_bent_a_little(hands, task):
    task = hands(task).task
    before = task.robot.get_joint_positions()[1].clone(), task.goal_rotation[1].clone()
    task.successes.fill_(3.0)
    task.reset_idx(torch.tensor([0, 2]))
    positions, orientations = task.objects.get_world_poses()
    away = (positions - task._env_pos - task.object_start)[[0, 2]]
    assert away.abs().max() <= 0.01 + 1e-6 and away.abs().max() > 1e-4
    assert (orientations[0] - orientations[2]).abs().max() > 1e-3
    assert task.objects.get_velocities()[[0, 2]].abs().max() == 0.0
    joints = task.robot.get_joint_positions()[[0, 2]]
    low, high = 0.2 * task.lower, 0.2 * task.upper
    free = torch.ones(len(low), dtype=torch.bool)
    if task.name == "ShadowHand":
        free[task.followers] = False
        ratio = 8.05 / 7.05  # lever arms in mm of the tendons in the hand's file
        torch.testing.assert_close(joints[:, ~free], ratio * joints[:, task.leaders], atol=1e-5, rtol=0.0)
    assert ((joints >= low - 1e-6) & (joints <= high + 1e-6))[:, free].all()
    torch.testing.assert_close(task.joint_targets[[0, 2]], joints)
    assert task.successes.tolist() == [0.0, 3.0, 0.0]
    torch.testing.assert_close(task.robot.get_joint_positions()[1], before[0])
    torch.testing.assert_close(task.goal_rotation[1], before[1])


def test_a_goal_that_was_reached_is_followed_by_another_which_is_shown(one):
    task = one.task
    show(one, angle=0.0)
    task.reached[:] = torch.tensor([True, False, True])
    task.apply_actions(torch.zeros(3, 16))
    assert (task.goal_rotation[:, 0] < 1.0 - 1e-4).tolist() == [True, False, True]
    assert task.markers["Goal"].orientations is task.goal_rotation
    shown = task.goal_position + torch.tensor([-0.2, -0.06, 0.12])
    torch.testing.assert_close(task.markers["Goal"].positions, shown)


def test_goals_are_turned_about_two_axes_by_any_angle(one):
    goals = one.task._draw_goals(4000)
    torch.testing.assert_close(goals.norm(dim=-1), torch.ones(4000))
    # About x by a after about y by b, both uniform: z of the cube is (sin b, -sin a cos b, cos a cos b).
    z = quat_rotate(goals, torch.tensor([0.0, 0.0, 1.0]).repeat(4000, 1))
    torch.testing.assert_close(z.mean(dim=0), torch.zeros(3), atol=0.05, rtol=0.0)
    torch.testing.assert_close((z**2).mean(dim=0), torch.tensor([0.5, 0.25, 0.25]), atol=0.03, rtol=0.0)


def test_actions_are_targets_over_the_range_of_joints_or_filtered_or_move_them(one, monkeypatch):
    task = one.task
    cfg = task.task_config["env"]

    def targets(action):
        task.apply_actions(torch.full((3, 16), action))
        return task.robot.get_applied_actions().joint_positions

    half = 0.5 * (task.upper - task.lower)
    torch.testing.assert_close(targets(1.0), task.upper.repeat(3, 1))
    torch.testing.assert_close(targets(-0.5), (task.lower + 0.5 * half).repeat(3, 1))
    monkeypatch.setitem(cfg, "actionsMovingAverage", 0.25)
    torch.testing.assert_close(targets(0.5), (task.lower + 0.75 * half).repeat(3, 1))  # a quarter of the way from there
    monkeypatch.setitem(cfg, "useRelativeControl", True)
    monkeypatch.setitem(cfg, "dofSpeedScale", 6.0)
    torch.testing.assert_close(targets(0.1), (task.lower + 0.75 * half + 0.01).repeat(3, 1))
    torch.testing.assert_close(targets(-100.0), task.lower.repeat(3, 1))
    (term,) = task.action_terms()
    assert (term.scale, term.cumulative, term.from_joints) == (0.1, True, True)
    monkeypatch.setitem(cfg, "useRelativeControl", False)
    (term,) = task.action_terms()
    assert (term.share, term.from_joints, term.scale) == (0.25, True, tuple(half.tolist()))


def test_enough_goals_end_an_episode_and_each_gives_time_again(hands):
    env = hands("AllegroHand", "task.env.maxConsecutiveSuccesses=2", "task.env.fallPenalty=-50.0")
    task = env.task
    show(env, angle=0.0)
    assert task.progress_buf.tolist() == [0, 0, 0] and not task.reset_buf.any()
    task.successes.fill_(1.0)
    task.post_physics_step()
    assert task.reset_buf.all() and not task.time_out_buf.any()
    assert task.extras["episode"]["successes"] == 2.0
    missed = show(env, angle=1.0).clone()
    task.progress_buf.fill_(598)
    task.post_physics_step()
    torch.testing.assert_close(task.rew_buf, missed - 25.0)
    assert task.time_out_buf.all()


def test_consecutive_successes_move_by_a_tenth_of_the_way_to_the_mean_of_what_ends(one):
    task = one.task
    average = task.consecutive_successes
    average.value.fill_(1.0)
    average.update(torch.tensor([True, False, True]), torch.tensor([4.0, 100.0, 2.0]))
    assert average.value.item() == pytest.approx(0.9 * 1.0 + 0.1 * 3.0)
    average.update(torch.tensor([False, False, False]), torch.tensor([4.0, 100.0, 2.0]))
    assert average.value.item() == pytest.approx(1.2)


@pytest.mark.parametrize("task", HANDS)
def test_cube_goal_and_successes_are_part_of_a_checkpoint(hands, task):
    env = hands(task)
    task = env.task
    for _ in range(3):
        env.step(torch.zeros(3, env.num_actions))
    task.successes.fill_(7.0)
    task.consecutive_successes.value.fill_(5.0)
    saved = env.get_env_state()
    kept = {name: tensor.clone() for name, tensor in saved["views"]["objects"].items()}
    goals = task.goal_rotation.clone()
    for _ in range(5):
        env.step(torch.ones(3, env.num_actions))
    task.reset_idx(torch.arange(3))
    task.consecutive_successes.value.zero_()
    env.set_env_state(saved)
    now = env.engine.get_motion()["objects"]
    for name, tensor in kept.items():
        torch.testing.assert_close(now[name], tensor)
    torch.testing.assert_close(task.goal_rotation, goals)
    assert task.successes.tolist() == [7.0] * 3 and task.consecutive_successes.value == 5.0


def test_fingers_hold_a_cube_and_feel_it(hands):
    """Gravity pulls at the cube and not at the hand: with fingers bent the cube lies in the palm after a second."""
    env = hands("AllegroHand", "task.env.resetPositionNoise=0.0")
    task = env.task
    height = task.robot.frame_poses("palm_link")[0][:, 2].clone()
    task.objects.set_world_poses(task.object_start + task._env_pos, torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(3, 1))
    task.objects.set_velocities(torch.zeros(3, 6))
    for _ in range(30):
        env.step(torch.zeros(3, 16))
    assert (task.object_position[:, 2] > 0.45).all()
    assert (task.object_position[:, 2] < 0.58).all()
    torch.testing.assert_close(task.robot.frame_poses("palm_link")[0][:, 2], height)
    assert task.robot.get_joint_velocities().abs().max() < 2.0


def test_the_goal_looks_as_the_cube_does_and_has_nothing_of_its_physics(one):
    stage = one.engine.stage
    roots = (stage.GetPrimAtPath(f"/World/envs/env_0/{name}") for name in ("Goal", "Object"))
    goal, cube = (list(Usd.PrimRange(root)) for root in roots)
    assert [part.GetName() for part in goal[1:]] == [part.GetName() for part in cube[1:]]
    assert sum(part.HasAPI(UsdPhysics.CollisionAPI) for part in cube) == 1, "painted faces touch nothing"
    for part in goal:
        assert not any("Phys" in schema for schema in part.GetAppliedSchemas())
    shapes = robot_shapes(stage, ["Goal", "Object"])
    seen = [{shape.colour for shape in shapes if shape.link == link} for link in ("Goal", "Object")]
    assert seen[0] == seen[1] and len(seen[0]) == 7


@pytest.fixture(scope="module")
def several():
    """Return an AllegroHand with three kinds of objects in turn, in two scenes."""
    settings = ["task=AllegroHand", "num_envs=7", "engine.shards=2", "sim_device=cpu"]
    env = make_env(load_config([*settings, "task.env.objectType=[block,egg,pen]"]))
    env.reset()
    yield env
    env.close()


# kg: 70.87 g, and 1000 kg/m^3 of an ellipsoid and of a capsule.
MASSES = (0.07087, 4 / 3 * math.pi * 0.03**2 * 0.04 * 1e3, math.pi * 0.008**2 * (0.2 + 4 / 3 * 0.008) * 1e3)


def test_environments_have_objects_of_several_kinds_in_turn(several):
    objects, shapes = several.task.objects, "RIGID_BODY_SHAPE_FRICTION_AND_RESTITUTION"
    assert len(several.engine.shards) == 2
    assert objects.get_masses().flatten().tolist() == pytest.approx([MASSES[env % 3] for env in range(7)])
    moments = objects.get_inertias().view(7, 3, 3).diagonal(dim1=1, dim2=2)
    for env in range(7):
        side, end = (MASSES[0] * 0.05**2 / 6,) * 2 if env % 3 == 0 else (MASSES[1] * (0.03**2 + 0.04**2) / 5, 0.0)
        if env % 3 == 1:
            end = MASSES[1] * 2 * 0.03**2 / 5
        if env % 3 == 2:  # cylinder and half balls, these about the pen's axis
            cylinder = math.pi * 0.008**2 * 0.2 * 1e3
            side, end = 1.5747e-4, cylinder * 0.008**2 / 2 + (MASSES[2] - cylinder) * 0.4 * 0.008**2
        assert moments[env].tolist() == pytest.approx([side, side, end], rel=2e-3)
    colliders = (several.engine.read_property(objects, shapes)[..., 0] > 0).sum(dim=-1)
    assert colliders.tolist() == [1, 5, 1] * 2 + [1]


def test_objects_of_several_kinds_lie_in_the_palm_and_are_kept(several):
    task, level = several.task, torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(7, 1)
    place = task.object_start + task._env_pos
    task.objects.set_world_poses(place, level)
    task.objects.set_velocities(torch.zeros(7, 6))
    start, _ = task.objects.get_world_poses()
    torch.testing.assert_close(start, place)
    for _ in range(5):
        several.step(torch.zeros(7, 16))
    saved = several.get_env_state()
    kept = {name: tensor.clone() for name, tensor in saved["views"]["objects"].items()}
    fallen = task.object_position[:, 2].clone()
    assert (fallen < 0.56 - 1e-3).all(), "each is a body that falls"
    for _ in range(5):
        several.step(torch.ones(7, 16))
    several.set_env_state(saved)
    for name, tensor in kept.items():
        torch.testing.assert_close(several.engine.get_motion()["objects"][name], tensor)


def test_pens_start_along_the_fingers_and_others_in_any_way(several):
    task, chance = several.task, torch.rand(7, 2) * 2.0 - 1.0
    turns = task._start_rotations(chance, task.lies)
    axis = quat_rotate(turns, torch.tensor([0.0, 0.0, 1.0]).repeat(7, 1))
    assert task.lies.tolist() == [False, False, True] * 2 + [False]
    # z, turned by 90 degrees and up to 0.3 rad about x
    tilt = 0.3 * chance[task.lies, 0]
    expected = torch.stack((torch.zeros(2), -tilt.cos(), -tilt.sin()), dim=-1)
    torch.testing.assert_close(axis[task.lies], expected)
    torch.testing.assert_close(turns[~task.lies], task._turned(*chance[~task.lies].unbind(-1)))


@pytest.mark.parametrize("given", ["ball", "[egg,ball]", "5"])
def test_unknown_objects_are_refused(env_of, given):
    with pytest.raises(
        MyriadError, match=r"task.env.objectType=.* is invalid: choose one or more of block, egg, pen\."
    ):
        env_of("task=ShadowHand", "num_envs=1", f"task.env.objectType={given}")


@pytest.mark.parametrize(("kind", "parts"), [("egg", 6), ("pen", 3)])
def test_an_egg_and_a_pen_are_turned_towards_a_goal_like_them(env_of, kind, parts):
    task = env_of("task=ShadowHand", "num_envs=1", f"task.env.objectType={kind}").task
    shapes = robot_shapes(task.world.stage, ["Goal", "Object"])
    seen = [[(s.kind, s.size, s.colour) for s in shapes if s.link == link] for link in ("Goal", "Object")]
    assert seen[0] == seen[1] and len(seen[0]) == parts


def test_fingers_have_the_friction_that_the_yaml_says(one):
    """PhysX would give shapes without a material 0.5."""
    stage = one.engine.stage
    palm = stage.GetPrimAtPath("/World/envs/env_0/Robot/palm_link/collisions/box")
    bound = UsdShade.MaterialBindingAPI(palm).ComputeBoundMaterial("physics")[0]
    assert UsdPhysics.MaterialAPI(bound).GetDynamicFrictionAttr().Get() == 1.0


def test_openais_hand_sees_little_and_its_critic_all_while_much_changes(env_of):
    env = env_of("task=ShadowHandOpenAI_FF", "num_envs=4", "engine.shards=1")
    task, seen = env.task, env.reset()
    assert (task.name, type(task).__name__, task.max_episode_length) == ("ShadowHandOpenAI_FF", "ShadowHand", 160)
    assert env.engine.physics_dt * task.control_frequency_inv == pytest.approx(0.05)
    assert (seen["obs"].shape, seen["states"].shape) == ((4, 42), (4, 187))
    assert 0 < (seen["obs"][:, :15] - seen["states"][:, 72:87]).abs().max() < 0.02, "the critic sees without noise"
    stiffness = task.robot.get_gains()[0][:, task.actuated]
    sizes = task.scales["objects"]
    assert sizes.unique().numel() == stiffness[:, 0].unique().numel() == 4
    assert ((sizes >= 0.95) & (sizes <= 1.05)).all()
    middle, joints = 0.5 * (task.lower + task.upper), task.joint_targets.clone()
    task.apply_actions(torch.zeros(4, 20))
    wanted = 0.3 * middle + 0.7 * joints
    torch.testing.assert_close(task.joint_targets[:, task.actuated], wanted[:, task.actuated])


def test_openais_hand_learns_with_a_memory_and_a_critic_of_its_own(tmp_path):
    small = ["params.network.rnn.units=16", "params.config.central_value_config.network.rnn.units=16"]
    settings = ["task=ShadowHandOpenAI_LSTM", "num_envs=4", "max_iterations=2", "experiment=it", "sim_device=cpu"]
    settings += [f"train_dir={tmp_path}", *(f"train.{each}" for each in small), "engine.shards=1"]
    train(load_config(settings))
    state = checkpoint.load(tmp_path / "it" / "checkpoints" / "last.pth")
    critic = state["assymetric_vf_nets"]
    assert any("running_mean_std.running_mean" in name and len(value) == 187 for name, value in critic.items())
    assert any("rnn" in name for name in critic)
