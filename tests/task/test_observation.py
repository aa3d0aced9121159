# SPDX-License-Identifier: Apache-2.0
"""Observations are filled from their terms: computed by hand, and on real physics with a picture beside the numbers."""

import pytest
import torch
from gymnasium import spaces

from omni.myriad.errors import MyriadError
from omni.myriad.policy.description import describe_space, describe_task, rebuild_space
from omni.myriad.task.observation import Observation
from omni.myriad.task.terms import ImageTerm, Noise, ObservationTerm

CPU = torch.device("cpu")
POSE = [
    ObservationTerm("height", 1, "m", offset=1.0, scale=2.0),
    ObservationTerm("angles", 2, "rad", offset=(0.5, 1.0), scale=(1.0, 10.0), clip=(-4.0, 4.0)),
    ObservationTerm("last", 1),
]

# Cartpole with a picture of where its cart is: one bright column of eight.
WATCHED = """
import torch
from omni.myriad import ImageTerm, Noise, ObservationTerm, RLTask


class Watched(RLTask):
    robot = "cartpole/cartpole.usda"
    robot_position = (0.0, 0.0, 2.0)
    num_actions = 1
    capturable = True

    def observation_terms(self):
        joints = tuple(self.robots.dof_names)
        return [
            ImageTerm("camera", (4, 8, 3)),
            ObservationTerm("joints", source="joint_position", joint_names=joints, noise=Noise(0.1)),
            ImageTerm("depth", (4, 8, 1), "float32", "m"),
        ]

    def state_terms(self):
        joints = tuple(self.robots.dof_names)
        return [
            ObservationTerm("speeds", source="joint_velocity", joint_names=joints),
            ObservationTerm("joints", source="joint_position", joint_names=joints),
        ]

    def apply_actions(self, actions):
        self.robots.set_joint_efforts(torch.nn.functional.pad(100.0 * actions, (0, 1)))

    def get_observations(self):
        positions = self.robots.get_joint_positions(clone=False)
        column = (positions[:, :1] + 4.0).clamp(0.0, 7.0).round()
        picture = (torch.arange(8, device=self.device) == column).view(-1, 1, 8, 1).expand(-1, 4, 8, 3)
        self.observe(
            {
                "joints": positions,
                "speeds": self.robots.get_joint_velocities(clone=False),
                "camera": picture.to(torch.uint8) * 255,
                "depth": picture[..., :1].float() * 3.5,
            }
        )

    def calculate_metrics(self):
        self.rew_buf.fill_(1.0)
"""


def fill(terms, quantities, noisy=False):
    observation = Observation("Toy observation", terms, 3, CPU, noisy)
    buffer = observation.allocate()
    observation.fill(quantities)
    return observation, buffer


def test_a_vector_is_scaled_clipped_and_concatenated_by_hand():
    quantities = {
        "last": torch.tensor([7.0, 8.0, 9.0]),  # in any order, and one number each without a column
        "height": torch.tensor([[1.0], [2.0], [0.5]]),
        "angles": torch.tensor([[0.5, 1.1], [1.5, 2.0], [-9.5, 0.0]]),
    }
    observation, buffer = fill(POSE, quantities)
    expected = [[0.0, 0.0, 1.0, 7.0], [2.0, 1.0, 4.0, 8.0], [-1.0, -4.0, -4.0, 9.0]]
    torch.testing.assert_close(buffer, torch.tensor(expected))
    torch.testing.assert_close(observation.parts["angles"], torch.tensor(expected)[:, 1:3])
    assert observation.parts["angles"].data_ptr() == buffer[:, 1:].data_ptr(), "a slice, no copy"
    assert quantities["height"].tolist() == [[1.0], [2.0], [0.5]], "what was given stays as it is"
    assert observation.space == spaces.Box(-float("inf"), float("inf"), (4,))


def test_several_numbers_of_an_environment_may_come_in_any_shape():
    forces = torch.arange(18.0).view(3, 2, 3)
    _, buffer = fill([ObservationTerm("forces", 6)], {"forces": forces})
    assert torch.equal(buffer, forces.view(3, 6))


