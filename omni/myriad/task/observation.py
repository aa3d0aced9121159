# SPDX-License-Identifier: Apache-2.0
"""Fill an observation from named quantities, as its terms say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import torch

from omni.myriad.errors import MyriadError
from omni.myriad.task.terms import STATE, ImageTerm, Noise, Numbers, ObservationTerm, Terms, check_terms

Quantities = Mapping[str, torch.Tensor]


class Observation:
    """What terms describe: a vector with a slice for each, and pictures beside it.

    Quantities are concatenated as they come, and scaled all at once: on a GPU three kernels at most, however many terms
    there are, and two more for clipping and noise where a term asks for them.

    Args:
        what: "observation" or "state" and the task's name, for messages.
        terms: The terms in order, at least one.
        num_envs: Number of environments.
        device: Where the tensors are.
        noisy: Whether noise is added.

    Attributes:
        parts: By name, the slice of the vector that a term fills, or the picture.
    """

    def __init__(self, what: str, terms: Terms, num_envs: int, device: torch.device, noisy: bool = False) -> None:
        self._what, self._num_envs, self._device = what, num_envs, device
        self._size = check_terms(what, terms, None)
        self._vector_terms = [term for term in terms if isinstance(term, ObservationTerm)]
        self._images = [term for term in terms if isinstance(term, ImageTerm)]
        self._checked = False
        noises = {kind: self._noise(kind) for kind in ("uniform", "gaussian")} if noisy else {}
        self._noises = {kind: amounts for kind, amounts in noises.items() if amounts.any()}
        # What changes nothing is None, and costs nothing.
        offset, scale = self._row("offset"), self._row("scale")
        self._offset = offset if offset.any() else None
        self._scale = scale if (scale != 1.0).any() else None
        bounds = [term.clip or (-np.inf, np.inf) for term in self._vector_terms]
        clips = any(term.clip for term in self._vector_terms)
        self._clip = [self._spread([bound[side] for bound in bounds]) for side in (0, 1)] if clips else None

    @property
    def names(self) -> set[str]:
        """Names of the terms."""
        return {term.name for term in (*self._vector_terms, *self._images)}

    @property
    def space(self) -> gymnasium.Space:
        """Space of the observation of one environment."""
        vector = gymnasium.spaces.Box(-np.inf, np.inf, (self._size,), np.float32)
        if not self._images:
            return vector
        spaces: dict[str, gymnasium.Space] = {STATE: vector} if self._size else {}
        for term in self._images:
            low, high = (0, 255) if term.dtype == "uint8" else (-np.inf, np.inf)
            spaces[term.name] = gymnasium.spaces.Box(low, high, term.seen_shape, np.dtype(term.dtype).type)
        return gymnasium.spaces.Dict(spaces)

    def allocate(self) -> Any:
        """Make the buffers, filled with zeros.

        Returns:
            What `fill` fills from now on: the vector, (num_envs, size); with pictures a dictionary of that as "state"
            and of each picture, (num_envs, height, width, channels), under its name.
        """
        n, device = self._num_envs, self._device
        self._vector = torch.zeros((n, self._size), device=device)
        self._drawn = torch.zeros_like(self._vector) if self._noises else None
        slices = self._vector.split([term.size for term in self._vector_terms], dim=-1) if self._size else ()
        self.parts = {term.name: part for term, part in zip(self._vector_terms, slices, strict=True)}
        images = {
            term.name: torch.zeros((n, *term.seen_shape), dtype=getattr(torch, term.dtype), device=device)
            for term in self._images
        }
        self._without_past = torch.ones(n, dtype=torch.bool, device=device)
        self.parts |= images
        if not images:
            return self._vector
        return {STATE: self._vector, **images} if self._size else images

    def forget(self) -> None:
        """Let the next picture be the first of its stack everywhere, as where another state was written."""
        self._without_past.fill_(True)

    def fill(self, quantities: Quantities, begun: torch.Tensor | None = None) -> None:
        """Fill the buffer: concatenate, subtract offsets, multiply by scales, clip, add noise; copy pictures.

        Args:
            quantities: By the terms' names, (num_envs, size) before scaling, or any shape with as many numbers for each
                environment; pictures (num_envs, height, width, channels).
            begun: Where this is the first observation of an episode, (num_envs,) bool; None for nowhere.

        Raises:
            MyriadError: At the first call, if one is missing or has another shape.
        """
        if not self._checked:
            self._check(quantities)
            self._checked = True
        if self._vector_terms:
            given = [quantities[term.name] for term in self._vector_terms]
            flat = [tensor if tensor.ndim == 2 else tensor.reshape(self._num_envs, -1) for tensor in given]
            vector = torch.cat(flat, dim=-1, out=self._vector)
            if self._offset is not None:
                vector.sub_(self._offset)
            if self._scale is not None:
                vector.mul_(self._scale)
            if self._clip is not None:
                torch.clamp(vector, *self._clip, out=vector)
            if self._drawn is not None:
                for kind, amounts in self._noises.items():
                    self._drawn.uniform_(-1.0, 1.0) if kind == "uniform" else self._drawn.normal_()
                    vector.addcmul_(self._drawn, amounts)
        if begun is not None:
            self._without_past |= begun
        for term in self._images:
            self._fill_image(term, quantities[term.name])
        self._without_past.fill_(False)

    def _fill_image(self, term: ImageTerm, picture: torch.Tensor) -> None:
        seen, channels = self.parts[term.name], term.shape[2]
        if term.clip or term.scale != 1.0:
            picture = (picture.clamp(*term.clip) if term.clip else picture) * term.scale
        if term.stack > 1:
            same = picture.repeat(1, 1, 1, term.stack - 1)
            seen[..., :-channels] = torch.where(self._without_past.view(-1, 1, 1, 1), same, seen[..., channels:])
        seen[..., -channels:] = picture

    def _check(self, quantities: Quantities) -> None:
        n = self._num_envs
        for term in (*self._vector_terms, *self._images):
            value = quantities.get(term.name)
            if value is None:
                given = ", ".join(quantities) or "nothing"
                raise MyriadError(f"{self._what} term {term.name} is missing; observe() was given: {given}.")
            if isinstance(term, ImageTerm):
                wanted, fits = (n, *term.shape), tuple(value.shape) == (n, *term.shape)
                if value.dtype != getattr(torch, term.dtype):
                    raise MyriadError(f"{self._what} term {term.name} must be {term.dtype}, got {value.dtype}.")
            else:
                wanted = (n, term.size)
                fits = value.shape[:1] == (n,) and value.numel() == n * term.size
            if not fits:
                raise MyriadError(f"{self._what} term {term.name} must have shape {wanted}, got {tuple(value.shape)}.")
            device = self._vector.device
            if value.device != device:
                raise MyriadError(f"{self._what} term {term.name} must be on {device}, got {value.device}.")

    def _row(self, key: str) -> torch.Tensor:
        """Return a number of every term spread over the vector."""
        return self._spread([getattr(term, key) for term in self._vector_terms])

    def _noise(self, kind: str) -> torch.Tensor:
        """Return how much noise of a kind each element gets, scaled as the element is."""
        noises = [term.noise or Noise(0.0) for term in self._vector_terms]
        return self._row("scale") * self._spread([noise.amount if noise.kind == kind else 0.0 for noise in noises])

    def _spread(self, numbers: list[Numbers]) -> torch.Tensor:
        each = [
            torch.tensor(number, dtype=torch.float32, device=self._device).expand(term.size)
            for term, number in zip(self._vector_terms, numbers, strict=True)
        ]
        return torch.cat([torch.zeros(0, device=self._device), *each])
