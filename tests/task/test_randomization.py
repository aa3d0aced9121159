# SPDX-License-Identifier: Apache-2.0
"""Domain randomization: every attribute read back from PhysX, noise beside what it is added to, mistakes by name."""

import math

import pytest
import torch

from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
from omni.myriad.errors import MyriadError
from omni.myriad.task.randomization import AddedNoise, Distribution, Rule

N = 8


def drawn(low, high, operation="scaling", distribution="uniform", **more):
    return {"operation": operation, "distribution": distribution, "distribution_parameters": [low, high], **more}


@pytest.fixture
def env_with():
    """Build an environment of a task with randomization; closes them all."""
    envs = []

    def build(task, params, *overrides):
        config = load_config(["sim_device=cpu", f"task={task}", f"num_envs={N}", *overrides])
        config["task"]["domain_randomization"] = {"randomize": True, "randomization_params": params}
        envs.append(make_env(config))
        return envs[-1]

    yield build
    for env in envs:
        env.close()


def step(env, ended=()):
    env.task.reset_buf.zero_()
    env.task.reset_buf[list(ended)] = 1
    return env.step(torch.zeros(N, env.num_actions))[0]["obs"]


READ = {
    "stiffness": lambda robots: robots.get_gains()[0],
    "damping": lambda robots: robots.get_gains()[1],
    "joint_armatures": lambda robots: robots.get_armatures(),
    "max_efforts": lambda robots: robots.get_max_efforts(),
    "joint_max_velocities": lambda robots: robots.get_joint_max_velocities(),
    "joint_friction": lambda robots: robots.get_friction_coefficients(),
    "body_masses": lambda robots: robots.get_body_masses(),
    "lower_dof_limits": lambda robots: robots.get_dof_limits()[..., 0],
    "upper_dof_limits": lambda robots: robots.get_dof_limits()[..., 1],
    "material_properties": lambda robots: robots._read("ARTICULATION_SHAPE_FRICTION_AND_RESTITUTION", None, None, True),
}
"""What views themselves say."""


@pytest.mark.parametrize("name", READ)
def test_what_robots_are_like_is_drawn_where_they_start_again(env_with, name):
    low, high = {"lower_dof_limits": (-0.2, -0.1), "upper_dof_limits": (0.1, 0.2)}.get(name, (0.5, 0.9))
    if name == "material_properties":
        rule = drawn(low, high, "direct", num_buckets=3)
    else:
        rule = drawn(low, high, "additive" if "limits" in name else "direct")
    before = READ[name](make_plain(env_with).task.robots).clone()
    env = env_with("Ant", {"articulation_views": {"ant_view": {name: {"on_reset": rule}}}})
    robots, read = env.task.robots, READ[name]
    step(env)
    torch.testing.assert_close(read(robots), before, msg="nobody has started again")
    step(env, [1, 4])
    now = read(robots)
    changed = (now != before).flatten(1).any(-1)
    assert changed.nonzero().squeeze(-1).tolist() == [1, 4]
    offset = (now - before if "limits" in name else now)[[1, 4]]
    assert (offset >= low - 1e-5).all() and (offset <= high + 1e-5).all()
    assert not torch.equal(now[1], now[4])
    if name == "material_properties":
        assert len(now[[1, 4]].reshape(-1, *now.shape[1:]).unique(dim=0)) <= 3
    step(env, [1])
    again = read(robots)
    assert not torch.equal(again[1], now[1]) and torch.equal(again[4], now[4])


def make_plain(env_with):
    return env_with("Ant", {})


def test_scaling_starts_from_what_the_file_says_each_time(env_with):
    heavier = {"on_reset": drawn(2.0, 2.0), "on_startup": drawn(1.5, 1.5)}
    plain = make_plain(env_with).task.robots.get_body_masses()
    env = env_with("Ant", {"articulation_views": {"ant_view": {"body_masses": heavier}}})
    torch.testing.assert_close(env.task.robots.get_body_masses(), 1.5 * plain)
    for _ in range(3):
        step(env, range(N))
        torch.testing.assert_close(env.task.robots.get_body_masses(), 3.0 * plain)


def test_an_interval_goes_onto_the_last_reset(env_with):
    masses = {"on_reset": drawn(2.0, 2.0), "on_interval": drawn(0.25, 0.25, "additive", frequency_interval=3)}
    plain = make_plain(env_with).task.robots.get_body_masses()
    env = env_with("Ant", {"articulation_views": {"ant_view": {"body_masses": masses}}})
    step(env, range(N))
    seen = []
    for _ in range(6):
        step(env)
        seen.append((env.task.robots.get_body_masses() - 2.0 * plain)[0, 0].item())
    assert seen == pytest.approx([0.0, 0.0, 0.25, 0.25, 0.25, 0.25], abs=1e-5)


def test_a_push_changes_how_a_robot_moves(env_with):
    push = {"on_interval": drawn([5.0, 0, 0, 0, 0, 0], [5.0, 0, 0, 0, 0, 0], "additive", frequency_interval=4)}
    env = env_with("Ant", {"articulation_views": {"ant_view": {"velocity": push}}})
    step(env, range(N))
    before = []
    for _ in range(4):
        before.append(env.task.robots.get_velocities()[:, 0].mean().item())
        step(env)
    assert max(map(abs, before)) < 1.0 < 2.5 < env.task.robots.get_velocities()[:, 0].mean().item()


