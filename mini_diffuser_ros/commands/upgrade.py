"""``mini-diffuser upgrade``: a policy of an earlier format into the present one."""

from __future__ import annotations

import sys
from pathlib import Path

from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.policy.checkpoint import old_format, read_config_file
from mini_diffuser_ros.policy.first_format import FUSION_FILE, upgrade
from mini_diffuser_ros.policy.second_format import with_world
from mini_diffuser_ros.records import LAB, RLBENCH, TABLE, UNKNOWN, FusionConfig, Provenance
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.files import make_writable

WORLDS = {"table": TABLE, "cell": LAB, "rlbench": RLBENCH, "unknown": UNKNOWN}


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    parser = CommandParser(
        "upgrade",
        description="Bring a policy of an earlier format over: config.json with every field, a digest of the weights, "
        "which stay as they are, and the world that it was trained in, as far as you know it.",
    )
    parser.add_argument("checkpoint", type=Path, help="policy directory of an earlier format")
    parser.add_argument("out", type=Path, nargs="?", help="directory to write (default: the checkpoint itself)")
    parser.add_argument(
        "--fusion",
        choices=("default", "none"),
        help=f"of a policy without {FUSION_FILE}: default, as it was served; none, if it was trained on clouds",
    )
    parser.add_argument(
        "--world",
        choices=tuple(WORLDS),
        default="unknown",
        help="that it was trained in; table: the simulated one",
    )
    parser.add_argument("--robot", default="", help="that its demonstrations were made with (default: not known)")
    parser.add_argument("--cameras", default="", help="that they were seen by, e.g. front,wrist (default: not known)")
    values = parser.parse_args(arguments)
    out = values.checkpoint if values.out is None else values.out
    if values.out is None:
        read_config_file(out)  # so that a mistyped checkpoint is not made
    make_writable(out, "out")
    fusion = FusionConfig() if values.fusion == "default" else None
    robots = (load_robot(values.robot).name,) if values.robot else ()
    cameras = tuple(sorted(name.strip() for name in values.cameras.split(",") if name.strip()))
    world = Provenance((WORLDS[values.world],), robots, (), cameras)
    try:
        if old_format(read_config_file(values.checkpoint)) == "second":
            with_world(values.checkpoint, out, world)
            sys.stdout.write(f"wrote {out}: the same weights; trained in: {world}\n")
        else:
            upgrade(values.checkpoint, out, fusion, values.fusion == "none", world)
            sys.stdout.write(f"wrote {out}: the same weights; the sentences it was taught are not known\n")
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from error
    return 0
