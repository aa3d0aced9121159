# SPDX-License-Identifier: Apache-2.0
import pytest

from omni.myriad.app.config import load_config
from omni.myriad.errors import MyriadError
from omni.myriad.oige.config import find_checkout, take_checkout, task_classes


def load(checkout, *overrides):
    return load_config([f"oige={checkout}", "sim_device=cpu", *overrides])


def test_what_a_yaml_does_not_say_is_as_there_and_not_as_here(checkout):
    task = load(checkout, "task=Swing")["task"]
    assert task["env"]["controlFrequencyInv"] == 1
    assert task["env"]["clipActions"] == task["env"]["clipObservations"] == float("inf")
    assert task["sim"]["dt"] == 1 / 60
    assert task["sim"]["physx"]["bounce_threshold_velocity"] == 0.3  # of its own file of defaults


def test_a_yaml_and_the_command_line_go_before_the_defaults(checkout):
    task = load(checkout, "task=SwingSlow", "task.sim.dt=0.01", "num_envs=7")["task"]
    assert (task["name"], task["env"]["controlFrequencyInv"], task["env"]["clipActions"]) == ("SwingSlow", 4, 0.5)
    assert (task["sim"]["dt"], task["env"]["numEnvs"], task["env"]["envSpacing"]) == (0.01, 7, 3.0)


def test_its_references_to_devices_are_answered(checkout):
    config = load(checkout, "task=Swing", "max_iterations=3")
    assert config["task"]["sim"]["use_gpu_pipeline"] is False
    assert config["train"]["params"]["config"]["max_epochs"] == 3
    assert config["train"]["params"]["config"]["num_actors"] == config["task"]["env"]["numEnvs"]


def test_classes_are_found_without_importing_them(checkout):
    found = task_classes(checkout)
    assert found["Swing"] == ("omniisaacgymenvs.tasks.swing", "SwingTask")
    assert found["Broken"] == ("omniisaacgymenvs.tasks.broken", "BrokenTask")


def test_the_package_itself_may_be_named(checkout):
    assert find_checkout(str(checkout / "omniisaacgymenvs")) == find_checkout(str(checkout)) == checkout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["task=Nope"], "has no task Nope; its tasks are: Swing, SwingSlow, Broken"),
        (["task=Swing", "train=NopePPO"], "train=NopePPO has no YAML in"),
        (["task=Swing", "task.env.envSpacing=wide"], "task.env.envSpacing=wide is invalid"),
        (["task=Swing", "task.env.spacing=1"], "Unknown key 'task.env.spacing'"),
    ],
)
def test_what_is_wrong_is_said(checkout, arguments, complaint):
    with pytest.raises(MyriadError, match=complaint):
        load(checkout, *arguments)


def test_another_folder_is_no_checkout(tmp_path):
    with pytest.raises(MyriadError, match="is no checkout of OmniIsaacGymEnvs"):
        load(tmp_path, "task=Ant")


def test_a_file_cannot_name_a_checkout():
    asked = {"oige": ""}
    config = {"task_name": "Swing", "oige": "/elsewhere"}
    with pytest.raises(MyriadError, match="Swing was trained from a checkout of OmniIsaacGymEnvs: add oige=FOLDER"):
        take_checkout(config, asked)
    take_checkout(config, {"oige": "/mine"})
    assert config["oige"] == "/mine"
    older = {"task_name": "Ant"}
    take_checkout(older, {"oige": "/mine"})
    assert older["oige"] == ""
