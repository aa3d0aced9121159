# SPDX-License-Identifier: Apache-2.0
"""Every kind of policy leaves as a file that acts as rl-games' player does, or does not leave at all."""

import hashlib
import json

import numpy as np
import onnx
import pytest
import torch
from gymnasium import spaces

from omni.myriad.errors import MyriadError
from omni.myriad.learn.rl_games.actor import Normalize, RlGamesActor
from omni.myriad.learn.run import make_actor
from omni.myriad.policy.export import Spaces, export_policy
from omni.myriad.policy.runtime import METADATA_KEY, Policy
from omni.myriad.task.terms import ActionTerm, ObservationTerm, describe_terms
from tests.policy.synthetic import CNN, CRITIC, box, describe, make_policy

FLAT, TWO = box(5), box(2, low=-1.0, high=1.0)
LSTM = {"rnn": {"name": "lstm", "units": 6, "layers": 1, "before_mlp": False, "concat_input": True}}
GRU = {"rnn": {"name": "gru", "units": 6, "layers": 2, "before_mlp": True, "concat_output": True, "layer_norm": True}}

# name: observation space, action space, network, config, model, clips
KINDS = {
    "continuous": (FLAT, TWO, {}, {}, None, {}),
    "state-dependent sigma": (FLAT, TWO, {"separate": True, "continuous": {"fixed_sigma": False}}, {}, None, {}),
    "tanh model": (FLAT, TWO, {}, {}, "continuous_a2c_tanh", {}),
    "tanh activation": (FLAT, TWO, {"continuous": {"mu_activation": "tanh"}}, {}, None, {}),
    "no normalisation": (FLAT, TWO, {}, {"normalize_input": False}, None, {}),
    "clips": (FLAT, TWO, {}, {}, None, {"clip_observations": 2.0, "clip_actions": 0.3}),
    "own action bounds": (FLAT, box(2, low=-2.0, high=0.5), {}, {}, None, {"clip_actions": 1.5}),
    "rl-games' clip off": (FLAT, TWO, {}, {"clip_actions": False}, None, {"clip_actions": 0.5}),
    "discrete": (FLAT, spaces.Discrete(3), {}, {}, None, {}),
    "multi-discrete": (FLAT, spaces.Tuple([spaces.Discrete(3), spaces.Discrete(2)]), {}, {}, None, {}),
    "LSTM": (FLAT, TWO, LSTM, {}, None, {}),
    "LSTM, separate critic": (FLAT, TWO, {**LSTM, "separate": True}, {}, None, {}),
    "LSTM, discrete": (FLAT, spaces.Discrete(3), LSTM, {}, None, {}),
    "GRU": (FLAT, TWO, GRU, {}, None, {}),
    "GRU, separate critic": (FLAT, TWO, {**GRU, "separate": True}, {}, None, {}),
    "asymmetric critic": (FLAT, TWO, {}, {"central_value_config": {"network": CRITIC}}, None, {}),
    "CNN": (box(8, 9, 3), TWO, {"cnn": CNN}, {}, None, {}),
    "CNN on bytes": (
        box(8, 8, 3, low=0, high=255, dtype=np.uint8),
        TWO,
        {"cnn": CNN},
        {"normalize_input": False},
        None,
        {},
    ),
}


def export(folder, kind, **changes):
    observation, action, network, config, model, clips = KINDS[kind]
    description = describe(observation, action, **clips)
    path, state, recording = make_policy(folder, description, network, config, model)
    output = folder / "exported" / "policy.onnx"
    meta = export_policy(actor_of(state, path, description), state, path, description, recording, output, **changes)
    return output, meta, actor_of(state, path, description), recording


