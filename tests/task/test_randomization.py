# SPDX-License-Identifier: Apache-2.0
"""Domain randomization: every attribute read back from PhysX, noise beside what it is added to, mistakes by name."""

import itertools
import math

import numpy as np
import pytest
import torch

from omni.myriad.app.config import load_config
from omni.myriad.app.runs import make_env
from omni.myriad.errors import MyriadError
from omni.myriad.maths import quat_mul
from omni.myriad.task import properties
from omni.myriad.task.imperfect import Delay, Sensors
from omni.myriad.task.randomization import AddedNoise, Distribution, Randomizer, Rule
from omni.myriad.task.terms import ObservationTerm

N = 8


def drawn(low, high, operation="scaling", distribution="uniform", **more):
    return {"operation": operation, "distribution": distribution, "distribution_parameters": [low, high], **more}


@pytest.fixture
def env_with():
    """Build an environment of a task with randomization; closes them all."""
    envs = []

    def build(task, params, *overrides, num_envs=N, **settings):
        config = load_config(["sim_device=cpu", f"task={task}", f"num_envs={num_envs}", *overrides])
        config["task"]["domain_randomization"] = {"randomize": True, "randomization_params": params, **settings}
        envs.append(make_env(config))
        return envs[-1]

    yield build
    for env in envs:
        env.close()


def step(env, ended=()):
    env.task.reset_buf.zero_()
    env.task.reset_buf[list(ended)] = 1
    return env.step(torch.zeros(env.num_envs, env.num_actions))[0]["obs"]


