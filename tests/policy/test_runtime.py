# SPDX-License-Identifier: Apache-2.0
"""The runtime on a policy whose every number is known: actions are clip(obs[0] + obs[3]) and clip(obs[1] + obs[5])."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omni.myriad.learn.run import make_actor
from omni.myriad.policy import benchmark
from omni.myriad.policy.export import Spaces, export_policy
from omni.myriad.policy.runtime import Policy, PolicyError, from_poses, seal
from tests.policy.conftest import WEIGHTS, hand_made_metadata, term
from tests.policy.synthetic import box, describe, make_policy

SEAL_SIZE = len(seal(b""))
POSITIONS = {"a": 1.1, "b": 1.05, "c": 0.0}
VELOCITIES = {"a": 0.0, "b": 7.0, "c": 0.0}


def test_named_joints_in_named_commands_out(hand_made):
    command = Policy(hand_made()).act(POSITIONS, VELOCITIES, {"height": 0.02})
    # obs = [2 (b - 1), 2 (a - 1), vb, 10 h, 0, 0] = [0.1, 0.2, 7, 0.2, 0, 0]; actions = [0.3, 0.2]
    assert command.effort == pytest.approx({"a": 30.0}, rel=1e-5)
    assert command.position == pytest.approx({"c": 0.2 * 0.5 + 0.25}, rel=1e-5)
    assert command.velocity == {}


def test_the_robots_order_and_its_further_joints(hand_made):
    policy = Policy(hand_made(), joint_names=["x", "c", "b", "a"])
    command = policy.act([9.0, 0.0, 1.05, 1.1], [0.0, 0.0, 7.0, 0.0], {"height": 0.02})
    assert command.effort == pytest.approx({"a": 30.0}, rel=1e-5)
    policy.reset()
    by_name = policy.act({**POSITIONS, "x": 9.0}, VELOCITIES, {"height": 0.02})
    assert by_name == command


def test_commands_come_in_the_robots_order(hand_made):
    def one_term(meta):
        meta["actions"]["terms"] = [
            {"name": "joint_effort", "kind": "effort", "slice": [0, 2], "joint_names": ["a", "c"]}
            | {"scale": [1.0, 2.0], "offset": [0.0, 0.0], "clip": None}
        ]
        meta["golden"]["commands"] = [
            {"effort": {"a": 0.1, "c": 0.4}, "position": {}, "velocity": {}},
            {"effort": {"a": 0.3, "c": 1.8}, "position": {}, "velocity": {}},
        ]

    policy = Policy(hand_made(one_term), joint_names=["c", "b", "a"])
    command = policy.act(POSITIONS, VELOCITIES, {"height": 0.02})
    assert list(command.effort) == ["c", "a"]
    assert command.effort == pytest.approx({"c": 0.4, "a": 0.3}, rel=1e-5)


def test_a_terms_numbers_are_clipped_once_scaled(hand_made):
    def bounded(meta):
        meta["observations"]["terms"][0]["clip"] = [-0.05, 0.15]  # of obs[0] = 0.1 and obs[1] = 0.2
        meta["golden"]["commands"][0]["position"]["c"] = 0.15 * 0.5 + 0.25

    command = Policy(hand_made(bounded)).act(POSITIONS, VELOCITIES, {"height": 0.02})
    assert command.effort == pytest.approx({"a": 30.0}, rel=1e-5)
    assert command.position == pytest.approx({"c": 0.15 * 0.5 + 0.25}, rel=1e-5)


def test_last_action_is_remembered_until_reset(hand_made):
    policy = Policy(hand_made())
    given = {"height": 0.0}
    still = {"a": 1.1, "b": 1.0, "c": 0.0}  # obs[1] = 0.2 and obs[5] is the last action's second number
    seconds = [(policy.act(still, VELOCITIES, given).position["c"] - 0.25) / 0.5 for _ in range(3)]
    assert seconds == pytest.approx([0.2, 0.4, 0.6], rel=1e-5)
    policy.reset()
    assert (policy.act(still, VELOCITIES, given).position["c"] - 0.25) / 0.5 == pytest.approx(0.2, rel=1e-5)


def test_cumulative_commands_go_on_from_the_last_one(hand_made):
    def cumulative(meta):
        meta["actions"]["terms"][1]["cumulative"] = True

    policy = Policy(hand_made(cumulative))
    still = {"a": 1.1, "b": 1.0, "c": 0.0}  # c moves by half of 0.2, 0.4, ... up to 1, and up to 3
    wanted = [0.35, 0.55, 0.85, 1.25, 1.75, 2.25, 2.75, 3.0, 3.0]
    got = [policy.act(still, VELOCITIES, {"height": 0.0}).position["c"] for _ in wanted]
    assert got == pytest.approx(wanted, rel=1e-5)
    with pytest.raises(PolicyError):
        policy.act(still, VELOCITIES, {"height": float("nan")})
    assert policy.act(still, VELOCITIES, {"height": 0.0}).position["c"] == pytest.approx(3.0)
    policy.reset()
    assert policy.act(still, VELOCITIES, {"height": 0.0}).position["c"] == pytest.approx(0.35, rel=1e-5)


def among_things(meta):
    """Observe the way from a fingertip to a cube, and how far the command of c is ahead; c begins where it is."""
    way = term("way", 2, 5, "frame_position") | {"frame": "world", "body_names": ["Cube"], "relative_to": "tip"}
    lead = term("lead", 5, 6, "target_lead", ["c"])
    meta["observations"]["terms"] = [meta["observations"]["terms"][0], way, lead]
    meta["actions"]["terms"][1] |= {"cumulative": True, "from_joints": True}
    meta["golden"]["measurements"][1][3] = 0.3  # which is not scaled
    for commands, position in zip(meta["golden"]["commands"], (0.1, 0.45), strict=True):
        commands["position"] = {"c": position}


def test_poses_of_things_make_the_terms_and_commands_begin_where_joints_are(hand_made):
    policy = Policy(hand_made(among_things))
    assert policy.places == ["Cube", "tip"] and list(policy.required) == ["way"]
    poses = {"Cube": (1.0, 2.0, 3.0, 1.0, 0.0, 0.0, 0.0), "tip": (1.0, 1.8, 0.0)}
    command = policy.act(POSITIONS | {"c": 1.0}, VELOCITIES, poses=poses)
    assert command.effort == pytest.approx({"a": 30.0}, rel=1e-5)  # obs[0] + way[1] = 0.1 + 0.2
    assert command.position == pytest.approx({"c": 1.0 + 0.5 * 0.2}, rel=1e-5)
    command = policy.act(POSITIONS | {"c": 1.04}, VELOCITIES, {"way": [0.0, 0.2, 3.0]})
    assert command.effort == pytest.approx({"a": 30.0}, rel=1e-5)
    assert command.position == pytest.approx({"c": 1.1 + 0.5 * (0.2 + 0.06)}, rel=1e-5)
    policy.reset()
    command = policy.act(POSITIONS | {"c": -1.0}, VELOCITIES, poses=poses)
    assert command.position == pytest.approx({"c": -1.0 + 0.5 * 0.2}, rel=1e-5)


@pytest.mark.parametrize(
    ("poses", "message"),
    [
        ({}, "observation term 'way' is missing; act.. needs: way"),
        ({"Cube": (0.0, 0.0, 0.0)}, "'way' needs the pose of 'tip'"),
        ({"Cube": (0.0, 0.0, 0.0), "tip": (0.0, 0.0)}, r"the pose of 'tip' is \[0.0, 0.0\], not x, y, z, or these"),
        ({"Cube": (0.0, 0.0, 0.0), "tip": (np.nan, 0.0, 0.0)}, "the pose of 'tip' is"),
        ({"Cube": (0.0,) * 7, "tip": (0.0,) * 3}, "the quaternion of 'Cube' has a length of 0, not 1"),
        ({"Cube": (0.0,) * 3, "tip": (0.0,) * 3, "Ball": (0.0,) * 3}, "pose of 'Ball' is unknown; .*: Cube, tip"),
    ],
)
def test_wrong_poses(hand_made, poses, message):
    with pytest.raises(PolicyError, match=message):
        Policy(hand_made(among_things)).act(POSITIONS, VELOCITIES, poses=poses)


HALF = 0.5**0.5
HAND = (1.0, 0.0, 0.0, HALF, 0.0, 0.0, HALF)  # turned to the left, so that its x axis is the world's y axis


@pytest.mark.parametrize(
    ("source", "frame", "relative_to", "thing", "seen"),
    [
        ("frame_position", "world", "", (1.0, 2.0, 3.0), [1.0, 2.0, 3.0]),
        ("frame_position", "hand", "", (1.0, 2.0, 3.0), [2.0, 0.0, 3.0]),
        ("frame_position", "world", "hand", (1.0, 2.0, 3.0), [0.0, 2.0, 3.0]),
        ("frame_orientation", "world", "", HAND, [HALF, 0.0, 0.0, HALF]),
        ("frame_orientation", "hand", "", HAND, [1.0, 0.0, 0.0, 0.0]),
        ("frame_orientation", "world", "hand", (0.0, 0.0, 0.0, HALF, 0.0, 0.0, -HALF), [0.0, 0.0, 0.0, -1.0]),
        ("frame_axes", "hand", "", (0.0, 0.0, 0.0), [0.0, -1.0, 0.0, 0.0, 0.0, 1.0]),
        ("frame_axes", "world", "", HAND, [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]),
    ],
)
def test_what_follows_from_poses(source, frame, relative_to, thing, seen):
    term = {"source": source, "frame": frame, "relative_to": relative_to, "body_names": ["thing"]}
    np.testing.assert_allclose(from_poses(term, {"thing": thing, "hand": HAND}), seen, atol=1e-12)


def test_a_share_of_a_command_is_new_and_the_rest_the_one_before(hand_made):
    def smooth(meta):
        meta["actions"]["terms"][1] |= {"share": 0.25, "from_joints": True}
        for commands, wanted in zip(meta["golden"]["commands"], (0.35, 0.7), strict=True):
            commands["position"] = {"c": 0.25 * wanted}

    policy = Policy(hand_made(smooth))
    still = {"a": 1.1, "b": 1.0, "c": 1.0}
    commanded = 1.0
    for action in (0.2, 0.4, 0.6):  # the last one's second number is added
        commanded = 0.25 * (0.5 * action + 0.25) + 0.75 * commanded
        assert policy.act(still, VELOCITIES, {"height": 0.0}).position["c"] == pytest.approx(commanded, rel=1e-5)


def test_a_switch_is_one_number_of_which_the_sign_counts(hand_made):
    def switch(meta):
        meta["actions"]["terms"][1] |= {
            "joint_names": ["b", "c"],
            "scale": [0.5, 1.0],
            "offset": [0.25, -1.0],
            "switch": True,
        }
        for commands in meta["golden"]["commands"]:
            commands["position"] = {"b": 0.75, "c": 0.0}

    policy = Policy(hand_made(switch))
    assert policy.act(POSITIONS, VELOCITIES, {"height": 0.0}).position == {"b": 0.75, "c": 0.0}
    policy.reset()
    low = {"a": 0.9, "b": 1.0, "c": 0.0}  # obs[1] = -0.2
    assert policy.act(low, VELOCITIES, {"height": 0.0}).position == {"b": -0.25, "c": -2.0}


def test_actions_and_commands_are_clipped(hand_made):
    policy = Policy(hand_made())
    command = policy.act({"a": 9.0, "b": 9.0, "c": 0.0}, VELOCITIES, {"height": 0.0})
    assert command.effort == {"a": 60.0}  # 1 * 100, but the term clips at 60
    assert command.position == {"c": 0.75}
    assert policy.last_action.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("positions", "velocities", "terms", "message"),
    [
        ({"a": 1.0, "c": 0.0}, VELOCITIES, {"height": 0.0}, "joint_positions lacks b"),
        ([1.0, 2.0], VELOCITIES, {"height": 0.0}, r"joint_positions has shape \(2,\), not \(3,\)"),
        ({**POSITIONS, "a": np.nan}, VELOCITIES, {"height": 0.0}, r"positions \(a\) is nan"),
        (POSITIONS, {**VELOCITIES, "b": np.inf}, {"height": 0.0}, r"velocity \(b\) is inf"),
        (POSITIONS, VELOCITIES, {"height": np.nan}, r"height \(element 0\) is nan"),
        (POSITIONS, VELOCITIES, {}, "observation term 'height' is missing; act.. needs: height"),
        (POSITIONS, VELOCITIES, {"height": [1.0, 2.0]}, "'height' has 2 numbers, not 1"),
        (POSITIONS, VELOCITIES, {"height": 0.0, "width": 0.0}, "'width' is unknown"),
    ],
)
def test_wrong_measurements(hand_made, positions, velocities, terms, message):
    with pytest.raises(PolicyError, match=message):
        Policy(hand_made()).act(positions, velocities, terms)


def test_missing_and_doubled_joints(hand_made):
    path = hand_made()
    with pytest.raises(PolicyError, match=r"the robot lacks joints that the policy needs: b, c$"):
        Policy(path, joint_names=["a", "d"])
    with pytest.raises(PolicyError, match="twice"):
        Policy(path, joint_names=["a", "b", "c", "a"])


def test_stale_measurements(hand_made):
    policy = Policy(hand_made(), clock=lambda: 10.0)
    given = (POSITIONS, VELOCITIES, {"height": 0.0})
    policy.act(*given, stamp=9.97)
    with pytest.raises(PolicyError, match=r"0\.050 s old, more than 0\.040 s: stale"):
        policy.act(*given, stamp=9.95)
    with pytest.raises(PolicyError, match=r"0\.010 s older than the one before"):
        policy.act(*given, stamp=9.96)
    with pytest.raises(PolicyError, match="nan s old"):
        policy.act(*given, stamp=float("nan"))
    policy.reset()
    policy.act(*given, stamp=9.961)
    Policy(hand_made(), max_age=1.0, clock=lambda: 10.0).act(*given, stamp=9.5)


def test_control_rate(hand_made):
    policy = Policy(hand_made())  # 50 Hz
    times = np.arange(0.0, 0.1, 0.005)  # polled at 200 Hz
    assert [round(float(t), 3) for t in times if policy.due(float(t))] == [0.0, 0.02, 0.04, 0.06, 0.08]
    assert policy.missed == 0
    assert policy.due(0.155)  # 0.1, 0.12 and 0.14 were due: one is served, two are lost
    assert policy.missed == 2
    assert not policy.due(0.159)
    assert policy.due(0.16)


def test_infer_checks_shapes_and_numbers(hand_made):
    policy = Policy(hand_made())
    assert policy.infer(np.full(6, 0.25)).tolist() == [0.5, 0.5]
    assert policy.infer(np.zeros((3, 6))).shape == (3, 2)
    with pytest.raises(PolicyError, match=r"has shape \(5,\), not \(6,\)"):
        policy.infer(np.zeros(5))
    with pytest.raises(PolicyError, match=r"not finite at \[0, 2\]"):
        policy.infer(np.array([0, 0, np.nan, 0, 0, 0]))
    with pytest.raises(PolicyError, match="'obs' is missing"):
        policy.infer({"picture": np.zeros(6)})


def drop(key):
    return lambda meta: meta.pop(key)


def set_version(meta):
    meta["schema_version"] = 5


def spoil_golden(meta):
    meta["golden"]["actions"][0][0] = 0.11


def nan_golden(meta):
    meta["golden"]["actions"][0][0] = float("nan")


def wrong_term(meta):
    meta["observations"]["terms"][0]["scale"] = [1.0] * 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_version, "has schema 5, this runtime reads up to 4: update the runtime"),
        (drop("schema_version"), "metadata is damaged"),
        (drop("observations"), "metadata is damaged"),
        (drop("timing"), "metadata is damaged"),
        (wrong_term, "metadata is damaged"),
        (spoil_golden, "self-test failed: actions differ by 0.01"),
        (nan_golden, "self-test failed"),
    ],
)
def test_bad_metadata(hand_made, change, message):
    with pytest.raises(PolicyError, match=message):
        Policy(hand_made(change))


def test_bad_files(hand_made, tmp_path):
    with pytest.raises(PolicyError, match="does not exist"):
        Policy(tmp_path / "nothing.onnx")
    with pytest.raises(PolicyError, match="has no Myriad metadata"):
        Policy(hand_made(metadata={}))
    path = hand_made()
    whole = path.read_bytes()
    for damaged in (whole[:100], whole[: len(whole) // 2], b"", b"not a model at all" * 10):
        path.write_bytes(damaged)
        with pytest.raises(PolicyError) as caught:
            Policy(path)
        assert "\n" not in str(caught.value)


def test_damaged_weights_fail_the_self_test(hand_made):
    path = hand_made()
    weights = WEIGHTS.tobytes()
    assert path.read_bytes().count(weights) == 1
    spoiled = path.read_bytes().replace(weights, (WEIGHTS * 1.01).tobytes())
    path.write_bytes(spoiled)
    with pytest.raises(PolicyError, match="not what was exported, by its own hash"):
        Policy(path)
    path.write_bytes(seal(spoiled[:-SEAL_SIZE]))
    with pytest.raises(PolicyError, match="self-test failed"):
        Policy(path)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_every_flipped_bit_is_noticed(hand_made, tmp_path, data):
    whole = bytearray(hand_made().read_bytes())
    bit = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[bit // 8] ^= 1 << bit % 8
    path = tmp_path / "flipped.onnx"
    path.write_bytes(whole)
    with pytest.raises(PolicyError):
        Policy(path)


def test_a_file_of_before_has_no_hash_and_says_so(hand_made):
    def older(meta):
        meta["schema_version"] = 1

    with pytest.warns(UserWarning, match="damage may go unnoticed: export it again"):
        Policy(hand_made(older, sealed=False))
    with pytest.raises(PolicyError, match="the hash at its end is missing"):
        Policy(hand_made(sealed=False))


def leaves(value, path=()):
    """Yield the path of everything in nested JSON, containers too."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from leaves(item, (*path, key))


