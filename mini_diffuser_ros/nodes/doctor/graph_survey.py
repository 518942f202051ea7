"""Who is in the ROS graph, who serves what, and which middleware their endpoints tell."""

from __future__ import annotations

from collections.abc import Collection

from rclpy.node import Node

from mini_diffuser_ros.doctor.snapshot import Graph
from mini_diffuser_ros.nodes.ros.action_goal import actions_of_kind

VENDORS = {(1, 0x0F): "rmw_fastrtps_cpp", (1, 0x10): "rmw_cyclonedds_cpp", (1, 1): "rmw_connextdds"}
"""The first two bytes of a DDS endpoint's identity are its vendor's."""

ACTION = "/_action/status"
HIDDEN = "_NODE_NAME_UNKNOWN_"


def survey_graph(node: Node, ours: Collection[str]) -> Graph:
    """The graph as this node sees it now.

    Args:
        node: that looks, and is not counted; others of its process are.
        ours: fully qualified names of actions of which there is to be one server, besides those of controllers.
    """
    own = node.get_fully_qualified_name()
    nodes = [_qualified(*one) for one in node.get_node_names_and_namespaces()]
    middlewares: dict[str, str] = dict.fromkeys(nodes, "")
    unnamed: list[str] = []
    publishers: dict[str, tuple[str, ...]] = {}
    for topic, _ in node.get_topic_names_and_types():
        infos = node.get_publishers_info_by_topic(topic)
        if any(info.node_name == HIDDEN for info in infos):
            unnamed.append(topic)
        names = [_qualified(info.node_name, info.node_namespace) for info in infos if info.node_name != HIDDEN]
        publishers[topic] = tuple(sorted(name for name in names if name != own))
        for info in infos:
            name = _qualified(info.node_name, info.node_namespace)
            if name in middlewares:
                middlewares[name] = VENDORS.get(tuple(info.endpoint_gid[:2]), "")
    middlewares.pop(own, None)
    arms, grippers = (actions_of_kind(node, f"control_msgs/action/{kind}") for kind in KINDS)
    served = {action: publishers.get(action + ACTION, ()) for action in (*arms, *grippers, *ours)}
    return Graph(
        nodes=tuple(sorted(name for name in nodes if name != own)),
        middlewares=middlewares,
        unnamed=tuple(sorted(unnamed)),
        servers={action: servers for action, servers in served.items() if servers},
        arms=tuple(arms),
        grippers=tuple(grippers),
        joint_publishers=publishers.get(node.resolve_topic_name("joint_states"), ()),
        clock_publishers=publishers.get("/clock", ()),
    )


KINDS = ("FollowJointTrajectory", "GripperCommand")


def _qualified(name: str, namespace: str) -> str:
    return f"{namespace.rstrip('/')}/{name}"
