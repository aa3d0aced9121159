# SPDX-License-Identifier: Apache-2.0
"""What the window may ask of Kit: recorded from the calls that Isaac Sim 5.1.0's and 6.0.1's own Python makes.

A name stands here if the sources of both tags (isaac-sim/IsaacSim on GitHub) call it, with no more positional
arguments than they pass, and keywords that they pass: what they do works in both. The last two of `METHODS` are none of
those: see there for what is known of them.
"""

# Class or function: most positional arguments, keywords.
CALLS: dict[str, tuple[float, set[str]]] = {
    "ui.Window": (1, {"width", "height", "visible", "title", "dockPreference", "flags"}),
    "ui.ScrollingFrame": (0, {"height", "width", "style"}),
    "ui.VStack": (0, {"height", "width", "spacing", "style"}),
    "ui.HStack": (0, {"height", "width", "spacing", "style"}),
    "ui.Label": (1, {"height", "width", "word_wrap", "tooltip", "style"}),
    "ui.Button": (1, {"clicked_fn", "height", "width", "enabled", "tooltip"}),
    "ui.ComboBox": (float("inf"), {"height", "width", "enabled", "tooltip"}),  # index, then the options
    "ui.StringField": (1, {"height", "width", "model", "tooltip"}),
    "ui.Plot": (float("inf"), {"height", "width", "style", "value_stride"}),  # type, minimum, maximum, values
    "MenuItemDescription": (0, {"name", "onclick_fn", "onclick_action"}),
    "add_menu_items": (2, set()),
    "remove_menu_items": (2, set()),
    "get_active_viewport": (0, set()),
    "capture_viewport_to_file": (2, {"file_path"}),
    "omni.usd.get_context": (0, set()),
    "omni.kit.app.get_app": (0, set()),
    "omni.timeline.get_timeline_interface": (0, set()),
    "carb.eventdispatcher.get_eventdispatcher": (0, set()),
}

# Methods of what those return.
METHODS: dict[str, tuple[float, set[str]]] = {
    "set_visibility_changed_fn": (1, set()),
    "destroy": (0, set()),
    "set_data": (float("inf"), set()),
    "get_item_value_model": (2, set()),
    "add_value_changed_fn": (1, set()),
    "get_value_as_int": (0, set()),
    "get_value_as_string": (0, set()),
    "set_value": (1, set()),
    "next_update_async": (0, set()),
    "stage_event_name": (1, set()),
    "observe_event": (0, {"event_name", "on_event", "observer_name", "order"}),
    "stop": (0, set()),  # the timeline's
    "get_extension_manager": (0, set()),
    "set_extension_enabled_immediate": (2, set()),
    "is_extension_enabled": (1, set()),
    # Kit's reference has IApp::postQuit(int returnCode); public scripts call get_app().post_quit(1) to end with a code.
    # Of Isaac Sim's sources, 6.0.1's SimulationApp names it in a comment alone: it stops the run loop before close().
    "post_quit": (1, set()),
    # Kit's reference awaits capture.wait_for_result() of a viewport's capture, and so do public scripts with what
    # capture_viewport_to_file returned, such as ft-lab/omniverse_sample_scripts, Rendering/Capture.
    "wait_for_result": (0, set()),
}

# Attributes that are read or set, and constants.
ATTRIBUTES = {
    "frame", "model", "visible", "enabled", "text", "scale_min", "scale_max", "updates_enabled",
    "ui.Type.LINE", "omni.usd.StageEventType.CLOSING",
}  # fmt: skip
