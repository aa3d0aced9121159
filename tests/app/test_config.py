# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
import types

import pytest
from gymnasium.spaces import Box

from omni.myriad.app.config import load_config
from omni.myriad.errors import MyriadError
from omni.myriad.learn.rl_games.settings import rl_games_params


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
    assert config["max_iterations"] == 3
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
        (
            "task=Antt",
            "Unknown task 'Antt'; did you mean Ant? The tasks are: AllegroHand, Ant, Anymal, ",
        ),
        ("num_env=4", "Unknown key 'num_env'; did you mean num_envs?"),
        ("horizon_length=8", "did you mean train.params.config.horizon_length?"),
        ("task.env.resetDst=1", "did you mean task.env.resetDist"),
        ("num_envs=0", "num_envs=0 is invalid: it must be a whole number, at least 1"),
        ("num_envs=many", "num_envs=many is invalid"),
        ("num_envs=1.5", "num_envs=1.5 is invalid"),
        ("max_iterations=0", "max_iterations=0 is invalid"),
        ("seed=-2", "seed=-2 is invalid"),
        ("headless=maybe", "headless=maybe is invalid: it must be True or False"),
        ("sim_device=tpu", "sim_device=tpu is invalid: it must be cpu, cuda or cuda:<number>"),
        ("engine=bullet", "Unknown engine=bullet"),
        ("engine.shards=0", "engine.shards=0 is invalid"),
        ("train=Nope", "Unknown train=Nope"),
        ("task.sim.dt=-1", "task.sim.dt=-1 is invalid"),
        ("task.task_path=/no/such/folder", "/no/such/folder is no folder"),
        ("--headless", "--headless is not understood; settings are written key=value"),
        ("num_envs", "num_envs is not understood"),
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


def test_settings_that_no_yaml_has_are_taken_where_their_section_is():
    config = load("train.params.config.max_frames=100", "train.params.config.reward_shaper.shift_value=1.5")
    assert config["train"]["params"]["config"]["max_frames"] == 100
    assert config["train"]["params"]["config"]["reward_shaper"] == {"scale_value": 0.1, "shift_value": 1.5}
    assert load("+task.sim.Robot.density=5")["task"]["sim"]["Robot"] == {"density": 5}
    rnn = "+train.params.network.rnn={name:lstm,units:8,layers:1}"
    network = load(rnn, "train.params.network.rnn.units=16")["train"]["params"]["network"]
    assert network["rnn"] == {"name": "lstm", "units": 16, "layers": 1}
    assert load("+task.env.goal=[1,2]")["task"]["env"]["goal"] == [1, 2]


def test_empty_numbers_and_names_that_are_numbers_are_meant_as_such():
    config = load("num_envs=", "max_iterations=null", "experiment=5", "checkpoint=null", "task.env.clipActions=inf")
    assert (config["num_envs"], config["max_iterations"]) == (None, None)
    assert (config["experiment"], config["checkpoint"]) == ("5", "")


def test_a_setting_of_on_cpu_gives_way_to_the_command_line(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    learner = load("task=Ant")["train"]["params"]["config"]
    assert (learner["horizon_length"], learner["minibatch_size"], learner["max_epochs"]) == (32, 2048, 600)
    learner = load("task=Ant", "train.params.config.horizon_length=8")["train"]["params"]["config"]
    assert (learner["horizon_length"], learner["minibatch_size"]) == (8, 2048)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task.env.steps=1.5", "task.env.steps=1.5 is invalid: it must be a whole number"),
        ("task.env.steps=null", "task.env.steps=null is invalid"),
        ("task.env.speed=fast", "task.env.speed=fast is invalid: it must be a number"),
        ("task.env.mode=3", None),
        ("task.env.mode=[a]", "task.env.mode=['a'] is invalid: it must be text"),
        ("task.env.push=1", "task.env.push=1 is invalid: it must be True or False"),
        ("task.env.goal=[1,2]", "task.env.goal=[1, 2] is invalid: it must be a list of 3 numbers"),
        ("task.env.goal=[1,2,x]", "it must be a list of 3 numbers"),
        ("task.env.ids=[1,2.5]", "it must be a list of 2 whole numbers"),
        ("task.env.noise=5", "task.env.noise=5 is invalid: it must be a section"),
        ("task.env.noise.scale=x", "task.env.noise.scale=x is invalid: it must be a number"),
        ("task.env.goal2=1", "Unknown key 'task.env.goal2'; did you mean task.env.goal"),
        ("task.mine.a=x", "task.mine.a=x is invalid: it must be a whole number"),
        ("task.env.speed=2", None),
        ("task.env.goal=[0,0,0]", None),
        ("task.env.nothing=[1,a]", None),
        ("task.env.limit=inf", None),
        ("task.env.noise.scale=1", None),
    ],
)
def test_a_tasks_own_settings_stay_what_its_yaml_declares(own_task, override, message):
    if message is None:
        load(*own_task, override)
    else:
        with pytest.raises(MyriadError) as caught:
            load(*own_task, override)
        assert message in str(caught.value)


