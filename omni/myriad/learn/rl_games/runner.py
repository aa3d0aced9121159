# SPDX-License-Identifier: Apache-2.0
"""Train and play a task with rl-games, through its public runner and factories.

rl-games takes seconds to import, so it is imported inside the functions, after everything cheap has been checked.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
import os
import random
import shutil
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from omni.myriad.env.threads import single_threaded
from omni.myriad.errors import MyriadError
from omni.myriad.learn.record.meters import Epoch
from omni.myriad.learn.rl_games import checkpoint
from omni.myriad.learn.rl_games.settings import (
    ALGORITHMS,
    ENV_NAME,
    check_length,
    fit_minibatches,
    rl_games_params,
    skip_test_networks,
    update_threads,
)

if TYPE_CHECKING:
    from omni.myriad.learn.rl_games.agent import PPOAgent

logger = logging.getLogger(__name__)

_CHECK_EVERY = 16  # steps of playing between looks at whether all episodes are in


class Watch(Protocol):
    """Somebody who follows a run from another thread, and may end it."""

    def started(self, agent: PPOAgent, run_dir: Path) -> None:
        """Take note of the agent; setting its `stop_requested` ends the run after the step at hand."""
        ...

    def __call__(self, epoch: Epoch) -> None:
        """Take note of an epoch; called on the thread that learns."""
        ...


def train(
    cfg: Mapping[str, Any], env: Any, run_dir: str | os.PathLike[str], watch: Watch | None = None
) -> dict[str, Any]:
    """Train a policy, and return the summary that is also written to `run_dir`/summary.json.

    Args:
        cfg: resolved configuration, a plain nested dict: `task_name`, `seed`, `train.params` (rl-games' block), and
            optionally `checkpoint` to go on from, `max_iterations`, `save_every` (epochs), `multi_gpu`,
            `wandb_activate` and its companions.
        env: vectorised environment (see omni.myriad.env.vec_env).
        run_dir: the run's folder, created if missing.
        watch: told of the agent before it trains, and of each epoch.

    Raises:
        MyriadError: where the configuration or the checkpoint is wrong, or training stopped being finite.
        KeyboardInterrupt: on Ctrl-C, after last.pth was written; its message names it.
    """
    run_dir = Path(run_dir).absolute()
    resume = _load_matching(cfg["checkpoint"], cfg, env) if cfg.get("checkpoint") else None
    params = rl_games_params(cfg, env, run_dir)
    fit_minibatches(params)
    check_length(params["config"], resume)
    checkpoints = run_dir / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)

    metadata = checkpoint.describe(cfg, _num_obs(env), env.num_actions, env.num_envs)
    listeners: list[Any] = []

    def on_epoch(epoch: Epoch) -> None:
        for listener in listeners:
            listener(epoch)

    agent = make_agent(params, env, checkpoints=checkpoints, metadata=metadata, on_epoch=on_epoch)
    status = "failed"
    recorder = progress = None
    try:
        if resume is not None:
            agent.set_full_state_weights(resume)
            _bring_best(Path(cfg["checkpoint"]).absolute().with_name("best.pth"), checkpoints, resume)
            if "rollout" in resume and resume["rollout"]["num_envs"] != env.num_envs:
                logger.warning(
                    "the checkpoint has %d environments, this run %d: the learner goes on, the environments start anew",
                    resume["rollout"]["num_envs"],
                    env.num_envs,
                )
        _compile(agent, params["config"].get("torch_compile", False))
        if agent.global_rank == 0:
            from omni.myriad.learn.record.progress import Progress
            from omni.myriad.learn.record.recorder import Recorder, start_wandb

            wandb_run = start_wandb(cfg, run_dir) if cfg.get("wandb_activate") else None
            recorder = Recorder(run_dir, agent.writer, wandb_run)
            title = f"{cfg['task_name']}, {env.num_envs} environments on {env.device}"
            progress = Progress(title, agent.max_epochs, agent.max_frames)
            listeners += [recorder, progress]
        if watch is not None:
            listeners.append(watch)
            watch.started(agent, run_dir)
        _seed_python(params["seed"] + agent.global_rank)  # once more: modules imported meanwhile have drawn from it
        with _stop_on_interrupt(agent):
            agent.train()
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        last = checkpoints / "last.pth"
        raise KeyboardInterrupt(f"stopped after epoch {agent.epoch_num}; go on with checkpoint={last}") from None
    finally:
        if progress is not None:
            progress.close()
        summary = _summary(cfg, env, agent, recorder.last if recorder else None, status)
        if recorder is not None:
            recorder.close(summary)
        elif agent.writer is not None:
            agent.writer.close()
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    return summary


def play(cfg: Mapping[str, Any], env: Any, checkpoint_path: str | os.PathLike[str], episodes: int) -> dict[str, Any]:
    """Play a policy without exploration, and return the mean and spread of reward and length.

    Every environment plays its share of the episodes, its first ones: taking whichever end first would favour
    short episodes.

    Args:
        cfg: resolved configuration, as for `train`.
        env: vectorised environment.
        checkpoint_path: the .pth file to play.
        episodes: number of episodes, exactly.

    Raises:
        MyriadError: where the checkpoint is wrong or does not fit the task.
    """
    if episodes < 1:
        raise MyriadError(f"episodes={episodes}: play at least one")
    player = make_player(cfg, env, _load_matching(checkpoint_path, cfg, env), checkpoint_path)
    with single_threaded(env.device):
        rewards, lengths = _play_episodes(player, env, episodes)
    return {
        "task": cfg["task_name"],
        "checkpoint": str(checkpoint_path),
        "episodes": len(rewards),
        "reward_mean": float(rewards.mean()),
        "reward_std": float(rewards.std(unbiased=False)),
        "reward_min": float(rewards.min()),
        "reward_max": float(rewards.max()),
        "episode_length_mean": float(lengths.mean()),
        "episode_length_std": float(lengths.std(unbiased=False)),
    }


def make_player(
    cfg: Mapping[str, Any], env: Any, state: Mapping[str, Any], path: str | os.PathLike[str] = "checkpoint"
) -> Any:
    """Return rl-games' player with a checkpoint's weights, to be asked for actions without exploration.

    Args:
        cfg: resolved configuration, as for `train`.
        env: vectorised environment; its spaces, size and device are all that is looked at.
        state: what `checkpoint.load` returned.
        path: the checkpoint's file, for messages.

    Raises:
        MyriadError: where the checkpoint does not fit the configuration.
    """
    params = rl_games_params(cfg, env, Path(path).absolute().parent)
    params["config"]["player"] = {"use_vecenv": True, "deterministic": True}
    player = new_player(params, env)
    try:
        player.set_weights(state)
    except RuntimeError as error:
        raise MyriadError(f"checkpoint {path} holds another network than the configuration asks for") from error
    if params["model"]["name"] == "continuous_a2c_tanh":
        # This model's actions are tanh(sample) in training, but rl-games' player would execute the mean as it is.
        player.model.register_forward_hook(lambda _model, _inputs, result: result | {"mus": result["mus"].tanh()})
    return player


def _play_episodes(player: Any, env: Any, episodes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return reward and length of each of exactly `episodes` episodes, (episodes,) each."""
    device = env.device
    share = torch.full((env.num_envs,), episodes // env.num_envs, device=device)
    share[: episodes % env.num_envs] += 1
    most = int(share.max())
    results = torch.zeros(env.num_envs, most, 2, device=device)  # reward, length
    running = torch.zeros(env.num_envs, 2, device=device)
    played = torch.zeros_like(share)
    env_ids = torch.arange(env.num_envs, device=device)

    obs = player.env_reset(env)
    player.get_batch_size(obs, 1)
    player.reset()
    step = 0
    while step % _CHECK_EVERY or bool((played < share).any()):
        actions = player.get_action(obs, is_deterministic=True)
        if env.num_envs == 1 and actions.dim() == 0:
            actions = actions.unsqueeze(0)  # the discrete player squeezes the only environment away
        observed, reward, done, _ = env.step(actions)
        obs = player.obs_to_torch(observed)
        done = done.bool()
        running[:, 0] += reward.view(-1)
        running[:, 1] += 1.0
        slot = played.clamp(max=most - 1)
        counts = (done & (played < share)).unsqueeze(1)
        results[env_ids, slot] = torch.where(counts, running, results[env_ids, slot])
        played += done
        running.masked_fill_(done.unsqueeze(1), 0.0)
        if player.is_rnn:
            for memory in player.states:
                memory.masked_fill_(done.view(1, -1, 1), 0.0)
        step += 1
    results = results[torch.arange(most, device=device) < share.unsqueeze(1)].cpu()
    return results[:, 0], results[:, 1]


def _bring_best(best: Path, checkpoints: Path, resume: Mapping[str, Any]) -> None:
    """Copy the best checkpoint so far beside those to come, if it is the one that the resumed run has to beat."""
    if best.parent == checkpoints or not best.exists():
        return
    if checkpoint.load(best)["last_mean_rewards"] == resume["last_mean_rewards"]:
        shutil.copyfile(best, checkpoints / "best.pth")


def _load_matching(path: str | os.PathLike[str], cfg: Mapping[str, Any], env: Any) -> dict[str, Any]:
    state = checkpoint.load(path)
    checkpoint.check_matches(state, cfg["task_name"], _num_obs(env), env.num_actions, path)
    return state


def _num_obs(env: Any) -> int:
    return math.prod(env.observation_space.shape)


def new_player(params: dict[str, Any], env: Any) -> Any:
    """Return rl-games' player with fresh weights, seeded."""
    skip_test_networks()
    from rl_games.algos_torch.players import PpoPlayerContinuous, PpoPlayerDiscrete

    player_class = dict(zip(ALGORITHMS, (PpoPlayerContinuous, PpoPlayerDiscrete), strict=True))[params["algo"]["name"]]
    return _construct(lambda: player_class(params=params), params, env)


def make_agent(params: dict[str, Any], env: Any, **ours: Any) -> PPOAgent:
    """Return one of our agents, seeded.

    Args:
        params: what `rl_games_params` returned.
        env: vectorised environment.
        ours: what `PPOAgent` takes beyond rl-games' arguments.

    Raises:
        MyriadError: where rl-games cannot use the settings.
    """
    skip_test_networks()
    from omni.myriad.learn.rl_games.agent import ContinuousAgent, DiscreteAgent

    agent_class = dict(zip(ALGORITHMS, (ContinuousAgent, DiscreteAgent), strict=True))[params["algo"]["name"]]
    return _construct(lambda: agent_class(base_name="run", params=params, **ours), params, env)


def _construct(make: Callable[[], Any], params: dict[str, Any], env: Any) -> Any:
    """Prepare what rl-games' Runner would, and make an agent or a player.

    Not by the Runner itself: its module imports torch's compiler, which takes a second and is not used.
    """
    from rl_games.common import env_configurations, tr_helpers, vecenv
    from rl_games.common.algo_observer import AlgoObserver

    vecenv.register("MYRIAD", lambda config_name, num_actors, **_: env)
    env_configurations.register(ENV_NAME, {"vecenv_type": "MYRIAD", "env_creator": lambda **_: env})
    config = params["config"]
    rank = int(os.environ.get("RANK", "0")) if config["multi_gpu"] else 0
    # As the Runner has them: small networks lose nothing by it.
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.set_num_threads(update_threads(params, len(os.sched_getaffinity(0))))
    try:
        with _quiet():
            config["reward_shaper"] = tr_helpers.DefaultRewardsShaper(**config["reward_shaper"])
            config.setdefault("features", {})["observer"] = AlgoObserver()
            _seed(params["seed"] + rank)
            return make()
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise _bad_settings(error) from error


def _bad_settings(error: Exception) -> MyriadError:
    if isinstance(error, KeyError):
        return MyriadError(f"rl-games misses the setting {error.args[0]} in train.params")
    return MyriadError(f"rl-games cannot use train.params: {' '.join(str(error).split())}")


def _seed(seed: int) -> None:
    _seed_python(seed)
    torch.manual_seed(seed)


def _seed_python(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)


def _compile(agent: PPOAgent, setting: bool | str | Mapping[str, str]) -> None:
    """Compile the networks as rl-games' runner would, which it does unasked: true, a mode, or a mode for each."""
    if not setting:
        return
    modes = setting if isinstance(setting, Mapping) else {"mode": "default" if setting is True else setting}
    mode = modes.get("mode", "default")
    agent.model = torch.compile(agent.model, mode=mode)
    if agent.has_central_value:
        critic = agent.central_value_net
        critic.model = torch.compile(critic.model, mode=modes.get("critic_mode", mode))


class _LogStream(io.TextIOBase):
    """Turn what a library prints into log records."""

    def write(self, text: str) -> int:
        if text.strip():
            logger.debug("rl-games: %s", text.rstrip())
        return len(text)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with contextlib.redirect_stdout(_LogStream()), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # Of rl-games' scaler for half precision, which bfloat16 does not need.
        warnings.filterwarnings("ignore", message=".*GradScaler is enabled, but CUDA is not available")
        yield


@contextlib.contextmanager
def _stop_on_interrupt(agent: PPOAgent) -> Iterator[None]:
    """Let the first Ctrl-C finish the step at hand and save; a second one stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def request_stop(_signal: int, _frame: FrameType | None) -> None:
        agent.stop_requested = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, request_stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _summary(cfg: Mapping[str, Any], env: Any, agent: PPOAgent, last: Epoch | None, status: str) -> dict[str, Any]:
    engine = cfg.get("engine")
    best, newest = agent.checkpoints / "best.pth", agent.checkpoints / "last.pth"
    reward_mean, _, length = agent.episodes.means()
    summary = {
        "task": cfg["task_name"],
        "status": status,
        "seed": cfg.get("seed"),
        "num_envs": env.num_envs,
        "engine": engine.get("name") if isinstance(engine, Mapping) else engine,
        "device": str(env.device),
        "frames": agent.frame,
        "epochs": agent.epoch_num,
        "train_seconds": round(agent.train_seconds, 3),
        "frames_per_second": round(agent.frame / agent.train_seconds, 1) if agent.train_seconds else None,
        "reward_mean": reward_mean,
        "reward_best": agent.reward_best if agent.reward_best is not None else reward_mean,
        "episode_length_mean": length,
        "learning_rate": last.learning_rate if last else None,
        "checkpoint": str(best if best.exists() else newest) if best.exists() or newest.exists() else None,
    }
    return json.loads(json.dumps(summary))
