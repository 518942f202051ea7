"""``mini-diffuser upgrade``: a policy of the first format into the present one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mini_diffuser_ros.policy.errors import PolicyError
from mini_diffuser_ros.policy.first_format import FUSION_FILE, upgrade
from mini_diffuser_ros.records import FusionConfig


def main(arguments: list[str]) -> int:
    """Run the command; returns 0, or 2 for a user's error."""
    parser = argparse.ArgumentParser(
        prog="mini-diffuser upgrade",
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
    try:
        fusion = FusionConfig() if values.fusion == "default" else None
        upgrade(values.checkpoint, out, fusion, from_clouds=values.fusion == "none")
    except PolicyError as error:
        sys.stderr.write(f"mini-diffuser upgrade: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"mini-diffuser upgrade: cannot write {out}: {error.strerror or error}\n")
        return 2
    sys.stdout.write(f"wrote {out}: the same weights; the sentences it was taught are not known\n")
    return 0
