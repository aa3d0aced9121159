# SPDX-License-Identifier: Apache-2.0
"""Settings that the schema itself suggests, with odd values: each is taken, or refused in one line, and never more."""

import copy
import functools
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omni.myriad.app import config
from omni.myriad.app.options import find, keys
from omni.myriad.app.schema import GROUPS, everything
from omni.myriad.errors import MyriadError

KNOWN = everything()
KEYS = [key for key in keys(KNOWN) if key != "sim_device"]
ODD = r"""
null|nan|-inf|inf|0|-0.0|1e999|-1|1|1.5|1e3|0x1f|1_000|0b1|True|no|Cartpole|[]|[null]|[nan]|[1,[2]]|[1,2|{}|{a:1}
{a:{b:[nan]}}|{|}|'|???|${task}|${seed}|${nowhere}|${|${oc.env:HOME}|${eval:1}|${resolve_default:1,2}|*a|&a|../..|/|~
a/b|\x00|'\n'|ü|%s%n|a=b|a,b|!!python/object/apply:os.system [ls]|choice(1,2)|range(1,9)|glob(*)|sort(3,2)|int(nan)
float(x)|str(1)|shuffle(1,2)|interval(0,1)
"""
odd = (
    st.sampled_from([*ODD.strip().replace("\n", "|").split("|"), "", "9" * 400])
    | st.integers().map(str)
    | st.floats().map(str)
    | st.text(max_size=12)
    | st.lists(st.integers(-3, 3) | st.floats() | st.none(), max_size=4).map(json.dumps)
)


@pytest.fixture(autouse=True, scope="module")
def composed_once():
    """Compose the same YAML files once for all examples: what they hold is not what is tested."""
    compose = functools.cache(lambda groups: original(list(groups)))
    original, config._compose = config._compose, lambda groups: copy.deepcopy(compose(tuple(groups)))
    yield
    config._compose = original


def refusal(override):
    """Return the one line that refuses an override, or None where it is taken."""
    try:
        taken = config.load_config(["sim_device=cpu", override], "train")
    except MyriadError as error:
        text = str(error)
        assert text and "\n" not in text and len(text) < 1000, repr(text)
        return text
    json.dumps(taken)  # what is taken is plain
    return None


@settings(max_examples=400, deadline=None, derandomize=True)
@given(key=st.sampled_from(KEYS), value=odd, how=st.sampled_from(["", "", "", "+", "++", "~"]))
def test_any_value_of_any_setting_is_taken_or_refused_in_one_line(key, value, how):
    if key in GROUPS and how:
        return
    line = refusal(f"{how}{key}={value}")
    assert line is None or key.split(".")[0] in line or "not understood" in line


LIMITED = [
    (key, wrong)
    for key in KEYS
    for option in [find(KNOWN, key)]
    if option is not None and not option.matches.startswith("(")
    for wrong in (
        *([math.floor(option.least) - 1] if option.least is not None else []),
        *([math.ceil(option.most) + 1] if option.most is not None else []),
        *([option.above] if option.above is not None else []),
    )
]


@pytest.mark.parametrize(("key", "wrong"), LIMITED)
def test_every_limit_of_the_schema_holds(key, wrong):
    line = refusal(f"{key}={wrong}") or refusal(f"++{key}={wrong}")
    assert line is not None and key in line
