# SPDX-License-Identifier: Apache-2.0
"""What a sweep tries: how it is read, and what is said about what cannot be."""

import pytest

from omni.myriad.app.config import load_config
from omni.myriad.errors import MyriadError
from omni.myriad.sweep.space import Range, as_settings, read_space

CARTPOLE = ["task=Cartpole", "sim_device=cpu"]
RATE, GAMMA = "train.params.config.learning_rate", "train.params.config.gamma"


def test_ranges_and_lists_are_read():
    given = {
        "learning_rate": "loguniform(1e-4, 1e-2)",
        "gamma": "[0.97,1e-1]",
        "num_envs": "randint(2,5)",
        "task.env.maxEffort": "uniform(100,400)",
        "train.params.config.normalize_value": "[True,False]",
        "train.params.network.mlp.activation": "[elu,tanh]",
    }
    assert read_space(given, CARTPOLE) == {
        RATE: Range("loguniform", 1e-4, 1e-2),
        GAMMA: [0.97, 0.1],
        "num_envs": Range("randint", 2.0, 5.0),
        "task.env.maxEffort": Range("uniform", 100.0, 400.0),
        "train.params.config.normalize_value": [True, False],
        "train.params.network.mlp.activation": ["elu", "tanh"],
    }


def test_a_range_keeps_numbers_in():
    whole = Range("randint", 2.0, 5.0)
    assert whole.ends == (2, 4)
    assert [whole.nearest(value) for value in (0.5, 2.6, 4.9)] == [2, 3, 4]
    assert Range("loguniform", 0.1, 0.2).nearest(0.25) == 0.2


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("gamma", "0.97", "sweep.gamma=0.97 is invalid: it must be a list such as [0.97,0.99], or uniform(low,high)"),
        ("gamma", "[]", "sweep.gamma=[] is invalid: it must be a list"),
        ("gamma", "[0.9", "it must be a list"),
        ("gamma", "normal(0,1)", "it must be a list"),
        ("gamma", "uniform(0.9)", "it must be a list"),
        ("gamma", "uniform(0.9,high)", "it must be a list"),
        ("gamma", "uniform(0.99,0.9)", "the first number must be below the second"),
        ("gamma", "uniform(0,inf)", "the first number must be below the second"),
        ("learning_rate", "loguniform(0,1)", "a logarithm needs numbers above 0"),
        ("num_envs", "randint(1.5,3)", "randint is of whole numbers"),
        ("lerning_rate", "[1e-3]", "did you mean train.params.config.learning_rate"),
        ("gamma", "uniform(0.9,1.1)", "train.params.config.gamma=1.1 is invalid: it must be a number, from 0 to 1"),
        ("gamma", "[0.9,2]", "train.params.config.gamma=2 is invalid"),
        ("task.env.nothing", "[1]", "Unknown key 'task.env.nothing'"),
        ("task", "[Ant,Cartpole]", "sweep.task cannot be swept over"),
    ],
)
def test_what_cannot_be_is_said(name, text, complaint):
    with pytest.raises(MyriadError) as error:
        read_space({name: text}, CARTPOLE)
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_values_come_back_from_the_command_line():
    values = {
        RATE: 1.2345e-05,
        "wandb_name": "it's a \\ name",
        "max_iterations": None,
        "train.params.config.gamma": 1.0,
    }
    config = load_config([*CARTPOLE, *as_settings(values)], "train")
    assert config["train"]["params"]["config"]["learning_rate"] == 1.2345e-05
    assert (config["wandb_name"], config["max_iterations"]) == ("it's a \\ name", None)
