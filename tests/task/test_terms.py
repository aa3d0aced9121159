# SPDX-License-Identifier: Apache-2.0
"""Terms: slices follow from sizes, and mistakes are named."""

import re
from pathlib import Path

import pytest

from omni.myriad.errors import MyriadError
from omni.myriad.task.terms import (
    SOURCES,
    ActionTerm,
    ImageTerm,
    Noise,
    ObservationTerm,
    describe_terms,
    terms_table,
    uniform,
)

TORQUE: tuple = ("torque", ("a",))


def test_slices_and_numbers_are_spelt_out():
    terms = [
        ObservationTerm("height", 1, "m"),
        ObservationTerm("angles", 2, "rad", scale=(1.0, 2.0), offset=0.5, joint_names=("a", "b")),
    ]
    height, angles = describe_terms("observation", terms, 3)
    assert (height["slice"], height["scale"], height["offset"]) == ([0, 1], [1.0], [0.0])
    assert (angles["slice"], angles["scale"], angles["offset"]) == ([1, 3], [1.0, 2.0], [0.5, 0.5])
    assert angles["joint_names"] == ["a", "b"]


def test_sizes_must_add_up():
    with pytest.raises(MyriadError, match="Toy action terms add up to 2 numbers where the task has 3: joint_effort 2"):
        describe_terms("Toy action", [ActionTerm("effort", ("a", "b"))], 3)


def test_names_are_unique():
    with pytest.raises(MyriadError, match="use the name x twice"):
        describe_terms("observation", [ObservationTerm("x", 1), ObservationTerm("x", 1)], 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ObservationTerm("x", 2, scale=(1.0,)), "Term x: scale has 1 numbers for 2 elements"),
        (lambda: ObservationTerm("x", 3, joint_names=("a", "b")), "do not divide among 2 joints"),
        (lambda: ObservationTerm("x"), "Term x: give its size"),
        (lambda: ObservationTerm("x", source="last_action"), "Term x: give its size"),
        (lambda: ObservationTerm("x", 1, clip=(1.0, -1.0)), "Term x: clip is (1.0, -1.0); the first number must be"),
        (lambda: Noise(0.1, "pink"), "Noise 'pink' is unknown; choose one of uniform, gaussian"),  # type: ignore[arg-type]
        (lambda: Noise(-0.1), "Noise of -0.1 is invalid"),
        (lambda: ImageTerm("eye", (4, 4)), "Term eye: shape is (height, width, channels), not (4, 4)"),  # type: ignore[arg-type]
        (lambda: ImageTerm("eye", (4, 4, 3), "int8"), "dtype int8 is none of uint8, float32"),  # type: ignore[arg-type]
        (lambda: ImageTerm("state", (4, 4, 3)), "A picture cannot be called state"),
        (lambda: ActionTerm(*TORQUE), "'torque' is unknown; choose one of effort, position, velocity"),
        (lambda: ActionTerm("effort", ()), "names no joints"),
        (lambda: ActionTerm("effort", ("a",), offset=(1.0, 2.0)), "offset has 2 numbers for 1"),
    ],
)
def test_wrong_terms(make, message):
    with pytest.raises(MyriadError, match=re.escape(message)):
        make()


def test_a_number_for_all_elements_is_not_one_for_each():
    assert uniform(0.5) == 0.5
    with pytest.raises(MyriadError, match="One number for all elements was expected, got 2"):
        uniform((1.0, 2.0))


def test_a_source_says_size_unit_and_frame_unless_the_term_does():
    velocity = ObservationTerm("v", source="root_linear_velocity")
    assert (velocity.size, velocity.unit, velocity.frame) == (3, "m/s", "root")
    assert ObservationTerm("v", source="root_linear_velocity", frame="world").frame == "world"
    assert ObservationTerm("q", source="joint_position", joint_names=("a", "b")).size == 2
    wrench = ObservationTerm("f", source="incoming_joint_wrench", body_names=("a", "b", "c"))
    assert (wrench.size, wrench.unit) == (18, "N, N m")
    rail = ObservationTerm("x", unit="m", source="joint_position", joint_names=("rail",))
    assert (rail.size, rail.unit, rail.frame) == (1, "m", "")


def test_the_documentation_has_every_source():
    page = (Path(__file__).parents[2] / "docs" / "policy-file.md").read_text()
    rows = [line.split("|")[1:-1] for line in page.partition("### Sources")[2].partition("###")[0].splitlines()]
    listed = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in rows if len(cells) == 5}
    for name, source in SOURCES.items():
        size = str(source.size or "as the task says")
        assert listed[f"`{name}`"] == [source.meaning, size, source.unit, source.frame]


def test_the_table_shows_what_is_observed_and_commanded(env_of):
    from rich.console import Console

    env = env_of("task=Ant", "num_envs=1")
    console = Console(width=140)
    with console.capture() as captured:
        console.print(terms_table(env.task))
    lines = {line.split()[1]: line.split() for line in captured.get().splitlines() if line.startswith("│")}
    assert lines["root_height"][3] == "0:1" and lines["last_action"][3] == "52:60"
    assert lines["joint_velocities"][3:8] == ["20:28", "│", "rad/s", "│", "│"] and "0.2" in lines["joint_velocities"]
    assert lines["joint_effort"][3] == "0:8" and "7.5" in lines["joint_effort"]


def test_the_table_shows_a_task_without_terms(env_of, tmp_path):
    from rich.console import Console

    (tmp_path / "bare.py").write_text(
        "from omni.myriad import RLTask\n"
        "class Bare(RLTask):\n"
        "    robot = 'cartpole/cartpole.usda'\n"
        "    num_observations, num_actions = 3, 1\n"
    )
    console = Console(width=120)
    with console.capture() as captured:
        console.print(terms_table(env_of("task=Bare", f"task.task_path=[{tmp_path}]", "num_envs=1").task))
    assert "0:3" in captured.get() and "0:1" in captured.get()
