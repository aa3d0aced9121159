# SPDX-License-Identifier: Apache-2.0
"""Recordings survive the disk, and damage is named."""

import numpy as np
import pytest

from omni.myriad.errors import MyriadError
from omni.myriad.policy.recording import MIN_STEPS, load_recording
from tests.policy.synthetic import box, describe, random_recording


def test_recordings_survive_the_disk(tmp_path):
    recording = random_recording(describe(box(5), box(2)))
    recording.save(tmp_path / "observations.npz")
    loaded = load_recording(tmp_path / "observations.npz")
    np.testing.assert_array_equal(loaded.observations["obs"], recording.observations["obs"])
    np.testing.assert_array_equal(loaded.resets, recording.resets)
    assert (loaded.steps, loaded.num_envs) == (40, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["observations.npz"]


@pytest.mark.parametrize("content", [b"", b"not a zip", None])
def test_damage_is_named(tmp_path, content):
    path = tmp_path / "observations.npz"
    random_recording(describe(box(5), box(2))).save(path)
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(MyriadError, match="is damaged; delete it"):
        load_recording(path)


def test_a_run_keeps_raw_observations_with_resets(run_dir):
    recording = load_recording(run_dir / "observations.npz")
    observations = recording.observations["obs"]
    assert observations.shape == (recording.steps, 16, 4)
    assert recording.steps >= MIN_STEPS
    assert recording.resets[0].all() and recording.resets[1:].any() and not recording.resets[1:].all()
    # Within an episode a cart moves on by its velocity: 1/60 s at 60 Hz. Semi-implicit steps make that near, not exact.
    steps = np.diff(observations[..., 0], axis=0)
    going_on = ~(recording.resets[1:] | recording.resets[:-1])
    assert np.abs(steps - observations[1:, :, 1] / 60)[going_on].max() < 0.1
    # An episode of Cartpole's fails beyond 3 m; the observation of that step is kept as it is.
    assert np.abs(observations[..., 0]).max() < 6.0