NAN, INF = float("nan"), float("inf")
ODD = [
    None,
    NAN,
    INF,
    -INF,
    0,
    -1,
    1,
    0.5,
    1e30,
    -1e300,
    10**400,
    True,
    "",
    "a",
    [],
    {},
    [1, -1],
    [[]],
    [NAN],
    {"a": 1},
]


@settings(deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(list(leaves(hand_made_metadata()))), odd=st.sampled_from(ODD), drop=st.booleans())
def test_odd_metadata_is_refused_or_harmless(hand_made, path, odd, drop):
    """A file that was sealed with them in it, so that the hash does not help."""

    def change(meta):
        for key in path[:-1]:
            meta = meta[key]
        if drop:
            del meta[path[-1]]
        else:
            meta[path[-1]] = odd

    try:
        policy = Policy(hand_made(change))
    except PolicyError as error:
        assert "\n" not in str(error)
        return
    policy.max_age = INF
    for far in (0.0, 1e4, -1e4):
        terms = {name: np.full(slots["slice"][1] - slots["slice"][0], far) for name, slots in policy.required.items()}
        try:
            command = policy.act(dict.fromkeys("abc", far), dict.fromkeys("abc", far), terms)
        except PolicyError:
            continue
        joints = policy.metadata["joints"]
        for kind, names in vars(command).items():
            for name, value in names.items():
                at = joints["names"].index(name)
                limit = (joints.get(f"{kind}_limit") or [None] * 3)[at]
                low, high = (
                    (joints.get("position_limits") or [None] * 3)[at] or (None, None)
                    if kind == "position"
                    else (
                        limit and -limit,
                        limit,
                    )
                )
                assert np.isfinite(value)
                assert low is None or value >= low
                assert high is None or value <= high


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("timing", "control_dt"), 0.0, "control_dt is 0.0"),
        (("timing", "control_dt"), -0.02, "control_dt is -0.02"),
        (("timing", "control_dt"), 0.03, r"control_dt is not physics_dt \* decimation"),
        (("timing", "decimation"), 0, "decimation is 0"),
        (("observations", "terms", 0, "scale", 1), 1e9, "scale of positions is 1000000000.0"),
        (("observations", "terms", 0, "offset", 0), NAN, "offset of positions is nan"),
        (("observations", "terms", 1, "slice"), [3, 4], "velocity lies at"),
        (("observations", "inputs", "obs", "shape"), [7], r"obs has shape \[7\], in the graph \[6\]"),
        (("actions", "terms", 0, "clip"), [1.0, -1.0], r"clip of joint_effort is \[1.0, -1.0\]"),
        (("actions", "terms", 0, "clip"), [90.0, 99.0], "effort of a has no value inside clip and limits"),
        (("actions", "terms", 1, "joint_names"), ["d"], "joint_position has joints"),
        (("actions", "terms", 1, "kind"), "reset", "joint_position commands reset"),
        (("joints", "effort_limit", 0), -1.0, "effort_limit is -1.0"),
        (("joints", "position_limits", 2), [1.0, 0.0], "position_limits is"),
        (("joints", "names", 1), "a", "joint names are doubled"),
    ],
)
def test_numbers_that_no_robot_has_are_named(hand_made, path, value, message):
    def change(meta):
        for key in path[:-1]:
            meta = meta[key]
        meta[path[-1]] = value

    with pytest.raises(PolicyError, match=message):
        Policy(hand_made(change))


