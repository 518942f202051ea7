"""``mini-diffuser upgrade``: a policy of the first format into the present one."""

from __future__ import annotations

import sys
from pathlib import Path

from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.policy.first_format import FUSION_FILE, upgrade
from mini_diffuser_ros.records import FusionConfig
from mini_diffuser_ros.support.errors import UserError


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    parser = CommandParser(
        "upgrade",
        description="Bring a policy of the first format (before 0.2) over: config.json with every field, the fusion in "
        "it, and a digest of the weights, which stay as they are.",
    )
    parser.add_argument("checkpoint", type=Path, help="policy directory of the first format")
    parser.add_argument("out", type=Path, nargs="?", help="directory to write (default: the checkpoint itself)")
    parser.add_argument(
        "--fusion",
        choices=("default", "none"),
        help=f"of a policy without {FUSION_FILE}: default, as it was served; none, if it was trained on clouds",
    )
    values = parser.parse_args(arguments)
    out = values.checkpoint if values.out is None else values.out
    fusion = FusionConfig() if values.fusion == "default" else None
    try:
        upgrade(values.checkpoint, out, fusion, from_clouds=values.fusion == "none")
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from error
    sys.stdout.write(f"wrote {out}: the same weights; the sentences it was taught are not known\n")
    return 0