def test_noise_is_drawn_per_term_in_its_unit_and_left_out_when_quiet():
    torch.manual_seed(0)
    terms = [
        ObservationTerm("even", 1, noise=Noise(0.2), scale=10.0),
        ObservationTerm("exact", 1, scale=3.0),
        ObservationTerm("bell", 1, noise=Noise(0.5, "gaussian"), clip=(-1.0, 1.0)),
    ]
    zeros = {name: torch.zeros(20_000, 1) for name in ("even", "exact", "bell")}
    observation = Observation("Toy observation", terms, 20_000, CPU, noisy=True)
    buffer = observation.allocate()
    observation.fill(zeros)
    even, exact, bell = buffer.unbind(-1)
    assert even.abs().max() <= 2.0 and even.abs().max() > 1.99 and even.mean().abs() < 0.05
    assert even.std().item() == pytest.approx(2.0 / 3**0.5, rel=0.02)
    assert (exact == 0.0).all()
    assert bell.std().item() == pytest.approx(0.5, rel=0.03) and bell.abs().max() > 1.5
    first = buffer.clone()
    observation.fill(zeros)
    assert not torch.equal(first, buffer), "drawn again every time"
    quiet = Observation("Toy observation", terms, 20_000, CPU, noisy=False)
    still = quiet.allocate()
    quiet.fill(zeros)
    assert (still == 0.0).all()