def test_bodies_are_drawn_as_robots_are(env_with):
    ball = {
        "mass": {"on_reset": drawn(1.0, 2.0)},
        "material_properties": {"on_reset": drawn([0.5, 0.25, 0.1], [0.5, 0.25, 0.1], "direct")},
    }
    env = env_with("BallBalance", {"rigid_prim_views": {"ball_view": ball}})
    plain = env.task.balls.get_masses().clone()
    step(env, [0, 7])
    scale = (env.task.balls.get_masses() / plain).flatten()
    assert (scale[1:7] == 1.0).all() and scale[0] != scale[7]
    assert ((scale[[0, 7]] > 1.0) & (scale[[0, 7]] <= 2.0)).all()
    material = env.task.balls._read("RIGID_BODY_SHAPE_FRICTION_AND_RESTITUTION", None, None, True)
    torch.testing.assert_close(material[[0, 7]].view(2, -1), torch.tensor([[0.5, 0.25, 0.1]]).repeat(2, 1))


@pytest.mark.parametrize(
    ("kind", "parameters", "least", "most", "mean"),
    [
        ("uniform", (1.0, 3.0), 1.0, 3.0, 2.0),
        ("log_uniform", (0.5, 2.0), 0.5, 2.0, 1.5 / math.log(4.0)),
        ("normal", (2.0, 0.1), 1.0, 3.0, 2.0),
    ],
)
def test_distributions(kind, parameters, least, most, mean):
    samples = Distribution(kind, *parameters).draw(20000, torch.device("cpu"), 2)
    assert samples.shape == (20000, 2) and samples.min() >= least and samples.max() <= most
    assert samples.mean().item() == pytest.approx(mean, abs=0.01)
    noise = AddedNoise({"on_reset": Rule("direct", Distribution(kind, *parameters))}, (20000, 2), torch.device("cpu"))
    values = noise(torch.zeros(20000, 2), torch.ones(20000))
    assert values.min() >= least and values.max() <= most and values.mean().item() == pytest.approx(mean, abs=0.01)


def test_noise_lasts_an_episode_or_comes_and_goes():
    rules = {
        "on_reset": Rule("additive", Distribution("uniform", 1.0, 2.0)),
        "on_interval": Rule("scaling", Distribution("uniform", 10.0, 20.0), interval=2),
    }
    noise = AddedNoise(rules, (2, 3), torch.device("cpu"))
    zeros, none, first = torch.zeros(2, 3), torch.zeros(2), torch.tensor([1, 0])
    noise(zeros, torch.ones(2))
    second = noise(zeros, none)  # the second step: due
    third = noise(zeros, none)
    assert (third >= 1.0).all() and (third <= 2.0).all()
    assert ((second / third >= 10.0) & (second / third <= 20.0)).all()
    begun = noise(zeros, first)  # the first begins again, in the second it is due
    assert (begun[0] <= 2.0).all() and (begun[0] != third[0]).all() and (begun[1] >= 10.0).all()
    assert not zeros.any(), "it is added to a copy"


def test_observations_and_actions_get_noise(env_with):
    offset = {"on_reset": drawn(3.0, 3.0, "additive")}
    plain, noisy = make_plain(env_with), env_with("Ant", {"observations": offset, "actions": offset})
    for env in (plain, noisy):
        env.task.task_config["env"]["resetPositionNoise"] = env.task.task_config["env"]["resetVelocityNoise"] = 0.0
    still, seen = step(plain, range(N)), step(noisy, range(N))
    assert (noisy.task.actions == 1.0).all() and not plain.task.actions.any(), "clipped once noise is in"
    clean = noisy.task.obs_buf
    torch.testing.assert_close(seen, clean + 3.0)
    torch.testing.assert_close(still, plain.task.obs_buf)


def test_it_is_off_unless_it_is_asked_for():
    config = load_config(["sim_device=cpu", "task=Ant", "num_envs=2"])
    config["task"]["domain_randomization"] = {"randomize": False, "randomization_params": {"simulation": {}}}
    env = make_env(config)
    env.close()
    assert env.task.randomizer is None


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"simulation": {"gravity": {}}},
            r"simulation is not supported \(PhysX takes gravity once\); what is: actions, ",
        ),
        ({"articulation_views": {"ants": {}}}, "articulation_views.ants is not supported; what is: ant_view."),
        (
            {"articulation_views": {"ant_view": {"scale": {}}}},
            "ant_view.scale is not supported; what is: body_masses, ",
        ),
        ({"articulation_views": {"ant_view": {"damping": {"on_time": {}}}}}, "damping.on_time is not supported; what"),
        (
            {"articulation_views": {"ant_view": {"damping": {"on_interval": drawn(1, 2)}}}},
            "say its frequency_interval.",
        ),
        ({"articulation_views": {"ant_view": {"tendon_dampings": {"on_reset": drawn(1, 2)}}}}, "has no tendons."),
        ({"observations": {"on_startup": drawn(0, 1)}}, "observations.on_startup is not supported"),
        ({"observations": {"on_reset": drawn(0, 1, "twice")}}, "operation=twice is not supported; what is: additive, "),
        ({"observations": {"on_reset": drawn(0, 1, distribution="beta")}}, "distribution=beta is not supported"),
        ({"observations": {"on_reset": drawn(0, 1, schedule=1)}}, "on_reset.schedule is not supported"),
        ({"actions": {"on_reset": drawn([1, 2, 3], [1, 2, 3])}}, "must be two numbers"),
        ({"actions": {"on_reset": drawn(0, 1, distribution="loguniform")}}, "must be two numbers, or above 0"),
    ],
)
def test_a_mistake_is_named(env_with, params, message):
    with pytest.raises(MyriadError, match=message):
        env_with("Ant", params)
