# SPDX-License-Identifier: Apache-2.0
"""One rank of a training on cart-poles, as a process: `python -m tests.learn.rl_games.rank FOLDER WHAT [CHECKPOINT]`.

All random numbers are drawn for the environments of all ranks, in the same order everywhere, and each rank takes those
of its own. So what N ranks learn from can be what one process does.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from omni.myriad.app import cli
from omni.myriad.errors import MyriadError
from omni.myriad.learn import checkpoint, ranks, run
from tests.learn.rl_games.deterministic_env import CartPoleEnv, make_cfg

NUM_ENVS, MINIBATCHES, EPOCHS, HORIZON = 32, 2, 3, 16  # of all ranks together


class ShareOfEnvs(CartPoleEnv):
    """This rank's share of NUM_ENVS cart-poles: of each minibatch of all the same part."""

    def __init__(self, with_states: bool) -> None:
        rank, count = ranks.rank(), ranks.count()
        self.rows = torch.arange(NUM_ENVS).view(MINIBATCHES, count, -1)[:, rank].flatten()
        super().__init__(NUM_ENVS // count, max_steps=30, with_states=with_states)
        self.noise = torch.Generator().manual_seed(1)

    def _start(self, mask: torch.Tensor) -> None:
        fresh = torch.rand(NUM_ENVS, 4, generator=self.generator)[self.rows] * 0.1 - 0.05
        self.obs_buf.copy_(torch.where(mask.unsqueeze(1), fresh, self.obs_buf))
        self.progress.masked_fill_(mask, 0)

    def normal(self, like: torch.Tensor) -> torch.Tensor:
        """Stand in for torch.randn_like, with which the lean rollout samples actions."""
        return torch.randn(NUM_ENVS, *like.shape[1:], generator=self.noise)[self.rows]


def train(folder: Path, epochs: int = EPOCHS, resume: str = "", fault: str = "", **settings: Any) -> dict[str, Any]:
    """Train and return what this rank has learned; with a memory, a critic of its own, too."""
    env = ShareOfEnvs(with_states=bool(settings.get("rnn")))
    torch.randn_like = env.normal
    torch.normal = lambda mean, std: mean + std * env.normal(mean)  # with which torch's distributions do
    if ranks.rank() == 1 and fault in FAULTS:
        env.poison[HORIZON + 3] = noted(folder, FAULTS[fault])
    minibatch_size = env.num_envs * HORIZON // MINIBATCHES
    config = make_cfg(env, max_iterations=epochs, horizon_length=HORIZON, minibatch_size=minibatch_size, **settings)
    config["checkpoint"] = resume
    summary, learner = run.train(config, env, folder, resume=checkpoint.load(resume) if resume else None)
    agent = learner.agent  # type: ignore[attr-defined]
    weights = agent.model.state_dict() | (agent.central_value_net.state_dict() if agent.has_central_value else {})
    return {"model": weights, "lr": agent.last_lr, "summary": checkpoint.plain(summary)}


def fail(*_: torch.Tensor) -> None:
    """Be wrong in a way that Myriad explains."""
    raise MyriadError("rank 1 was told to fail")


def divide(*_: torch.Tensor) -> None:
    """Be wrong in a way that nobody thought of."""
    raise ZeroDivisionError("a defect of rank 1")


def noted(folder: Path, fault: Callable[..., object]) -> Callable[..., None]:
    """Return a fault that leaves a file behind just before it happens."""

    def happen(*arguments: torch.Tensor) -> None:
        (folder / "failed").touch()
        fault(*arguments)

    return happen


FAULTS = {"error": fail, "defect": divide, "killed": lambda *_: os.kill(os.getpid(), signal.SIGKILL)}


def main(folder: Path, what: str, resume: str = "") -> None:
    """Train, and leave what was learned in the folder."""
    ranks.join("cpu")
    rank = ranks.rank()
    if what == "deaf" and rank == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600.0)
    if what == "deaf":
        noted(folder, fail)()
    epochs = 10**6 if what == "endless" else EPOCHS
    settings = {"lean": what != "stock", "rnn": what == "memory", "save_frequency": int(what == "endless")}
    learned = train(folder, epochs, resume, what, **settings)
    torch.save(learned, folder / f"rank_{rank}.pt")


if __name__ == "__main__":
    cli.attempt(lambda: main(Path(sys.argv[1]), *sys.argv[2:]))