def test_commands_stay_inside_what_joints_can_do(hand_made):
    def weak(meta):
        meta["joints"]["effort_limit"][0] = 15.0
        meta["joints"]["position_limits"][2] = [-0.3, 0.3]
        meta["golden"]["commands"] = [
            {"effort": {"a": 10.0}, "position": {"c": 0.3}, "velocity": {}},
            {"effort": {"a": 15.0}, "position": {"c": 0.3}, "velocity": {}},
        ]

    command = Policy(hand_made(weak)).act({"a": 9.0, "b": 9.0, "c": 0.0}, VELOCITIES, {"height": 0.0})
    assert (command.effort, command.position) == ({"a": 15.0}, {"c": 0.3})


def test_the_self_test_goes_from_joints_to_commands(hand_made):
    def swapped(meta):  # the actions are still right: only what is done with joints is not
        meta["observations"]["terms"][0]["joint_names"] = ["a", "b"]

    def other_scale(meta):
        meta["actions"]["terms"][0]["scale"] = [101.0]

    assert Policy(hand_made(swapped)).self_test() < 1e-6  # by name a and b are as before, in another order
    with pytest.raises(PolicyError, match=r"self-test failed: the effort of a is 10.1, not 10"):
        Policy(hand_made(other_scale))


def test_a_file_cannot_choose_its_own_tolerance(hand_made):
    def generous(meta):
        meta["golden"]["tolerance"] = 1e30
        spoil_golden(meta)

    with pytest.raises(PolicyError, match=r"self-test failed: actions differ by 0\.01, more than 0\.0001"):
        Policy(hand_made(generous))