@pytest.fixture
def own_task(tmp_path):
    """A task of one's own, with settings of every type."""
    (tmp_path / "own.py").write_text("")
    (tmp_path / "cfg" / "task").mkdir(parents=True)
    (tmp_path / "cfg/task/Own.yaml").write_text(
        "defaults: [Default]\nname: Own\nmine: {a: 1}\nenv:\n  steps: 3\n  speed: 1.0\n  mode: slow\n  push: False\n"
        "  goal: [0.0, 1, 2]\n  ids: [1, 2]\n  noise: {scale: 0.1}\n  nothing: null\n  limit: .inf\n"
    )
    return "task=Own", f"task.task_path={tmp_path}"


def test_a_yaml_that_is_wrong_is_told_in_one_line_too(tmp_path):
    (tmp_path / "cfg" / "task").mkdir(parents=True)
    for text in (
        "name: [",
        "- a",
        "5",
        "name: Odd\nenv: {envSpacing: -1}",
        "defaults: [Nowhere]\nname: Odd",
        "a: \x00",
    ):
        (tmp_path / "cfg/task/Odd.yaml").write_text(text)
        with pytest.raises(MyriadError) as caught:
            load("task=Odd", f"task.task_path={tmp_path}")
        assert "\n" not in str(caught.value), text


_WITHOUT_TORCH = """
import sys
from omni.myriad.app.config import load_config
from omni.myriad.app.help import print_help

load_config(["sim_device=cpu", "task=Ant"], "train")
print_help("train", ["task=Ant"])
assert not {"torch", "pxr", "rl_games"} & sys.modules.keys()
"""


def test_settings_are_checked_and_shown_without_torch_and_physics():
    done = subprocess.run([sys.executable, "-c", _WITHOUT_TORCH], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


_OIGE_TRAIN = """
params:
  seed: ${...seed}
  algo: {name: a2c_continuous}
  model: {name: continuous_a2c_logstd}
  network:
    name: actor_critic
    separate: False
    space:
      continuous:
        mu_activation: None
        sigma_activation: None
        mu_init: {name: default}
        sigma_init: {name: const_initializer, val: 0}
        fixed_sigma: True
    mlp:
      units: [256, 128, 64]
      activation: elu
      d2rl: False
      initializer: {name: default}
      regularizer: {name: None}
  load_checkpoint: ${if:${...checkpoint},True,False}
  load_path: ${...checkpoint}
  config:
    name: ${resolve_default:Old,${....experiment}}
    full_experiment_name: ${.name}
    env_name: rlgpu
    device: ${....rl_device}
    device_name: ${....rl_device}
    multi_gpu: ${....multi_gpu}
    ppo: True
    mixed_precision: True
    normalize_input: True
    normalize_value: True
    num_actors: ${....task.env.numEnvs}
    reward_shaper: {scale_value: 0.01}
    normalize_advantage: True
    gamma: 0.99
    tau: 0.95
    learning_rate: 3e-4
    lr_schedule: adaptive
    schedule_type: legacy
    kl_threshold: 0.008
    score_to_win: 20000
    max_epochs: ${resolve_default:500,${....max_iterations}}
    save_best_after: 100
    save_frequency: 50
    grad_norm: 1.0
    entropy_coef: 0.0
    truncate_grads: True
    e_clip: 0.2
    horizon_length: 16
    minibatch_size: 32768
    mini_epochs: 4
    critic_coef: 2
    clip_value: True
    seq_length: 4
    bounds_loss_coef: 0.0001
"""


def test_a_train_yaml_of_omniisaacgymenvs_is_taken_as_it_is(tmp_path):
    (tmp_path / "old.py").write_text("")
    (tmp_path / "cfg" / "train").mkdir(parents=True)
    (tmp_path / "cfg/train/OldPPO.yaml").write_text(_OIGE_TRAIN)
    config = load(
        "task=Old", f"task.task_path={tmp_path}", "num_envs=8", "max_iterations=3", "seed=7", "experiment=here"
    )
    params = config["train"]["params"]
    assert (params["config"]["name"], params["config"]["num_actors"], params["load_checkpoint"]) == ("here", 8, False)
    # All that it decides there is decided once more, in one place.
    env = types.SimpleNamespace(state_space=None, action_space=Box(-1.0, 1.0, (1,)), num_envs=8, device="cpu")
    params = rl_games_params(config, env)
    assert params["seed"] == 7
    learner = params["config"]
    assert (learner["name"], learner["env_name"], learner["device"]) == ("Old", "myriad", "cpu")
    assert (learner["num_actors"], learner["max_epochs"], learner["multi_gpu"]) == (8, 3, False)


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


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("RANK", "abc", "RANK=abc in the environment is invalid: it must be a whole number"),
        ("WORLD_SIZE", "-1", "WORLD_SIZE=-1 in the environment is invalid"),
        ("LOCAL_RANK", "1.5", "LOCAL_RANK=1.5 in the environment is invalid"),
        ("RANK", "2", "RANK=2 in the environment is invalid: it must be below WORLD_SIZE=2"),
    ],
)
def test_an_environment_that_names_no_rank_is_one_line(monkeypatch, name, text, message):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv(name, text)
    with pytest.raises(MyriadError, match=message):
        load_config(["task=Cartpole", "sim_device=cpu"])


