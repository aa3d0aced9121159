# SPDX-License-Identifier: Apache-2.0
"""Learning from mirrored samples: the gradient is that of a minibatch which holds both, and what is learned is even."""

from typing import Any

import pytest
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.learn import run
from omni.myriad.learn.rl_games.learner import make_learner
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg


class EvenCartPole(CartPoleEnv):
    """Cart-poles in a mirror: everything changes sign."""

    def mirrors(self):
        return torch.neg, torch.neg


def learner_of(folder, **settings) -> Any:
    torch.manual_seed(0)
    env = EvenCartPole(num_envs=8, max_steps=30)
    learner = make_learner(make_cfg(env, **settings), env, folder)
    learner.prepare()
    return learner


def test_the_gradient_is_that_of_samples_and_mirror_images_together(tmp_path):
    even, plain = learner_of(tmp_path / "a", symmetry=True).update, learner_of(tmp_path / "b").update
    torch.manual_seed(1)
    number = 16
    column = {name: torch.rand(number, 1) for name in ("old_values", "returns", "mu", "sigma", "actions")}
    row = {name: torch.rand(number) for name in ("old_logp_actions", "advantages")}
    samples = column | row | {"obs": torch.randn(number, 4), "mirrored": torch.randn(number, 4)}
    by_hand = {name: torch.cat((value, value)) for name, value in samples.items() if name != "mirrored"}
    by_hand["obs"] = torch.cat((samples["obs"], samples["mirrored"]))
    by_hand["actions"] = torch.cat((samples["actions"], -samples["actions"]))
    made, expected = even._descent.differentiate(samples), plain._descent.differentiate(by_hand)
    assert made["mu"].shape == (number, 1)
    torch.testing.assert_close(made["mu"], expected["mu"][:number])
    for one, other in zip(even._descent.parameters, plain._descent.parameters, strict=True):
        assert one.grad.abs().sum() > 0
        torch.testing.assert_close(one.grad, other.grad)


def test_mirror_images_are_normalised_as_samples_are(tmp_path):
    learner = learner_of(tmp_path, symmetry=True, mini_epochs=1)
    batch = learner.rollout.play()
    raw = batch["obses"].clone()
    seen = {}
    learner.update._descent.run = lambda minibatch: (
        seen.update(minibatch) or {"mu": minibatch["mu"], "sigma": minibatch["sigma"]}
    )
    learner.update(batch)
    model = learner.agent.model
    count = len(seen["obs"])
    torch.testing.assert_close(seen["obs"], model.norm_obs(raw)[-count:])
    torch.testing.assert_close(seen["mirrored"], model.norm_obs(-raw)[-count:])


def unevenness(folder, **settings):
    env = EvenCartPole(num_envs=16, max_steps=50)
    learner: Any = run.train(make_cfg(env, max_iterations=12, **settings), env, folder)[1]
    model, obs = learner.agent.model, 0.3 * torch.randn(256, 4, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        acts = [model.a2c_network({"obs": model.norm_obs(o), "is_train": False})[0] for o in (obs, -obs)]
    return ((acts[0] + acts[1]).abs().mean() / acts[0].abs().mean()).item()


def test_what_is_learned_is_more_even(tmp_path):
    assert unevenness(tmp_path / "even", symmetry=True) < 0.6 * unevenness(tmp_path / "plain")


def test_who_cannot_learn_so_is_told(tmp_path):
    with pytest.raises(MyriadError, match="symmetry=True needs the lean update"):
        learner_of(tmp_path, symmetry=True, lean=False)