def test_filling_draws_nothing_where_no_term_is_noisy():
    before = torch.get_rng_state()
    fill(POSE, {"height": torch.zeros(3), "angles": torch.zeros(3, 2), "last": torch.zeros(3)}, noisy=True)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"last": None}, "Toy observation term last is missing; observe\\(\\) was given: height, angles"),
        ({"angles": torch.zeros(3, 4)}, r"term angles must have shape \(3, 2\), got \(3, 4\)"),
        ({"height": torch.zeros(2, 1)}, r"term height must have shape \(3, 1\), got \(2, 1\)"),
        ({"height": torch.zeros(3, 1, device="meta")}, "term height must be on cpu, got meta"),
        ({"eye": torch.zeros(3, 2, 2, 3)}, "term eye must be uint8, got torch.float32"),
        (
            {"eye": torch.zeros(3, 3, 2, 2, dtype=torch.uint8)},
            r"eye must have shape \(3, 2, 2, 3\), got \(3, 3",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_what_would(changed, message):
    quantities = {
        "height": torch.zeros(3, 1),
        "angles": torch.zeros(3, 2),
        "last": torch.zeros(3, 1),
        "eye": torch.zeros(3, 2, 2, 3, dtype=torch.uint8),
    } | changed
    given = {name: value for name, value in quantities.items() if value is not None}
    with pytest.raises(MyriadError, match=message):
        fill([*POSE, ImageTerm("eye", (2, 2, 3))], given)


@pytest.fixture
def watched(env_of, tmp_path):
    def build(*overrides):
        (tmp_path / "watched.py").write_text(WATCHED)
        return env_of("task=Watched", f"task.task_path=[{tmp_path}]", "num_envs=3", *overrides)

    return build


def test_a_picture_and_numbers_side_by_side_on_real_physics(watched):
    env = watched("task.env.clipObservations=0.05")
    expected = {
        "camera": spaces.Box(0, 255, (4, 8, 3), "uint8"),  # type: ignore[arg-type]
        "depth": spaces.Box(-float("inf"), float("inf"), (4, 8, 1)),
        "state": spaces.Box(-float("inf"), float("inf"), (2,)),
    }
    assert env.observation_space == spaces.Dict(expected)
    assert env.state_space == spaces.Box(-float("inf"), float("inf"), (4,)) and env.num_states == 4
    env.reset()
    env.task.robots.set_joint_positions(torch.tensor([[-2.0, 0.0], [0.0, 0.0], [3.0, 0.0]]))
    observations, *_ = env.step(torch.zeros(3, 1))
    obs = observations["obs"]
    assert {name: (tuple(part.shape), part.dtype) for name, part in obs.items()} == {
        "state": ((3, 2), torch.float32),
        "camera": ((3, 4, 8, 3), torch.uint8),
        "depth": ((3, 4, 8, 1), torch.float32),
    }
    assert obs["camera"][:, 0, :, 0].argmax(-1).tolist() == [2, 4, 7] and obs["camera"].max() == 255
    assert obs["depth"].max() == 3.5, "pictures are not clipped"
    assert (obs["state"].abs() <= 0.05).all() and observations["states"].shape == (3, 4)
    task = env.task
    torch.testing.assert_close(task.states_buf[:, 2:], task.robots.get_joint_positions())
    noise = task.obs_buf["state"] - task.states_buf[:, 2:]
    assert (noise.abs() <= 0.1 + 1e-6).all() and (noise != 0.0).any(), "the critic sees the same joints without noise"


def test_no_noise_is_added_when_a_policy_is_tested(watched):
    env = watched("test=True")
    env.reset()
    env.step(torch.ones(3, 1))
    torch.testing.assert_close(env.task.obs_buf["state"], env.task.states_buf[:, 2:])


def test_spaces_with_pictures_are_described(watched):
    env = watched()
    described = describe_task(env)
    assert rebuild_space(described["spaces"]["observation"]) == env.observation_space
    assert described["spaces"]["observation"] == describe_space(env.observation_space)
    (joints,) = described["observation_terms"]
    assert joints["slice"] == [0, 2] and joints["noise"] == {"amount": 0.1, "kind": "uniform"}
    assert [(term["name"], term["shape"], term["dtype"]) for term in described["image_terms"]] == [
        ("camera", [4, 8, 3], "uint8"),
        ("depth", [4, 8, 1], "float32"),
    ]


def test_the_last_pictures_are_seen_side_by_side_and_the_first_one_twice():
    term = ImageTerm("camera", (1, 1, 2), channels=("red", "blue"), stack=3)
    observation = Observation("Test observation", [term], 2, torch.device("cpu"))
    seen = observation.allocate()["camera"]
    assert isinstance(observation.space, spaces.Dict)
    assert observation.space["camera"].shape == (1, 1, 6)

    def show(first, second, begun=None):
        picture = torch.tensor([first, second], dtype=torch.uint8).view(2, 1, 1, 2)
        observation.fill({"camera": picture}, begun)
        return seen.view(2, 6).tolist()

    assert show([1, 2], [3, 4]) == [[1, 2] * 3, [3, 4] * 3]
    assert show([5, 6], [7, 8]) == [[1, 2, 1, 2, 5, 6], [3, 4, 3, 4, 7, 8]]
    begun = torch.tensor([False, True])
    assert show([9, 9], [0, 1], begun) == [[1, 2, 5, 6, 9, 9], [0, 1] * 3]
    observation.forget()
    assert show([2, 2], [3, 3]) == [[2, 2] * 3, [3, 3] * 3]


def test_depth_is_clipped_then_scaled():
    term = ImageTerm("depth", (1, 2, 1), "float32", "m", clip=(0.5, 4.0), scale=0.25)
    observation = Observation("Test observation", [term], 1, torch.device("cpu"))
    seen = observation.allocate()["depth"]
    observation.fill({"depth": torch.tensor([torch.inf, 0.1]).view(1, 1, 2, 1)})
    assert seen.flatten().tolist() == [1.0, 0.125]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"stack": 0}, "stack=0 must be at least 1"),
        ({"channels": ("red",)}, "1 names are given for 3 channels"),
        ({"scale": 0.5}, "uint8 is neither clipped nor scaled"),
    ],
)
def test_a_picture_that_cannot_be_is_refused(settings, complaint):
    with pytest.raises(MyriadError, match=complaint):
        ImageTerm("camera", (2, 2, 3), **settings)