def actor_of(state, path, description):
    return make_actor(state["myriad"]["config"], Spaces(description, 4), state, path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_acts_as_the_player_does(tmp_path, kind):
    output, meta, actor, recording = export(tmp_path, kind)
    assert meta["parity"]["max_error"] <= 1e-5
    assert meta["parity"]["steps"] == recording.resets.size + recording.steps
    model = onnx.load(output)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 17
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    # Once more, one robot at a time, by the runtime alone, on observations that no proof has seen.
    policy = Policy(output)
    limit, clip = meta["actions"]["clip"], meta["observations"]["clip"]
    actor.reset(1)
    rng = np.random.default_rng(9)
    values = recording.observations["obs"]
    seen = []
    for _ in range(5):
        raw = rng.normal(scale=3.0, size=values.shape[2:]) if values.dtype != np.uint8 else values[3, 1]
        raw = raw.astype(values.dtype)
        given = torch.from_numpy(raw[None])
        given = given.clamp(-clip, clip) if clip else given
        wanted = actor.act({"obs": given})
        wanted = wanted.clamp(-limit, limit) if limit and wanted.is_floating_point() else wanted
        got = policy.infer(raw)
        np.testing.assert_allclose(got, wanted.reshape(-1).numpy(), atol=1e-5)
        seen.append(got)
    if not policy.metadata["actions"]["space"]["kind"].endswith("discrete") and values.dtype != np.uint8:
        assert np.ptp(np.stack(seen), axis=0).max() > 1e-3, "the policy does not look at its observations"


def test_only_the_actor_leaves(tmp_path):
    output, meta, _, _ = export(tmp_path, "LSTM, separate critic")
    model = onnx.load(output)
    assert [i.name for i in model.graph.input] == ["obs", "h_in", "c_in"]
    assert [o.name for o in model.graph.output] == ["actions", "h_out", "c_out"]
    names = " ".join(tensor.name for tensor in model.graph.initializer)
    assert "value" not in names and "critic" not in names and "c_rnn" not in names and "sigma" not in names
    assert sum(node.op_type == "LSTM" for node in model.graph.node) == 1
    assert meta["recurrent"] == [
        {"input": f"{n}_in", "output": f"{n}_out", "layers": 1, "units": 6, "initial": 0.0} for n in ("h", "c")
    ]


def test_tanh_models_play_what_they_are_trained_on(tmp_path):
    output, _, actor, _ = export(tmp_path, "tanh model")
    assert isinstance(actor, RlGamesActor)
    model = actor._player.model
    observation = torch.full((1, 5), 0.3)
    inputs = {"is_train": False, "prev_actions": None, "obs": model.norm_obs(observation), "rnn_states": None}
    mean = model.a2c_network(inputs)[0].detach()
    assert float(mean.abs().max()) > 0.3
    np.testing.assert_allclose(Policy(output).infer(observation[0].numpy()), mean.tanh()[0], atol=1e-6)


def test_batches_of_any_size(tmp_path):
    output, *_ = export(tmp_path, "continuous")
    policy = Policy(output)
    rows = np.random.default_rng(2).normal(size=(7, 5)).astype(np.float32)
    np.testing.assert_allclose(policy.infer(rows), np.stack([policy.infer(row) for row in rows]), atol=1e-6)


@pytest.mark.parametrize("opset", [11, 20])
def test_opset_is_honoured(tmp_path, opset):
    output, meta, _, _ = export(tmp_path, "continuous", opset=opset)
    assert onnx.load(output).opset_import[0].version == meta["graph"]["opset"] == opset


@pytest.mark.parametrize("opset", [8, 24, 99])
def test_opset_out_of_range(tmp_path, opset):
    with pytest.raises(MyriadError, match="from 9 to 23"):
        export(tmp_path, "continuous", opset=opset)
    assert not (tmp_path / "exported").exists()


def test_metadata_is_in_the_file_and_beside_it_at_full_precision(tmp_path):
    output, meta, _, recording = export(tmp_path, "continuous")
    model = onnx.load(output)
    embedded = json.loads({p.key: p.value for p in model.metadata_props}[METADATA_KEY])
    beside = json.loads(output.with_suffix(".json").read_text())
    file_hash = beside.pop("file_sha256")
    assert embedded == beside == json.loads(json.dumps(meta))
    assert file_hash == hashlib.sha256(output.read_bytes()).hexdigest()
    checkpoint = (tmp_path / "checkpoints" / "best.pth").read_bytes()
    assert meta["run"]["checkpoint_sha256"] == hashlib.sha256(checkpoint).hexdigest()
    golden = np.array(embedded["golden"]["observations"]["obs"], np.float32)
    assert golden.shape == (16, 5)
    assert (golden[0] == recording.observations["obs"][0, 0]).all()
    # The graph's own hash is that of the model without metadata and producer.
    del model.metadata_props[:]
    model.producer_name, model.producer_version = "pytorch", torch.__version__.partition("+")[0]
    assert meta["graph"]["sha256"] == hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


@pytest.mark.parametrize("kind", ["continuous", "LSTM", "discrete"])
def test_a_wrong_graph_is_not_written(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(Normalize, "forward", lambda self, observations: (observations - self.mean) / self.std)
    with pytest.raises(MyriadError, match=r"differs from rl-games \d"):
        export(tmp_path, kind)
    assert not (tmp_path / "exported").exists()


def test_failed_export_leaves_the_old_file(tmp_path, monkeypatch):
    output, *_ = export(tmp_path, "continuous")
    before = {path: path.read_bytes() for path in output.parent.rglob("*") if path.is_file()}
    monkeypatch.setattr(Normalize, "forward", lambda self, observations: observations)
    with pytest.raises(MyriadError):
        export(tmp_path, "continuous")
    assert {path: path.read_bytes() for path in output.parent.rglob("*") if path.is_file()} == before


def test_checkpoint_of_another_network(tmp_path):
    description = describe(FLAT, TWO)
    path, state, _ = make_policy(tmp_path, description)
    state["myriad"]["config"]["train"]["params"]["network"]["mlp"]["units"] = [4]
    with pytest.raises(MyriadError, match="holds another network"):
        actor_of(state, path, description)


def test_recording_that_does_not_fit(tmp_path):
    description = describe(FLAT, TWO)
    path, state, recording = make_policy(tmp_path, description)
    actor = actor_of(state, path, description)
    recording.observations["obs"][2, 1, 0] = np.nan
    with pytest.raises(MyriadError, match="not finite"):
        export_policy(actor, state, path, description, recording, tmp_path / "p.onnx")
    recording.observations["obs"] = recording.observations["obs"][..., :3]
    with pytest.raises(MyriadError, match=r"observations obs are \(3,\), not \(5,\)"):
        export_policy(actor, state, path, description, recording, tmp_path / "p.onnx")


def test_observations_that_no_robot_could_have_measured(tmp_path):
    # 1e37 is finite, and what was measured before the scale of 0.01, 1e39, is not.
    seen = describe_terms("a test", [ObservationTerm("all", 5, source="speed", scale=0.01)], 5)
    done = describe_terms("a test", [ActionTerm("effort", ("a", "b"))], 2)
    description = describe(FLAT, TWO, 5.0, observation_terms=seen, action_terms=done)
    path, state, recording = make_policy(tmp_path, description)
    recording.observations["obs"][:, :, 3] = 1e37
    with pytest.raises(MyriadError, match=r"holds 1e\+37 in observation term all, .* too large"):
        export_policy(actor_of(state, path, description), state, path, description, recording, tmp_path / "p.onnx")


def test_output_must_be_onnx_and_writable(tmp_path):
    description = describe(FLAT, TWO)
    path, state, recording = make_policy(tmp_path, description)
    actor = actor_of(state, path, description)
    with pytest.raises(MyriadError, match=r"must be a file that ends in \.onnx"):
        export_policy(actor, state, path, description, recording, tmp_path / "policy.pt")
    (tmp_path / "file").write_text("")
    with pytest.raises(MyriadError, match="cannot be written"):
        export_policy(actor, state, path, description, recording, tmp_path / "file" / "policy.onnx")


def test_tasks_that_say_nothing_are_exported_with_a_warning(tmp_path, caplog):
    output, meta, _, _ = export(tmp_path, "continuous")
    assert "does not say what it observes" in caplog.text
    assert [term["name"] for term in meta["observations"]["terms"]] == ["obs"]
    assert not Policy(output).can_act
    assert not output.with_suffix(".sidecars").exists()


class DictNetwork(torch.nn.Module):
    """A network of one's own on a dictionary of observations, as rl-games' built-in ones cannot be."""

    def __init__(self, actions_num, input_shape, **_):
        super().__init__()
        self.mu = torch.nn.Linear(sum(shape[0] for shape in input_shape.values()), actions_num)
        self.value = torch.nn.Linear(1, 1)

    def is_rnn(self):
        return False

    def forward(self, inputs):
        mu = self.mu(torch.cat([inputs["obs"][name] for name in ("height", "legs")], dim=-1))
        return mu, mu * 0.0, self.value(mu[:, :1]), None


@pytest.fixture
def dict_network():
    from rl_games.algos_torch import model_builder
    from rl_games.algos_torch.network_builder import NetworkBuilder

    class Builder(NetworkBuilder):
        def build(self, name, **settings):
            return DictNetwork(**settings)

    model_builder.register_network("dict_network", Builder)


def test_dictionary_observations_with_a_network_of_ones_own(tmp_path, dict_network):
    description = describe(spaces.Dict({"height": box(1), "legs": box(4)}), TWO, clip_observations=3.0)
    network, config = {"name": "dict_network"}, {"normalize_input": False}
    path, state, recording = make_policy(tmp_path, description, network, config)
    actor = actor_of(state, path, description)
    meta = export_policy(actor, state, path, description, recording, tmp_path / "policy.onnx")
    assert meta["graph"]["inputs"] == ["height", "legs"]
    weights = state["model"]
    raw = {"height": np.array([5.0], np.float32), "legs": np.array([0.1, -0.2, 0.3, -9.0], np.float32)}
    clipped = torch.tensor([3.0, 0.1, -0.2, 0.3, -3.0])
    wanted = weights["a2c_network.mu.weight"] @ clipped + weights["a2c_network.mu.bias"]
    np.testing.assert_allclose(Policy(tmp_path / "policy.onnx").infer(raw), wanted.clamp(-1, 1), atol=1e-6)


def test_rl_games_cannot_normalise_dictionaries_itself():
    from rl_games.algos_torch.running_mean_std import RunningMeanStdObs

    with pytest.raises(Exception, match="no attribute or method 'items'"):
        torch.jit.script(RunningMeanStdObs({"height": (1,), "legs": (4,)}))


def test_dictionaries_are_normalised_and_pictures_are_seen(tmp_path):
    camera = box(8, 9, 3, low=0, high=255, dtype=np.uint8)
    description = describe(spaces.Dict({"legs": box(4), "camera": camera}), TWO, clip_observations=3.0)
    path, state, recording = make_policy(tmp_path, description, {"cnn": CNN, **LSTM})
    meta = export_policy(actor_of(state, path, description), state, path, description, recording, tmp_path / "p.onnx")
    assert meta["parity"]["max_error"] <= 1e-5 and meta["observations"]["normalized_in_graph"]
    assert set(meta["graph"]["inputs"]) == {"legs", "camera", "h_in", "c_in"}
    assert "running_mean_std.running_mean_std.legs.running_mean" in state["model"]
    assert not any("camera.running" in name for name in state["model"])
    policy = Policy(tmp_path / "p.onnx")
    seen = {"legs": np.zeros(4, np.float32), "camera": np.zeros((8, 9, 3), np.uint8)}
    dark = policy.infer(seen)
    policy.reset()
    bright = policy.infer(seen | {"camera": np.full((8, 9, 3), 255, np.uint8)})
    assert np.abs(bright - dark).max() > 1e-3
