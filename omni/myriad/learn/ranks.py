# SPDX-License-Identifier: Apache-2.0
"""Several processes that learn as one: every rank steps environments on a GPU of its own, all keep the same weights.

A process that no others were started with is the only rank, and each of these functions does nothing to its numbers.
Where ranks are given a CPU (`sim_device=cpu`) they talk through gloo, else through NCCL.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
import torch.distributed as dist

from omni.myriad.errors import MyriadError, RankLost

T = TypeVar("T")

_SEEDS_APART = 1_000_003  # so that no rank of one run draws what a rank of another does, whose seed is the next


def join(device: torch.device | str) -> None:
    """Become a rank of a run: take the device, and a share of this machine's cores, and meet the others.

    Args:
        device: The rank's own; everything that is made on "cuda" from here on is made there.

    Raises:
        MyriadError: If nobody said which rank this is, as torchrun and `gpus=N` do.
    """
    if not {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys():
        raise MyriadError(
            "multi_gpu=True is for processes that torchrun starts; on one machine gpus=N starts a process for each GPU."
        )
    device = torch.device(device)
    _take_cores(int(os.environ.get("LOCAL_RANK") or 0), int(os.environ.get("LOCAL_WORLD_SIZE") or 1))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with _others():
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo", device_id=device if device.type == "cuda" else None
        )


def leave() -> None:
    """Part from the other ranks, if there are any."""
    if _is_shared():
        dist.destroy_process_group()


def rank() -> int:
    """Return this process's number among all; the first speaks, writes and decides for them."""
    return dist.get_rank() if _is_shared() else 0


def count() -> int:
    """Return how many ranks there are."""
    return dist.get_world_size() if _is_shared() else 1


def own_seed(seed: int) -> int:
    """Return the seed with which this rank draws."""
    return seed + _SEEDS_APART * rank()


def agree(value: T) -> T:
    """Return the first rank's value, a plain one, on every rank."""
    if count() == 1:
        return value
    values = [value]
    with _others():
        dist.broadcast_object_list(values, 0)
    return values[0]


def share(tensor: torch.Tensor) -> None:
    """Replace a tensor by the first rank's."""
    if count() > 1:
        with _others():
            dist.broadcast(tensor, 0)


def add_up(tensor: torch.Tensor) -> None:
    """Replace a tensor by its sum over all ranks, to the bit the same on each."""
    if count() > 1:
        with _others():
            dist.all_reduce(tensor)


def moments(samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Return mean, variance and number of the samples of all ranks, each of which has as many.

    Merged as Chan, Golub and LeVeque do, "Updating formulae and a pairwise algorithm for computing sample variances"
    (1979).

    Args:
        samples: (batch, *shape).

    Returns:
        Mean and biased variance, (*shape), and how many samples they are of.
    """
    var, mean = torch.var_mean(samples, dim=0, unbiased=False)
    if count() == 1:
        return mean, var, samples.shape[0]
    own = torch.stack((mean, var)).double()
    of_ranks = own.new_zeros(count(), *own.shape)
    of_ranks[rank()] = own
    add_up(of_ranks)
    means, variances = of_ranks.unbind(1)
    mean = means.mean(0)
    return mean, variances.mean(0) + (means - mean).square().mean(0), samples.shape[0] * count()


def _is_shared() -> bool:
    return dist.is_available() and dist.is_initialized()


def _take_cores(local_rank: int, ranks_here: int) -> None:
    """Keep to a share of this machine's cores, and start as many threads as fit there."""
    cores = sorted(os.sched_getaffinity(0))
    each = max(1, len(cores) // ranks_here)
    first = local_rank * each % len(cores)
    os.sched_setaffinity(0, cores[first : first + each])


@contextmanager
def _others() -> Iterator[None]:
    """Say that another rank ended where it no longer answers; why, it says itself."""
    try:
        yield
    except RuntimeError as error:
        raise RankLost(str(error)) from error