@pytest.mark.parametrize("values", ["abc", [object()] * 3, [["x"]], {"a": "x", "b": 0, "c": 0}, [1e300] * 3, None])
def test_measurements_that_are_no_numbers(hand_made, values):
    with pytest.raises(PolicyError):
        Policy(hand_made()).act(values, VELOCITIES, {"height": 0.0})


@pytest.mark.parametrize("age", [0.0, -1.0, NAN, INF])
def test_the_oldest_age_is_a_time(hand_made, age):
    with pytest.raises(PolicyError, match="max_age"):
        Policy(hand_made(), max_age=age)
    with pytest.raises(PolicyError, match="the time is nan"):
        Policy(hand_made()).due(NAN)


def test_recurrent_states_are_kept_and_reset(tmp_path):
    network = {"rnn": {"name": "gru", "units": 6, "layers": 1}}
    description = describe(box(5), box(2, low=-1.0, high=1.0))
    path, state, recording = make_policy(tmp_path, description, network)
    actor = make_actor(state["myriad"]["config"], Spaces(description, 4), state, path)
    export_policy(actor, state, path, description, recording, tmp_path / "policy.onnx")
    policy = Policy(tmp_path / "policy.onnx")
    observation = np.full(5, 0.5, np.float32)
    first, second = policy.infer(observation), policy.infer(observation)
    assert np.abs(first - second).max() > 1e-4
    policy.reset()
    np.testing.assert_array_equal(policy.infer(observation), first)
    policy.reset(batch=3)
    np.testing.assert_allclose(policy.infer(np.tile(observation, (3, 1))), np.tile(first, (3, 1)), atol=1e-6)
    with pytest.raises(PolicyError, match=r"shape \(2, 5\), not \(5,\) or \(3, \*\(5,\)\)"):
        policy.infer(np.zeros((2, 5)))
    with pytest.raises(PolicyError, match="use infer"):
        policy.act({}, {})


