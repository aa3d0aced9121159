# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint to one ONNX file that carries everything, written only once it is proven."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from omni.myriad.errors import MyriadError
from omni.myriad.files import replacing, write_json, write_text
from omni.myriad.learn.base import Actor
from omni.myriad.policy.description import rebuild_space
from omni.myriad.policy.graph import PolicyGraph, to_onnx
from omni.myriad.policy.metadata import build_metadata, embed
from omni.myriad.policy.parity import OnnxSide, TrainerSide, golden_pairs, replay
from omni.myriad.policy.recording import Recording, check_fits
from omni.myriad.policy.sidecars import sidecar_texts

logger = logging.getLogger(__name__)


class Spaces:
    """An environment's spaces without the environment: all that `make_actor` asks for."""

    def __init__(self, description: Mapping[str, Any], num_envs: int) -> None:
        self.num_envs = num_envs
        self.num_actions: int = description["spaces"]["num_actions"]
        self.device = torch.device("cpu")
        self.observation_space = rebuild_space(description["spaces"]["observation"])
        self.action_space = rebuild_space(description["spaces"]["action"])


def export_policy(
    actor: Actor,
    state: Mapping[str, Any],
    checkpoint: Path,
    description: Mapping[str, Any],
    recording: Recording,
    output: Path,
    opset: int = 17,
) -> dict[str, Any]:
    """Write a policy as one ONNX file, with side-cars beside it, and return its metadata.

    Args:
        actor: The checkpoint's policy, on the CPU.
        state: What `checkpoint.load` returned.
        checkpoint: The checkpoint's file.
        description: What `describe_task` returned for the run.
        recording: Raw observations from the task, for the proof.
        output: The .onnx file to write; `<stem>.json` and the folder `<stem>.sidecars/` go beside it.
        opset: ONNX operator set.

    Raises:
        MyriadError: If the recording does not fit, the network cannot be exported, or the exported policy acts
            differently; then nothing is written.
    """
    if output.suffix != ".onnx":
        raise MyriadError(f"output={output} must be a file that ends in .onnx.")
    graph = PolicyGraph(actor.export_module(), description)
    check_fits(recording, graph.parts)
    observed = description["observation_terms"] or description.get("image_terms")
    if not observed or not description["action_terms"]:
        logger.warning(
            "task %s does not say what it observes or commands (observation_terms, action_terms): "
            "the file names no joints, and a robot must know them from elsewhere",
            description["task"],
        )
    model = to_onnx(graph, opset)
    trainer = TrainerSide(actor, description)
    meta = build_metadata(description, state, checkpoint, graph, model)
    meta["parity"] = replay(trainer, OnnxSide(model.SerializeToString(), graph.states), recording)
    meta["golden"] = golden_pairs(trainer, recording, sequential=bool(graph.states))
    _write(output, embed(model, meta), meta)
    return meta


def _write(output: Path, data: bytes, meta: Mapping[str, Any]) -> None:
    """Write side-cars, then the file itself, each whole or not at all, once the runtime has loaded and tested it."""
    from omni.myriad.policy.runtime import Policy, PolicyError

    with replacing(output) as new:
        new.write_bytes(data)
        try:
            Policy(new)
        except PolicyError as error:
            raise MyriadError(f"The exported policy fails its own self-test, nothing was written: {error}") from error
        for name, text in sidecar_texts(meta).items():
            write_text(output.with_suffix(".sidecars") / name, text)
        # For people, with the hash of the finished file, which cannot be inside it.
        write_json(output.with_suffix(".json"), {"file_sha256": hashlib.sha256(data).hexdigest(), **meta})
