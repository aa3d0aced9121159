# SPDX-License-Identifier: Apache-2.0
"""The node: subscribes to joint states and IMU, publishes joint commands at the policy's control rate."""

from __future__ import annotations

from collections.abc import Callable

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray
from std_srvs.srv import SetBool

from myriad_policy.mapping import PolicyMapping, imu_reading, joint_state_fields
from myriad_policy.runtime import Command, Policy, PolicyError


class PolicyNode(Node):
    """Runs one policy; it starts disabled, and `~/enable` (std_srvs/SetBool) lets it command the joints."""

    def __init__(self) -> None:
        super().__init__("policy")
        path = self.declare_parameter("policy_file", "").value
        max_age = self.declare_parameter("max_age", 0.0).value  # s; 0: two control periods
        policy = Policy(path, max_age=max_age or None)
        self.policy, self.mapping = policy, PolicyMapping(policy)
        self.enabled, self.failing = False, False
        self.create_subscription(JointState, "joint_states", self._on_joint_state, qos_profile_sensor_data)
        if self.mapping.imu_terms:
            self.create_subscription(Imu, "imu", self._on_imu, qos_profile_sensor_data)
        for name in self.mapping.topic_terms:
            self.create_subscription(Float64MultiArray, f"~/observation/{name}", self._on_term(name), 1)
        for place in self.mapping.places:
            self.create_subscription(PoseStamped, f"~/pose/{place}", self._on_pose(place), qos_profile_sensor_data)
        self.commands = self.create_publisher(JointState, "~/joint_commands", 1)
        kinds = {term["kind"] for term in policy.metadata["actions"]["terms"]}
        self.arrays = {kind: self.create_publisher(Float64MultiArray, f"~/{kind}_commands", 1) for kind in kinds}
        self.create_service(SetBool, "~/enable", self._on_enable)
        self.create_timer(policy.control_dt, self._on_timer)
        poses = [f"the pose of {place}" for place in self.mapping.places]
        needs = ", ".join([*self.mapping.imu_terms, *self.mapping.topic_terms, *poses]) or "joint states alone"
        task = policy.metadata["task"]["name"]
        self.get_logger().info(f"{task} at {1.0 / policy.control_dt:.0f} Hz, needs {needs}; disabled until ~/enable")

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _stamp(self, message: JointState | Imu | PoseStamped) -> float:
        stamp = message.header.stamp
        seconds = stamp.sec + stamp.nanosec * 1e-9
        return seconds if seconds > 0.0 else self._now()  # a driver that does not stamp

    def _on_joint_state(self, message: JointState) -> None:
        try:
            self.mapping.on_joint_state(message.name, message.position, message.velocity, self._stamp(message))
        except PolicyError as error:
            self.get_logger().error(str(error), throttle_duration_sec=1.0)

    def _on_imu(self, message: Imu) -> None:
        q, w = message.orientation, message.angular_velocity
        try:
            reading = imu_reading((q.x, q.y, q.z, q.w), message.orientation_covariance, (w.x, w.y, w.z))
        except PolicyError as error:
            self.get_logger().error(str(error), throttle_duration_sec=1.0)
            return
        self.mapping.on_imu(reading, self._stamp(message))

    def _on_term(self, name: str) -> Callable[[Float64MultiArray], None]:
        return lambda message: self.mapping.on_term(name, message.data, self._now())

    def _on_pose(self, place: str) -> Callable[[PoseStamped], None]:
        def take(message: PoseStamped) -> None:
            p, q = message.pose.position, message.pose.orientation
            self.mapping.on_pose(place, (p.x, p.y, p.z), (q.x, q.y, q.z, q.w), self._stamp(message))

        return take

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.enabled = bool(request.data)
        self.policy.reset()
        if not self.enabled:
            self._publish(self.mapping.safe_command())
        response.success, response.message = True, "enabled" if self.enabled else "disabled"
        return response

    def _on_timer(self) -> None:
        if not self.enabled:
            return
        try:
            command = self.mapping.command(self._now())
            self.failing = False
        except PolicyError as error:
            self.get_logger().error(f"commanding nothing: {error}", throttle_duration_sec=1.0)
            if not self.failing:
                self.policy.reset()  # when measurements come back, they begin an episode
            self.failing = True
            command = self.mapping.safe_command()
        self._publish(command)

    def _publish(self, command: Command) -> None:
        message = JointState()
        message.header.stamp = self.get_clock().now().to_msg()
        message.name, message.position, message.velocity, message.effort = joint_state_fields(command)
        self.commands.publish(message)
        for kind, publisher in self.arrays.items():
            publisher.publish(Float64MultiArray(data=list(getattr(command, kind).values())))


def main() -> None:
    """Run the node until it is interrupted; a policy that cannot be run is said in one line."""
    rclpy.init()
    try:
        node = PolicyNode()
    except PolicyError as error:
        rclpy.logging.get_logger("policy").fatal(str(error))
        rclpy.shutdown()
        raise SystemExit(2) from None
    try:
        rclpy.spin(node)
    except KeyboardInterrupt:
        node.get_logger().info("interrupted")
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