READ = {
    "stiffness": lambda robots: robots.get_gains()[0],
    "damping": lambda robots: robots.get_gains()[1],
    "joint_armatures": lambda robots: robots.get_armatures(),
    "max_efforts": lambda robots: robots.get_max_efforts(),
    "joint_max_velocities": lambda robots: robots.get_joint_max_velocities(),
    "joint_friction": lambda robots: robots.get_friction_coefficients(),
    "body_masses": lambda robots: robots.get_body_masses(),
    "body_inertias": lambda robots: robots.get_body_inertias(),
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
    elif name == "body_inertias":
        rule = drawn(low, high, "scaling")
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
    offset = now - before if "limits" in name else now
    if name == "body_inertias":
        offset = torch.where(before == 0.0, low, now / before)
    offset = offset[[1, 4]]
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


def test_a_payload_comes_on_top_and_density_changes_mass_and_inertia_alike(env_with):
    masses = {"on_reset": drawn(2.0, 2.0)}
    payload = {"names": ["torso"], "on_reset": drawn(0.5, 1.5, "additive")}
    plain = make_plain(env_with).task.robots
    start, inertias, torso = plain.get_body_masses(), plain.get_body_inertias(), plain.body_names.index("torso")
    env = env_with("Ant", {"articulation_views": {"ant_view": {"payload": payload, "body_masses": masses}}})
    for _ in range(2):  # from the same start each time
        step(env, range(N))
        added = env.task.robots.get_body_masses() - 2.0 * start
        assert ((added[:, torso] >= 0.5) & (added[:, torso] <= 1.5)).all() and len(added[:, torso].unique()) == N
        added[:, torso] = 0.0
        torch.testing.assert_close(added, torch.zeros_like(added), atol=1e-5, rtol=0.0)
    env = env_with("Ant", {"articulation_views": {"ant_view": {"density": {"on_reset": drawn(0.5, 2.0)}}}})
    step(env, range(N))
    scale = env.task.robots.get_body_masses() / start
    assert len(scale.unique()) == scale.numel() and scale.min() >= 0.5 and scale.max() <= 2.0
    torch.testing.assert_close(env.task.robots.get_body_inertias(), scale.unsqueeze(-1) * inertias)


def test_the_strength_of_motors_scales_all_of_a_drive(env_with):
    ((name, robots),) = env_with("BallBalance", {}).engine.robots().items()
    before = [*robots.get_gains(), robots.get_max_efforts()]
    env = env_with("BallBalance", {"articulation_views": {name: {"motor_strength": {"on_reset": drawn(0.5, 2.0)}}}})
    step(env, [2, 5])
    robots = env.engine.robots()[name]
    factors = env.task.randomizer.sampled[f"{name}.motor_strength"]
    assert (factors[[0, 1, 3, 4, 6, 7]] == 1.0).all() and len(factors[[2, 5]].unique()) == factors[[2, 5]].numel()
    for start, now in zip(before, [*robots.get_gains(), robots.get_max_efforts()], strict=True):
        finite = start < 1e30
        torch.testing.assert_close(now[finite], (factors * start)[finite])
    assert (before[0] > 0.0).any()


def test_resets_are_gathered_and_nobody_is_drawn_too_often(env_with):
    masses = {"articulation_views": {"ant_view": {"body_masses": {"on_reset": drawn(0.5, 2.0)}}}}
    env = env_with("Ant", masses, batch=3, min_frequency=4)
    seen = [env.task.robots.get_body_masses()[:, 0].clone()]
    for ended in ([1], [2], [], [1, 2], [], [1], [], [1], []):  # steps 1 to 9
        step(env, ended)
        seen.append(env.task.robots.get_body_masses()[:, 0].clone())
    changed = [(now != before).nonzero().flatten().tolist() for before, now in itertools.pairwise(seen)]
    # In step 3 for those of 1 and 2; in 4 and 6 it is too early for the first, in 8 no more.
    assert changed == [[], [], [1, 2], [], [], [], [], [], [1]]


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


def test_densities_are_drawn_as_such_where_they_are_authored(env_with):
    direct = {"rigid_prim_views": {"ball_view": {"density": {"on_startup": drawn(500.0, 1000.0, "direct")}}}}
    with pytest.raises(MyriadError, match=r"ball_view.density: no density is authored for ball_view: use operation"):
        env_with("BallBalance", direct, "task.sim.Ball.density=-1")
    plain = env_with("BallBalance", {}, "task.sim.Ball.density=200.0").task.balls
    masses, inertias = plain.get_masses(), plain.get_inertias()
    env = env_with("BallBalance", direct, "task.sim.Ball.density=200.0")
    densities = env.task.randomizer.sampled["ball_view.density"]
    assert len(densities.unique()) == N and densities.min() >= 500.0 and densities.max() <= 1000.0
    torch.testing.assert_close(env.task.balls.get_masses().view(N, 1), masses.view(N, 1) * densities / 200.0)
    torch.testing.assert_close(env.task.balls.get_inertias(), inertias * densities / 200.0)


def test_a_force_acts_on_a_body_for_one_step_of_physics(env_with):
    force = {"on_interval": drawn([0, 0, 3.0], [0, 0, 3.0], "direct", frequency_interval=2)}
    env = env_with("BallBalance", {"rigid_prim_views": {"ball_view": {"force": force}}})
    balls, dt = env.task.balls, env.engine.physics_dt
    speeds = []
    for _ in range(3):
        step(env, range(N) if not speeds else ())
        speeds.append(balls.get_velocities()[:, 2].clone())
    fallen, both = speeds[1] - speeds[0], speeds[2] - speeds[1]  # before the ball touches anything
    torch.testing.assert_close(both - fallen, 3.0 * dt / balls.get_masses().flatten(), rtol=1e-3, atol=1e-4)


def test_schedules_grow_or_begin(env_with):
    masses = {"on_interval": drawn(3.0, 3.0, frequency_interval=1, schedule="linear", schedule_steps=4)}
    env = env_with("Ant", {"articulation_views": {"ant_view": {"body_masses": masses}}})
    initial = env.task.robots.get_body_masses().clone()
    step(env, range(N))
    seen = []
    for _ in range(5):
        step(env)
        seen.append((env.task.robots.get_body_masses() / initial)[0, 0].item())
    assert seen == pytest.approx([2.0, 2.5, 3.0, 3.0, 3.0], rel=1e-5)  # 1 + 2 n / 4 after n steps, the first a reset
    # A resume goes on where the schedule was.
    state = env.task.randomizer.get_state()
    assert state["schedule.steps"].item() == 6.0
    state["schedule.steps"].fill_(1.0)
    env.task.randomizer.set_state(state)
    step(env)
    assert (env.task.robots.get_body_masses() / initial)[0, 0].item() == pytest.approx(2.0, rel=1e-5)


def test_schedules_by_hand():
    added = Rule("additive", Distribution("uniform", 2.0, 2.0), schedule="linear", schedule_steps=4)
    scaled = Rule("scaling", Distribution("uniform", 3.0, 3.0), interval=1, schedule="constant", schedule_steps=2)
    steps, began = torch.zeros(()), torch.ones(1)
    noises = [AddedNoise({"on_reset": added}, (1, 1), torch.device("cpu"), steps)]
    noises.append(AddedNoise({"on_interval": scaled}, (1, 1), torch.device("cpu"), steps))
    seen = []
    for _ in range(5):
        steps += 1
        seen.append([noise(torch.ones(1, 1), began).item() for noise in noises])
    assert seen == [[1.5, 1.0], [2.0, 3.0], [2.5, 3.0], [3.0, 3.0], [3.0, 3.0]]


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


def test_latency_is_that_of_actions_and_observations(env_with):
    """An action of now and one of before, by the fraction; what is observed is what was, between two steps."""
    settings = ("task.env.resetPositionNoise=0", "task.env.resetVelocityNoise=0")
    late = env_with("Ant", {"latency": {"actions": [0.25, 0.25]}}, *settings)
    plain, seen = (env_with("Ant", params, *settings) for params in ({}, {"latency": {"observations": [1.5, 1.5]}}))
    step(late, range(N))
    step(plain, range(N))
    before = torch.zeros(N, 8)
    for _ in range(3):
        actions = 2.0 * torch.rand(N, 8) - 1.0
        late.step(actions)
        torch.testing.assert_close(late.task.actions, 0.75 * actions + 0.25 * before)
        before = actions
    clean, delayed = [step(plain, range(N)).clone()], [step(seen, range(N)).clone()]
    for _ in range(4):
        clean.append(step(plain).clone())
        delayed.append(step(seen).clone())
    torch.testing.assert_close(delayed[0], clean[0])
    torch.testing.assert_close(delayed[1], clean[0])
    for k in (2, 3, 4):
        torch.testing.assert_close(delayed[k], 0.5 * (clean[k - 1] + clean[k - 2]))


def test_what_is_drawn_is_seen_by_the_critic_logged_and_comes_back(env_with):
    params = {
        "latency": {"actions": [0.0, 2.0]},
        "articulation_views": {"ant_view": {"body_masses": {"on_reset": drawn(0.5, 2.0)}}},
    }
    names = ["ant_view.body_masses", "latency.actions"]
    plain = make_plain(env_with).task.robots.get_body_masses()
    env = env_with("Ant", params, observed=names, logged=names[1:])
    task, numbers = env.task, env.task.robots.num_bodies + 1
    assert env.num_states == 60 + numbers and env.state_space.shape == (60 + numbers,)
    task.reset_buf.fill_(1)
    observations, _, _, extras = env.step(torch.zeros(N, 8))
    states = observations["states"].clone()
    torch.testing.assert_close(states[:, :60], observations["obs"])
    torch.testing.assert_close(states[:, 60:-1], task.robots.get_body_masses() / plain)
    assert extras["episode"]["randomized/latency.actions"] == states[:, -1].mean() > 0.2
    kept, masses = env.get_env_state(), task.robots.get_body_masses().clone()
    step(env, range(N))
    assert not torch.equal(task.robots.get_body_masses(), masses)
    env.set_env_state(kept)
    torch.testing.assert_close(task.robots.get_body_masses(), masses)
    torch.testing.assert_close(task.randomizer.for_critic(), states[:, 60:])


def test_delays_by_hand():
    delay = Delay(1.25, 1.25, (1, 1), torch.device("cpu"), from_rest=False)
    seen = [
        delay(torch.tensor([[value]]), torch.tensor([value in (8.0, 1.0)])).item() for value in (8.0, 4.0, 2.0, 1.0)
    ]
    assert seen == [8.0, 8.0, 0.75 * 4.0 + 0.25 * 8.0, 1.0], "from its first value on"
    rest = Delay(0.0, 2.0, (1000, 1), torch.device("cpu"), from_rest=True)
    rest(torch.ones(1000, 1), torch.ones(1000, dtype=torch.bool))
    assert 0.0 <= rest.steps.min() < 0.1 and 1.9 < rest.steps.max() <= 2.0
    lasting = rest.steps.clone()
    second = rest(torch.full((1000, 1), 3.0), torch.zeros(1000, dtype=torch.bool))
    assert torch.equal(rest.steps, lasting)
    expected = torch.where(lasting < 1.0, 3.0 - 2.0 * lasting, 2.0 - lasting)  # from 3 to 1, and then to rest
    torch.testing.assert_close(second, expected)


def test_sensors_are_off_and_miss_readings():
    terms = [ObservationTerm("height", 1), ObservationTerm("speed", 2, scale=(0.5, -2.0)), ObservationTerm("other", 1)]
    settings = {"speed": {"bias": [0.2, 0.4]}, "h*": {"dropout": 0.5}}
    sensors = Sensors(settings, terms, 4000, torch.device("cpu"), "here")
    first, none = torch.ones(4000, dtype=torch.bool), torch.zeros(4000, dtype=torch.bool)
    one = sensors(torch.zeros(4000, 4), first).clone()
    assert (one[:, [0, 3]] == 0.0).all()
    assert one[:, 1].min() >= 0.1 and one[:, 1].max() <= 0.2 and one[:, 2].min() >= -0.8 and one[:, 2].max() <= -0.4
    two = sensors(torch.ones(4000, 4), none).clone()
    torch.testing.assert_close(two[:, 1:] - 1.0, one[:, 1:], msg="the bias lasts")
    assert set(two[:, 0].tolist()) == {0.0, 1.0} and two[:, 0].mean().item() == pytest.approx(0.5, abs=0.05)
    three = sensors(torch.full((4000, 4), 2.0), none)
    assert torch.equal(three[:, 0][three[:, 0] < 2.0], two[:, 0][three[:, 0] < 2.0]), "what was read last"
    four = sensors(torch.zeros(4000, 4), first)
    assert not four[:, 0].any() and not torch.equal(four[:, 1], one[:, 1])


ALL = {
    "body_masses": drawn(0.5, 0.9),
    "body_inertias": drawn(0.5, 0.9),
    "material_properties": drawn([0.4, 0.4, 0.0], [0.6, 0.6, 0.0], "direct"),
    "joint_armatures": drawn(0.5, 0.9, "direct"),
    "joint_friction": drawn(0.5, 0.9, "direct"),
    "lower_dof_limits": drawn(-0.2, -0.1, "additive"),
    "upper_dof_limits": drawn(0.1, 0.2, "additive"),
    "damping": drawn(0.5, 0.9, "direct"),
}


def solved(env):
    """Return what MuJoCo, or MuJoCo Warp in Newton, steps with: a row for each environment."""
    if env.engine.name == "newton":
        import warp as wp

        model = env.engine.solver.mjw_model
        arrays = {name: wp.to_torch(getattr(model, name)).clone() for name in SOLVED}
    else:
        arrays = {name: torch.from_numpy(getattr(env.engine.model, name).copy())[None].float() for name in SOLVED}
    return {
        "body_masses": arrays["body_mass"][:, 1:],
        "body_inertias": arrays["body_inertia"][:, 1:].sort(-1).values,  # along whichever axes
        "material_properties": arrays["geom_friction"][..., 0],
        "joint_armatures": arrays["dof_armature"][:, 6:],
        "joint_friction": arrays["dof_frictionloss"][:, 6:],
        "lower_dof_limits": arrays["jnt_range"][:, 1:, 0],
        "upper_dof_limits": arrays["jnt_range"][:, 1:, 1],
        "damping": -arrays["actuator_biasprm"][:, -8:, 2],
    }


SOLVED = ("body_mass", "body_inertia", "geom_friction", "dof_armature", "dof_frictionloss", "jnt_range")
SOLVED += ("actuator_biasprm",)


@pytest.mark.parametrize(("engine", "num_envs", "ended"), [("newton", N, [1, 4]), ("mujoco", 1, [0])])
def test_other_engines_draw_the_same(env_with, engine, num_envs, ended):
    """Read back from what the solver steps, world by world."""
    params = {"articulation_views": {"ant_view": {name: {"on_reset": rule} for name, rule in ALL.items()}}}
    params["simulation"] = {"gravity": {"on_reset": drawn([0, 0, 1.0], [0, 0, 1.0], "additive")}}
    env = env_with("Ant", params, f"engine={engine}", num_envs=num_envs)
    step(env)
    before, model = solved(env), env.engine.solver.mjw_model if engine == "newton" else env.engine.model
    step(env, ended)
    now = solved(env)
    for name, rule in ALL.items():
        low, high = (part[0] if isinstance(part, list) else part for part in rule["distribution_parameters"])
        differs = now[name] != before[name]
        assert differs.flatten(1).any(-1).nonzero().squeeze(-1).tolist() == ended, name
        got = {"scaling": now[name] / before[name], "additive": now[name] - before[name], "direct": now[name]}
        got = got[rule["operation"]][differs]
        assert (got >= low - 1e-4).all() and (got <= high + 1e-4).all() and len(got.unique()) > 4, name
    # The views say what is solved.
    robots = env.task.robots
    masses = properties.read(env.engine, robots, "ARTICULATION", "body_masses").sort().values
    torch.testing.assert_close(masses, now["body_masses"].sort().values)
    gravity = torch.tensor(np.asarray(model.opt.gravity.numpy() if engine == "newton" else model.opt.gravity)).float()
    torch.testing.assert_close(gravity.view(-1, 3), torch.tensor([[0.0, 0.0, -8.81]]).expand(gravity.numel() // 3, 3))


@pytest.mark.parametrize("engine", ["newton", "mujoco"])
def test_what_an_engine_does_not_have_is_one_line(env_with, engine):
    params = {"articulation_views": {"ant_view": {"joint_max_velocities": {"on_reset": drawn(0.5, 0.9)}}}}
    with pytest.raises(MyriadError, match=rf"ant_view.joint_max_velocities: engine={engine} .*: use another engine"):
        env_with("Ant", params, f"engine={engine}", num_envs=1)
    params = {"articulation_views": {"ant_view": {"scale": {"on_startup": drawn(0.5, 0.9)}}}}
    with pytest.raises(MyriadError, match=f"ant_view.scale: engine={engine} has environments of one size: use engine="):
        env_with("Ant", params, f"engine={engine}", num_envs=1)


def acted(env, ended=()):
    """Let the task reset and act, and look before physics moves on."""
    env.task.reset_buf.zero_()
    env.task.reset_buf[list(ended)] = 1
    env._before_physics(torch.zeros(N, env.num_actions))


MOVED = {
    "position": (3, lambda robots: robots.get_world_poses()[0]),
    "velocity": (6, lambda robots: robots.get_velocities()),
    "linear_velocity": (3, lambda robots: robots.get_velocities()[:, :3]),
    "angular_velocity": (3, lambda robots: robots.get_velocities()[:, 3:]),
    "joint_positions": (8, lambda robots: robots.get_joint_positions()),
    "joint_velocities": (8, lambda robots: robots.get_joint_velocities()),
}


@pytest.fixture(scope="module")
def still():
    """Make an ant's environment without noise in its starts, whose randomizer tests replace."""
    settings = ("task.env.resetPositionNoise=0", "task.env.resetVelocityNoise=0")
    env = make_env(load_config(["sim_device=cpu", "task=Ant", f"num_envs={N}", *settings]))
    yield env
    env.close()


@pytest.mark.parametrize("name", MOVED)
def test_where_robots_begin_and_how_they_move_is_drawn_once_the_task_has_reset(still, name):
    numbers, read = MOVED[name]
    still.task.randomizer = None
    acted(still, range(N))
    plain = read(still.task.robots).clone()
    offset = drawn([0.1] * numbers, [0.2] * numbers, "additive")
    params = {"articulation_views": {"ant_view": {name: {"on_reset": offset}}}}
    still.task.randomizer = Randomizer(still.task, params, {"batch": 5})
    acted(still, [1, 4])
    moved = read(still.task.robots) - plain
    assert (moved[[1, 4]] >= 0.1 - 1e-5).all() and (moved[[1, 4]] <= 0.2 + 1e-5).all(), "at once, whatever is gathered"
    torch.testing.assert_close(moved[[0, 2, 3, 5, 6, 7]], torch.zeros(6, numbers))
    still.step(torch.zeros(N, 8))


def test_orientations_are_drawn_as_angles_about_x_y_and_z(still):
    turn = {"on_reset": drawn([0.0, 0.0, 0.5], [0.0, 0.0, 0.5], "additive")}
    still.task.randomizer = None
    acted(still, range(N))
    before = still.task.robots.get_world_poses()[1].clone()
    still.task.randomizer = Randomizer(still.task, {"articulation_views": {"ant_view": {"orientation": turn}}})
    acted(still, [3])
    now = still.task.robots.get_world_poses()[1]
    half = torch.tensor([math.cos(0.25), 0.0, 0.0, math.sin(0.25)])
    torch.testing.assert_close(now[3], quat_mul(half, before[3]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(now[:3], before[:3])


def test_efforts_come_on_top_of_what_is_commanded(still):
    efforts = {
        "on_reset": drawn(1.0, 2.0, "additive"),
        "on_interval": drawn(10.0, 10.0, "additive", frequency_interval=2),
    }
    still.task.randomizer = Randomizer(still.task, {"articulation_views": {"ant_view": {"joint_efforts": efforts}}})
    robots, seen = still.task.robots, []
    actions = torch.full((N, 8), 0.5)
    still.task.reset_buf.fill_(1)
    for _ in range(3):
        still._before_physics(actions)
        commanded = actions * still.task.torques_per_action
        seen.append(robots.get_applied_joint_efforts() - commanded)
        still.engine.step(1)
        still._after_physics()
    lasting = still.task.randomizer.sampled["ant_view.joint_efforts"]
    assert ((lasting >= 1.0) & (lasting <= 2.0)).all() and len(lasting.unique()) == lasting.numel()
    for extra, due in zip(seen, (0.0, 0.0, 10.0), strict=True):
        torch.testing.assert_close(extra, lasting + due, atol=1e-4, rtol=0.0)


def test_efforts_end_where_the_task_commands_none(env_with):
    push = {"on_interval": drawn(0.5, 0.5, "direct", frequency_interval=2)}
    ((name, _),) = env_with("BallBalance", {}).engine.robots().items()
    env = env_with("BallBalance", {"articulation_views": {name: {"joint_efforts": push}}})
    seen = []
    for k in range(4):
        acted(env, range(N) if k == 0 else ())
        seen.append(env.engine.robots()[name].get_applied_joint_efforts()[0, 0].item())
        env.engine.step(1)
        env._after_physics()
    assert seen == [0.0, 0.0, 0.5, 0.0]


def test_gravity_is_that_of_the_whole_scene(env_with):
    rules = {
        "on_startup": drawn([0, 0, 3.81], [0, 0, 3.81], "additive"),
        "on_interval": drawn([1.0, 0.0, 0.5], [1.0, 0.0, 0.5], "direct", frequency_interval=2),
    }
    env = env_with("BallBalance", {"simulation": {"gravity": rules}}, "engine.shards=2", batch=4)
    assert len(env.engine.shards) == 2
    assert env.engine.get_gravity().tolist() == pytest.approx([0.0, 0.0, -6.0])
    balls, dt = env.task.balls, env.engine.physics_dt
    speeds = []
    for k in range(3):
        before = balls.get_velocities()[:, :3].clone() if k else torch.zeros(N, 3)
        step(env, range(N) if k == 0 else ())
        if k:
            speeds.append((balls.get_velocities()[:, :3] - before) / dt)
    torch.testing.assert_close(speeds[0], torch.tensor([[1.0, 0.0, 0.5]]).expand(N, 3), atol=2e-3, rtol=0.0)
    state = env.task.randomizer.get_state()
    torch.testing.assert_close(state["simulation.gravity"], torch.tensor([[1.0, 0.0, 0.5]]).expand(N, 3))


def test_offsets_of_contacts_and_diagonals_of_inertias(env_with):
    ball = {
        "contact_offset": {"on_reset": drawn(0.03, 0.04, "direct")},
        "rest_offset": {"on_reset": drawn(0.001, 0.002, "direct")},
        "inertia": {"on_reset": drawn([1.0, 2.0, 4.0], [1.0, 2.0, 4.0])},
    }
    env = env_with("BallBalance", {"rigid_prim_views": {"ball_view": ball}})
    balls = env.task.balls
    before = balls.get_inertias().clone()
    step(env, [0, 7])
    for name, low in (("CONTACT_OFFSET", 0.03), ("REST_OFFSET", 0.001)):
        offsets = balls._read(f"RIGID_BODY_{name}", None, None, True).flatten()
        assert ((offsets[[0, 7]] >= low) & (offsets[[0, 7]] <= low + 0.01)).all() and offsets[0] != offsets[7], name
        assert len(offsets[1:7].unique()) == 1
    scale = (balls.get_inertias() / before)[:, [0, 4, 8]]
    torch.testing.assert_close(scale[[0, 7]], torch.tensor([[1.0, 2.0, 4.0]]).repeat(2, 1))
    torch.testing.assert_close(scale[1:7], torch.ones(6, 3))


def test_sizes_are_drawn_before_physics_starts(env_with):
    """A ball rests as high as its radius, and legs reach as far as the robot is large; in two scenes."""
    sized = {"scale": {"on_startup": drawn(0.5, 2.0, distribution="loguniform")}}
    env = env_with(
        "BallBalance", {"rigid_prim_views": {"ball_view": sized}}, "engine.shards=2", observed=["ball_view.scale"]
    )
    balls, scales = env.task.balls, env.task.scales["ball_view"]
    assert len(scales.unique()) == N and scales.min() >= 0.5 and scales.max() <= 2.0
    torch.testing.assert_close(env.task.randomizer.for_critic(), scales.unsqueeze(-1))
    beside = env.engine.env_positions + torch.tensor([1.2, 1.2, 0.4])
    balls.set_world_poses(beside)
    balls.set_velocities(torch.zeros(N, 6))
    env.engine.step(150)
    heights = balls.get_world_poses()[0][:, 2]
    torch.testing.assert_close(heights / scales, torch.full((N,), 0.1), atol=3e-3, rtol=0.0)
    plain = make_plain(env_with).task.robots.get_body_poses()[0][0]
    env = env_with("Ant", {"articulation_views": {"ant_view": sized}})
    reach = env.task.robots.get_body_poses()[0]
    reach = (reach - reach[:, :1]).norm(dim=-1)
    torch.testing.assert_close(reach, env.task.scales["ant_view"].unsqueeze(-1) * (plain - plain[:1]).norm(dim=-1))


def test_matrices_by_hand():
    start = torch.tensor([4.0, 2.0, 0.0, 2.0, 9.0, 0.0, 0.0, 0.0, 1.0]).repeat(1, 1, 1)
    drawn_ = torch.tensor([[[4.0, 9.0, 1.0]]])
    scaled = [16.0, 12.0, 0.0, 12.0, 81.0, 0.0, 0.0, 0.0, 1.0]
    added = [8.0, 2.0, 0.0, 2.0, 18.0, 0.0, 0.0, 0.0, 2.0]
    direct = [4.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 1.0]
    for operation, expected in (("scaling", scaled), ("additive", added), ("direct", direct)):
        assert properties.combine_matrices(operation, start, drawn_).flatten().tolist() == pytest.approx(expected)


def test_parameters_are_read_and_changed_by_where_they_stand(env_with):
    params = {
        "observations": {"on_interval": drawn(0.0, 0.0, "additive", frequency_interval=1)},
        "simulation": {"gravity": {"on_reset": drawn([0, 0, 0], [0, 0, 0.4], "additive", "gaussian")}},
        "articulation_views": {"ant_view": {"body_masses": {"on_reset": drawn(2.0, 2.0)}}},
    }
    plain = make_plain(env_with).task.robots.get_body_masses()
    env = env_with("Ant", params)
    chance, masses = env.task.randomizer, ("articulation_views", "ant_view", "body_masses", "on_reset")
    gravity = chance.get_dr_distribution_parameters("simulation", "gravity", "on_reset")
    assert gravity.tolist() == [[0, 0, 0], [0, 0, 0.4]]
    chance.set_dr_distribution_parameters([3.0, 3.0], *masses)
    chance.set_dr_distribution_parameters([0.5, 0.5], "observations", "on_interval")
    assert chance.get_dr_distribution_parameters(*masses).tolist() == [3.0, 3.0]
    assert chance.get_initial_dr_distribution_parameters(*masses).tolist() == [2.0, 2.0]
    seen = step(env, range(N)).clone()
    torch.testing.assert_close(env.task.robots.get_body_masses(), 3.0 * plain)
    torch.testing.assert_close(seen, env.task.obs_buf + 0.5)
    with pytest.raises(MyriadError, match=r"ant_view.stiffness.on_reset is not supported; what is: "):
        chance.get_dr_distribution_parameters(*masses[:2], "stiffness", "on_reset")
    with pytest.raises(MyriadError, match="must be two numbers"):
        chance.set_dr_distribution_parameters([1.0, 2.0, 3.0], *masses)


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
        ({"simulation": {"wind": {}}}, "simulation.wind is not supported; what is: gravity."),
        ({"articulation_views": {"ants": {}}}, "articulation_views.ants is not supported; what is: ant_view."),
        (
            {"articulation_views": {"ant_view": {"scale": {"on_reset": drawn(1, 2)}}}},
            "scale.on_reset is not supported; what is: on_startup.",
        ),
        (
            {"articulation_views": {"ant_view": {"scale": {"on_startup": drawn(-1, -1)}}}},
            "draws sizes that are not above 0",
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
        (
            {"observations": {"on_reset": drawn(0, 1, schedule="slow")}},
            "schedule=slow is not supported; what is: const",
        ),
        ({"observations": {"on_reset": drawn(0, 1, schedule="linear")}}, "schedule_steps=0 is invalid: it must be a"),
        ({"actions": {"on_reset": drawn(0, 1, "direct", schedule="linear")}}, "not supported with operation=direct"),
        ({"observations": {"on_reset": drawn(0, 1, pace=1)}}, "on_reset.pace is not supported"),
        ({"actions": {"on_reset": drawn([1, 2, 3], [1, 2, 3])}}, "must be two numbers"),
        ({"latency": {"states": [0, 1]}}, "latency.states is not supported; what is: actions, observations."),
        ({"latency": {"actions": [-1, 1]}}, r"latency.actions=\[-1, 1\] is invalid: it must be a range, from 0 on"),
        ({"sensors": {"heights": {}}}, "sensors.heights matches no term that is observed; they are: root_height, "),
        ({"sensors": {"root_height": {"dropout": 1.0}}}, "dropout=1.0 is invalid: it is a chance"),
        ({"sensors": {"root_height": {"drift": 1.0}}}, "root_height.drift is not supported; what is: bias, dropout."),
        (
            {"articulation_views": {"ant_view": {"payload": {"names": "arm", "on_reset": drawn(0, 1, "additive")}}}},
            r"payload.names=\['arm'\] matches none of: torso, ",
        ),
        (
            {"articulation_views": {"ant_view": {"payload": {"on_reset": drawn(0, 1)}}}},
            "payload.on_reset.operation=scaling is invalid: payload is additive.",
        ),
        (
            {"articulation_views": {"ant_view": {n: {"on_reset": drawn(1, 2)} for n in ("density", "body_masses")}}},
            "density changes body_masses, which is drawn by itself: leave one of them out.",
        ),
        ({"actions": {"on_reset": drawn(0, 1, distribution="loguniform")}}, "must be two numbers, or above 0"),
    ],
)
def test_a_mistake_is_named(env_with, params, message):
    with pytest.raises(MyriadError, match=message):
        env_with("Ant", params)
