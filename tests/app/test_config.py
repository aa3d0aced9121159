# SPDX-License-Identifier: Apache-2.0
import pytest

from omni.myriad.app.config import load_config
from omni.myriad.errors import MyriadError


def load(*overrides):
    return load_config(["sim_device=cpu", *overrides])


def test_defaults_are_those_of_omniisaacgymenvs():
    ant = load("task=Ant", "num_envs=4096")
    assert ant["task_name"] == "Ant" and ant["seed"] == 42
    learner = ant["train"]["params"]["config"]
    assert (learner["horizon_length"], learner["minibatch_size"], learner["mini_epochs"]) == (16, 32768, 4)
    assert (learner["max_epochs"], learner["gamma"], learner["tau"], learner["e_clip"]) == (500, 0.99, 0.95, 0.2)
    assert learner["reward_shaper"]["scale_value"] == 0.01
    assert ant["train"]["params"]["network"]["mlp"]["units"] == [256, 128, 64]
    cartpole = load("task=Cartpole", "num_envs=512")
    learner = cartpole["train"]["params"]["config"]
    assert (learner["minibatch_size"], learner["mini_epochs"], learner["critic_coef"]) == (8192, 8, 4)
    assert learner["max_epochs"] == 100 and cartpole["task"]["env"]["clipObservations"] == 5.0


def test_overrides_reach_everything():
    config = load("task=Ant", "num_envs=8", "max_iterations=3", "train.params.config.gamma=0.9", "engine.shards=2")
    assert config["task"]["env"]["numEnvs"] == 8
    assert config["train"]["params"]["config"]["max_epochs"] == 3
    assert config["train"]["params"]["config"]["gamma"] == 0.9
    assert config["engine"]["shards"] == 2


def test_a_cpu_gets_environments_for_its_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert load("task=Ant")["task"]["env"]["numEnvs"] == 256
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    assert load("task=Ant")["task"]["env"]["numEnvs"] == 4096


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task=Antt", "Unknown task 'Antt'; did you mean Ant? The tasks are: Ant, Cartpole"),
        ("num_env=4", "Unknown key 'num_env'; did you mean num_envs?"),
        ("horizon_length=8", "did you mean train.params.config.horizon_length?"),
        ("task.env.resetDst=1", "did you mean task.env.resetDist"),
        ("num_envs=0", "num_envs=0 cannot be: it must be a whole number, at least 1"),
        ("num_envs=many", "num_envs=many cannot be"),
        ("num_envs=1.5", "num_envs=1.5 cannot be"),
        ("max_iterations=0", "max_iterations=0 cannot be"),
        ("seed=-2", "seed=-2 cannot be"),
        ("headless=maybe", "headless=maybe cannot be: it must be True or False"),
        ("sim_device=tpu", "sim_device=tpu cannot be: it must be cpu, cuda or cuda:<number>"),
        ("engine=bullet", "Unknown engine=bullet"),
        ("engine.shards=0", "engine.shards=0 cannot be"),
        ("train=Nope", "Unknown train=Nope"),
        ("task.sim.dt=-1", "task.sim.dt=-1 cannot be"),
        ("task.task_path=/no/such/folder", "/no/such/folder is no folder"),
        ("--headless", "--headless is not understood; settings are written key=value"),
        ("num_envs", "'num_envs' is not understood"),
        ("seed=${nowhere}", "does not resolve"),
    ],
)
def test_each_mistake_ends_in_one_line(override, message):
    with pytest.raises(MyriadError) as caught:
        load(override)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cuda_is_refused_where_there_is_none():
    import torch

    if torch.cuda.is_available():
        with pytest.raises(MyriadError, match="sim_device=cuda:99 does not exist"):
            load("sim_device=cuda:99")
    else:
        with pytest.raises(MyriadError, match="asks for CUDA, but torch finds none"):
            load("sim_device=cuda")


def test_a_folder_of_ones_own_tasks(tmp_path):
    (tmp_path / "reach_goal.py").write_text("")
    config = load("task=ReachGoal", f"task.task_path=[{tmp_path}]")
    assert config["task"]["name"] == config["task_name"] == "ReachGoal"
    assert config["task"]["task_path"] == [str(tmp_path)]

    (tmp_path / "cfg" / "task").mkdir(parents=True)
    (tmp_path / "cfg" / "train").mkdir()
    (tmp_path / "cfg/task/ReachGoal.yaml").write_text("defaults: [Default]\nname: ReachGoal\nenv:\n  goal: 3.0\n")
    (tmp_path / "cfg/train/ReachGoalPPO.yaml").write_text(
        "defaults: [DefaultPPO]\nparams:\n  config:\n    gamma: 0.5\n"
    )
    config = load("task=ReachGoal", f"task.task_path={tmp_path}", "task.env.goal=4")
    assert config["task"]["env"]["goal"] == 4
    assert config["train"]["params"]["config"]["gamma"] == 0.5


def test_yaml_of_omniisaacgymenvs_composes(tmp_path):
    # Its resolvers and its way of naming the number of environments.
    (tmp_path / "old_style.py").write_text("")
    (tmp_path / "cfg" / "task").mkdir(parents=True)
    (tmp_path / "cfg/task/OldStyle.yaml").write_text(
        "defaults: [Default]\nname: OldStyle\nenv:\n  numEnvs: ${resolve_default:64,${...num_envs}}\n"
        '  onGpu: ${eq:${...sim_device},"gpu"}\n'
    )
    path = f"task.task_path={tmp_path}"
    assert load("task=OldStyle", path)["task"]["env"]["numEnvs"] == 64
    config = load("task=OldStyle", path, "num_envs=5")
    assert config["task"]["env"]["numEnvs"] == 5 and config["task"]["env"]["onGpu"] is False