def test_learner_and_its_librarys_own_settings():
    assert "learner" not in load("task=Cartpole")["train"]
    config = load("task=Cartpole", "learner=rsl_rl", "+train.library.algorithm.desired_kl=0.02")
    assert config["train"]["learner"] == "rsl_rl"
    assert config["train"]["library"] == {"algorithm": {"desired_kl": 0.02}}
    assert load("task=Cartpole", "train.learner=skrl")["train"]["learner"] == "skrl"
    assert load("task=Cartpole", "train.learner=skrl", "learner=sb3")["train"]["learner"] == "sb3"


def test_what_holds_a_line_break_is_refused_in_one_line():
    with pytest.raises(MyriadError, match="num_envs= is not understood") as caught:
        load_config(["num_envs=\n"])
    assert "\n" not in str(caught.value)


def test_a_file_of_settings_goes_before_the_command_line(tmp_path):
    file = tmp_path / "ant.yaml"
    file.write_text(
        "task: Ant\nnum_envs: 32\nseed: 7\nsim_device: cpu\ntrain.params.config.gamma: 0.98\n"
        "task.sim.dt: 0.01\ntask.env: {episodeLength: 250}\n"
        "train:\n  params: {config: {learning_rate: 1e-3}, network: {mlp: {units: [8, 4]}}}\n"
    )
    config = load_config([f"settings={file}", "seed=8"], "train")
    assert (config["task_name"], config["num_envs"], config["seed"]) == ("Ant", 32, 8)
    assert (config["task"]["env"]["episodeLength"], config["task"]["sim"]["dt"]) == (250, 0.01)
    params = config["train"]["params"]
    assert (params["config"]["gamma"], params["config"]["learning_rate"]) == (0.98, 1e-3)
    assert params["network"]["mlp"]["units"] == [8, 4]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "cannot be read: "),
        ("[1, 2]", "it must hold lines such as num_envs: 512"),
        ("a: [", "cannot be read: while parsing"),
        ("task.task_path: [x]", "task.task_path is for the command line alone"),
        ("task: {task_path: [x]}", "task.task_path is for the command line alone"),
        ("oige: /somewhere", "oige is for the command line alone"),
        ("num_envs: many", "num_envs=many is invalid"),
        ("nothing: 1", "Unknown key 'nothing'"),
        ("episodes: 3\ngpu_per_trial: 1", "Unknown key 'gpu_per_trial'"),
    ],
)
def test_a_file_of_settings_that_cannot_be_used_is_one_line(tmp_path, text, complaint):
    file = tmp_path / "settings.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(MyriadError) as error:
        load_config([f"settings={file}", "sim_device=cpu"], "train")
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)