def test_runs_where_torch_is_blocked(hand_made):
    blocked = ("torch", "rl_games", "ovphysx", "pxr", "onnx", "gymnasium", "omegaconf", "rich", "yaml")
    code = f"""
import sys
for name in {blocked!r}:
    sys.modules[name] = None
from omni.myriad.policy.runtime import Policy
policy = Policy(sys.argv[1])
print(policy.act({POSITIONS!r}, {VELOCITIES!r}, {{"height": 0.02}}).effort["a"])
"""
    done = subprocess.run([sys.executable, "-c", code, str(hand_made())], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(30.0, rel=1e-5)


def test_runs_as_a_single_file_elsewhere(hand_made, tmp_path):
    import omni.myriad.policy.runtime as runtime

    folder = tmp_path / "robot"
    folder.mkdir()
    shutil.copy(runtime.__file__, folder / "runtime.py")
    code = "import sys; import runtime; runtime.Policy(sys.argv[1]); print('omni' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(hand_made())], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr


def test_benchmark_measures(hand_made, capsys, tmp_path):
    assert benchmark.main([str(hand_made()), "--runs", "200", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["control_rate_hz"] == 50.0
    assert 0.0 < report["infer_p50_us"] <= report["infer_p99_us"]
    assert report["infer_p50_us"] < report["act_p99_us"]
    assert benchmark.main([str(hand_made()), "--runs", "10"]) == 0
    assert "commands effort of a" in capsys.readouterr().out
    assert benchmark.main([str(tmp_path / "nothing.onnx")]) == 2
    assert capsys.readouterr().err.startswith("Error: ")
