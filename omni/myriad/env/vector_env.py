# SPDX-License-Identifier: Apache-2.0
"""A `VecEnv` as gymnasium's `VectorEnv`, so that whatever steps those can step a task."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from omni.myriad.env.vec_env import Observations, VecEnv
from omni.myriad.files import map_leaves


class GymnasiumVecEnv(VectorEnv[Any, Any, Any]):
    """All environments of a task under gymnasium's names; what it returns is the caller's to keep.

    An episode that ended, by `terminations` or at the step limit by `truncations`, comes with its last observation. The
    next step begins a new one: gymnasium's next-step mode, but for one difference. That step takes its action and earns
    its reward in the new episode, where gymnasium's own environments only reset.

    Args:
        env: The environment, with its task.
        tensors: Whether observations, rewards and ends are torch tensors on the environment's device, and actions may
            be; by default all are NumPy arrays, which on a GPU costs copies in every step.

    Attributes:
        env: The environment.
        device: Where it computes.
    """

    def __init__(self, env: VecEnv, tensors: bool = False) -> None:
        self.env, self._tensors = env, tensors
        self.device, self.num_envs = env.device, env.num_envs
        self.single_observation_space, self.single_action_space = env.observation_space, env.action_space
        self.observation_space = batch_space(env.observation_space, self.num_envs)
        self.action_space = batch_space(env.action_space, self.num_envs)
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}
        self.spec = EnvSpec(id=f"{env.task.name}-v0", nondeterministic=env.device.type != "cpu")

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start every environment again, and return their observations and nothing more.

        Args:
            seed: Seeds torch, which tasks draw from, and what gymnasium draws from.
            options: There are none; they are left unread.
        """
        super().reset(seed=seed, options=options)
        if seed is not None:
            torch.manual_seed(seed)
        return self._observations(self.env.reset()), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step every environment once.

        Args:
            actions: As the action space has them, arrays or tensors.

        Returns:
            Observations, rewards, terminations, truncations, and as info "states" where the task has private
            observations for a critic, and what else it puts into `extras` for each environment.
        """
        observed, rewards, dones, extras = self.env.step(torch.as_tensor(actions, device=self.device))
        truncations = extras["time_outs"].bool()
        terminations = dones.bool() & ~truncations
        known = {name: value for name, value in extras.items() if name != "time_outs" and self._is_batch(value)}
        if "states" in observed:
            known["states"] = observed["states"]
        infos = {name: self._own(value) for name, value in known.items()}
        return self._observations(observed), self._own(rewards), self._own(terminations), self._own(truncations), infos

    def _is_batch(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.shape[:1] == (self.num_envs,)

    def _observations(self, observed: Observations) -> Any:
        return map_leaves(self._own, observed["obs"])

    def _own(self, value: torch.Tensor) -> Any:
        """Return a copy: the environment uses its buffers again."""
        return value.clone() if self._tensors else value.cpu().numpy().copy()

    def close_extras(self, **_: Any) -> None:
        """Release physics."""
        self.env.close()
