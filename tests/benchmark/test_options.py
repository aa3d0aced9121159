# SPDX-License-Identifier: Apache-2.0
"""The benchmark's own arguments: which they are, and what is said about invalid ones."""

from typing import get_args

import pytest

from omni.myriad.app.options import split
from omni.myriad.app.schema import Measure, Peer
from omni.myriad.benchmark.options import Options, parse
from omni.myriad.errors import MyriadError


def test_own_arguments_are_parted_from_settings():
    ours, settings = split(
        Options, ["task=Ant", "num_envs=16,8", "engine.shards=2", "measure=env", "--odd", "+seeds=3"]
    )
    assert ours == {"num_envs": "16,8", "measure": "env"}
    assert settings == ["task=Ant", "engine.shards=2", "--odd", "+seeds=3"]


def test_values_are_read():
    options = parse(
        {"num_envs": "[512, 64,512]", "measure": "train,env", "peers": "none", "reward": "3000,5.5", "seconds": "0.5"}
    )
    assert options.num_envs == (64, 512)
    assert options.measure == ("env", "train")
    assert options.peers == ()
    assert options.reward == (3000.0, 5.5)
    assert (options.seconds, options.repeats) == (0.5, Options.repeats)
    assert parse({"measure": "all", "peers": "all"}) == Options(measure=get_args(Measure), peers=get_args(Peer))


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        ({"measure": "env,speed"}, "measure=speed is unknown; choose from: bare_loop, env, train"),
        ({"peers": "brax"}, "peers=brax is unknown; choose from: rl_games"),
        ({"num_envs": "64,many"}, "num_envs=many is invalid: it must be a whole number, at least 1"),
        ({"num_envs": "0"}, "num_envs=0 is invalid"),
        ({"repeats": "0"}, "repeats=0 is invalid: it must be a whole number, at least 1"),
        ({"epochs": "2"}, "epochs=2 is invalid: it must be a whole number, at least 5"),
        ({"minutes": "soon"}, "minutes=soon is invalid: it must be a number"),
        ({"merge": "nowhere.json"}, "merge=nowhere.json does not exist"),
    ],
)
def test_bad_values_are_said(ours, message):
    with pytest.raises(MyriadError, match=message):
        parse(ours)
