# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint to one ONNX file that carries everything, written only once it is proven."""

from __future__ import annotations

import copy
import hashlib
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from omni.myriad.errors import MyriadError
from omni.myriad.policy.description import rebuild_space
from omni.myriad.policy.graph import PolicyGraph, to_onnx
from omni.myriad.policy.metadata import build_metadata, embed
from omni.myriad.policy.parity import OnnxSide, PlayerSide, golden_pairs, replay
from omni.myriad.policy.recording import Recording, check_fits
from omni.myriad.policy.sidecars import readable, sidecar_texts

logger = logging.getLogger(__name__)


class Spaces:
    """An environment's spaces without the environment: all that rl-games' player asks for."""

    def __init__(self, description: Mapping[str, Any], num_envs: int) -> None:
        self.num_envs = num_envs
        self.num_actions: int = description["spaces"]["num_actions"]
        self.device = torch.device("cpu")
        self.observation_space = rebuild_space(description["spaces"]["observation"])
        self.action_space = rebuild_space(description["spaces"]["action"])

    def get_env_info(self) -> dict[str, Any]:
        """Return the spaces in the form rl-games asks for."""
        spaces = {"observation_space": self.observation_space, "action_space": self.action_space}
        return {**spaces, "agents": 1, "value_size": 1}


def export_policy(
    state: Mapping[str, Any],
    checkpoint: Path,
    description: Mapping[str, Any],
    recording: Recording,
    output: Path,
    opset: int = 17,
) -> dict[str, Any]:
    """Write a policy as one ONNX file, with side-cars beside it, and return its metadata.

    Args:
        state: What `ppo.checkpoint.load` returned.
        checkpoint: The checkpoint's file.
        description: What `describe_task` returned for the run.
        recording: Raw observations from the task, for the proof.
        output: The .onnx file to write; `<stem>.json` and the folder `<stem>.sidecars/` go beside it.
        opset: ONNX operator set.

    Raises:
        MyriadError: If the checkpoint does not fit its task, the network cannot be exported, or the exported policy
            acts differently; then nothing is written.
    """
    from omni.myriad.learn.rl_games.runner import make_player

    if output.suffix != ".onnx":
        raise MyriadError(f"output={output} must be a file that ends in .onnx.")
    config = copy.deepcopy(state["myriad"]["config"])
    config["multi_gpu"] = False
    spaces = Spaces(description, recording.num_envs)
    player = make_player(config, spaces, state, checkpoint)
    graph = PolicyGraph(player, description)
    check_fits(recording, graph.parts, "The recording")
    if not description["observation_terms"] or not description["action_terms"]:
        logger.warning(
            "task %s does not say what it observes or commands (observation_terms, action_terms): "
            "the file names no joints, and a robot must know them from elsewhere",
            description["task"],
        )
    model = to_onnx(graph, opset)
    player_side = PlayerSide(player, description)
    onnx_side = OnnxSide(model.SerializeToString(), graph.state_names, graph.state_shapes)
    replayed = replay(player_side, onnx_side, recording)
    meta = build_metadata(
        description=description,
        state=state,
        checkpoint=checkpoint,
        graph=graph,
        model=model,
        replayed=replayed,
        golden=golden_pairs(player_side, recording),
    )
    _write(output, embed(model, meta), meta)
    return meta


def _write(output: Path, data: bytes, meta: Mapping[str, Any]) -> None:
    """Write side-cars, then the file itself, each whole or not at all, once the runtime has loaded and tested it."""
    from omni.myriad.policy.runtime import Policy, PolicyError

    sidecars = output.with_suffix(".sidecars")
    texts = {output.with_suffix(".json"): readable(meta, hashlib.sha256(data).hexdigest())}
    texts |= {sidecars / name: text for name, text in sidecar_texts(meta).items()}
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=output.parent) as folder:
            new = Path(folder) / output.name
            new.write_bytes(data)
            try:
                Policy(new)
            except PolicyError as error:
                raise MyriadError(
                    f"The exported policy fails its own self-test, nothing was written: {error}"
                ) from error
            for number, (path, text) in enumerate(texts.items()):
                path.parent.mkdir(parents=True, exist_ok=True)
                part = Path(folder) / str(number)
                part.write_text(text)
                os.replace(part, path)
            os.replace(new, output)
    except OSError as error:
        raise MyriadError(f"{output} cannot be written: {error.strerror or error}.") from None
