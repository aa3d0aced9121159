# SPDX-License-Identifier: Apache-2.0
"""Terms: slices follow from sizes, and mistakes are named."""

import pytest

from omni.myriad.errors import MyriadError
from omni.myriad.task.terms import ActionTerm, ObservationTerm, describe_terms, uniform

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
        (lambda: ActionTerm(*TORQUE), "'torque' is unknown; choose one of effort, position, velocity"),
        (lambda: ActionTerm("effort", ()), "names no joints"),
        (lambda: ActionTerm("effort", ("a",), offset=(1.0, 2.0)), "offset has 2 numbers for 1"),
    ],
)
def test_wrong_terms(make, message):
    with pytest.raises(MyriadError, match=message):
        make()


def test_a_number_for_all_elements_is_not_one_for_each():
    assert uniform(0.5) == 0.5
    with pytest.raises(MyriadError, match="One number for all elements was expected, got 2"):
        uniform((1.0, 2.0))
