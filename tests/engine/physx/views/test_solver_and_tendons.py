# SPDX-License-Identifier: Apache-2.0
"""Solver settings, which PhysX reads from USD when it starts, and fixed tendons."""

import pytest
import torch

from omni.myriad.engine.physx import ArticulationView
from omni.myriad.errors import MyriadError

from .scenes import ENV_0, arm, set_attribute

SETTINGS = [
    # method suffix, argument, PhysX's own value, another value, dtype
    ("solver_position_iteration_counts", "counts", 32, 4, torch.int32),
    ("solver_velocity_iteration_counts", "counts", 1, 0, torch.int32),
    ("stabilization_thresholds", "thresholds", 1e-5, 0.5, torch.float32),
    ("sleep_thresholds", "thresholds", 5e-5, 0.25, torch.float32),
    ("enabled_self_collisions", "flags", 1, 0, torch.uint8),
]


@pytest.fixture(scope="module")
def running(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "running")
    simulate(arm, view)
    return view


@pytest.mark.parametrize(("name", "argument", "fallback", "value", "dtype"), SETTINGS)
def test_settings_are_written_to_usd_before_physics_starts(simulate, running, name, argument, fallback, value, dtype):
    view = ArticulationView("/World/envs/.*/Arm", "early")
    engine = simulate(arm, view, start=False)
    get, write = getattr(view, f"get_{name}"), getattr(view, f"set_{name}")
    torch.testing.assert_close(get(), torch.tensor([fallback] * 3, dtype=dtype))
    write(torch.tensor([value] * 3, dtype=dtype))
    engine.reset()
    torch.testing.assert_close(get(), torch.tensor([value] * 3, dtype=dtype))
    torch.testing.assert_close(get(indices=[1]), torch.tensor([value], dtype=dtype))
    with pytest.raises(NotImplementedError, match="when it starts"):
        write(torch.tensor([value] * 3, dtype=dtype))


def test_settings_are_the_same_in_all_environments(simulate):
    view = ArticulationView("/World/envs/.*/Arm", "same")
    simulate(arm, view, start=False)
    with pytest.raises(NotImplementedError, match="counts must not differ"):
        view.set_solver_position_iteration_counts(torch.tensor([1, 2, 3], dtype=torch.int32))
    with pytest.raises(NotImplementedError, match="indices must be None"):
        view.set_solver_position_iteration_counts(torch.tensor([1], dtype=torch.int32), indices=[0])
    with pytest.raises(MyriadError, match=r"counts must have shape \(3,\), got \(2,\)"):
        view.set_solver_position_iteration_counts(torch.tensor([1, 1], dtype=torch.int32))
    with pytest.raises(MyriadError, match="counts must be int32, got float32"):
        view.set_solver_position_iteration_counts(torch.ones(3))
    view.set_enabled_self_collisions(torch.tensor([False] * 3))
    assert view.get_enabled_self_collisions().tolist() == [0, 0, 0]


def test_fixed_tendons(simulate):
    def build(stage):
        arm(stage)
        for name, schema, gearing in (
            ("shoulder", "PhysxTendonAxisRootAPI:t", 1.0),
            ("elbow", "PhysxTendonAxisAPI:t", -1.0),
        ):
            joint = stage.GetPrimAtPath(f"{ENV_0}/Arm/{name}")
            set_attribute(joint, schema, "physxTendon:t:gearing", "FloatArray", [gearing])
            set_attribute(joint, schema, "physxTendon:t:forceCoefficient", "FloatArray", [gearing])
            set_attribute(joint, schema, "physxTendon:t:jointAxis", "TokenArray", ["rotY"])
            if name == "shoulder":
                for attribute, value in {
                    **{"stiffness": 5.0, "damping": 0.5, "limitStiffness": 7.0, "offset": 0.1, "restLength": 0.2},
                    **{"lowerLimit": -1.0, "upperLimit": 1.0},
                }.items():
                    set_attribute(joint, schema, f"physxTendon:t:{attribute}", "Float", value)

    view = ArticulationView("/World/envs/.*/Arm", "tendons")
    simulate(build, view, shards=2)
    assert view.num_fixed_tendons == 1
    getters = {
        "stiffnesses": (view.get_fixed_tendon_stiffnesses, 5.0),
        "dampings": (view.get_fixed_tendon_dampings, 0.5),
        "limit_stiffnesses": (view.get_fixed_tendon_limit_stiffnesses, 7.0),
        "rest_lengths": (view.get_fixed_tendon_rest_lengths, 0.2),
        "offsets": (view.get_fixed_tendon_offsets, 0.1),
    }
    for name, (get, value) in getters.items():
        torch.testing.assert_close(get(), torch.full((3, 1), value))
        view.set_fixed_tendon_properties(**{name: torch.full((1, 1), 2.0)}, indices=[1])
        torch.testing.assert_close(get(), torch.tensor([[value], [2.0], [value]]))
        torch.testing.assert_close(get(indices=[1]), torch.tensor([[2.0]]))
        view.set_fixed_tendon_properties(**{name: torch.tensor([3.0])})
        torch.testing.assert_close(get(), torch.full((3, 1), 3.0))
    assert view.get_fixed_tendon_limits().tolist() == [[[-1, 1]]] * 3
    view.set_fixed_tendon_properties(limits=torch.tensor([[[-2.0, 2.0]]]), indices=[2])
    assert view.get_fixed_tendon_limits().tolist() == [[[-1, 1]], [[-1, 1]], [[-2, 2]]]
    with pytest.raises(MyriadError, match=r"dampings must have shape \(3, 1\), got \(3, 2\)"):
        view.set_fixed_tendon_properties(dampings=torch.zeros(3, 2))
