"""``mini-diffuser view``: demonstrations on a page to look at in a browser, here or after copying one file."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from mini_diffuser_ros.commands.arguments import add_source_arguments, whole_number_from
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.data.episodes import Episodes, StoredEpisode
from mini_diffuser_ros.data.errors import DataError
from mini_diffuser_ros.data.opening import open_episodes
from mini_diffuser_ros.geometry import evenly_spread
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.files import output_file
from mini_diffuser_ros.viewing.episode_page import write_episode_page


def main(arguments: list[str]) -> int:
    """Run the command; returns 0, or 1 if none of the episodes can be read."""
    parser = CommandParser(
        "view",
        description="Write episodes to one HTML file: images, clouds to turn round, grippers, sentences, joints over"
        " time, keyframes to step through. It opens in any browser, without a network.",
    )
    add_source_arguments(parser)
    parser.add_argument("names", nargs="*", metavar="EPISODE", help="names of episodes, as info and check say them")
    parser.add_argument(
        "--episodes",
        type=whole_number_from(1),
        default=12,
        metavar="N",
        help="show this many, evenly spread over all (default %(default)s)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="the page (default: NAME.html in the current folder)")
    parser.add_argument("--open", action="store_true", help="open it in the browser of this machine")
    values = parser.parse_args(arguments)
    return _view(values)


def _view(values: argparse.Namespace) -> int:
    name = values.path.resolve().stem
    chosen = _chosen(open_episodes(values.path, sentences=values.sentences), values.names, values.episodes)
    page: Path = Path(f"{name}.html") if values.out is None else values.out
    with output_file(str(page), "--out") as partial:
        bar = tqdm(chosen, desc="drawing", unit="episode", disable=None)
        readable = write_episode_page(partial or page, name, bar, lambda fault: tqdm.write(fault, file=sys.stderr))
    size = page.stat().st_size / 1e6
    sys.stdout.write(
        f"wrote {page}, {len(chosen)} episode{'s' * (len(chosen) != 1)}, {size:.1f} MB; open it in a browser\n"
    )
    if values.open and not webbrowser.open(page.resolve().as_uri()):
        raise UserError("no browser was found here; copy the page to a machine that has one")
    return 0 if readable else 1


def _chosen(episodes: Episodes, names: Sequence[str], most: int) -> list[StoredEpisode]:
    """The episodes of these names in their order; without names, some of all.

    Raises:
        DataError: if a name is not there.
    """
    if not names:
        return [episodes.stored[index] for index in evenly_spread(len(episodes), most)]
    known = {stored.source: stored for stored in episodes.stored}
    for name in names:
        if name not in known:
            some = ", ".join(list(known)[:3])
            raise DataError(f"there is no episode {name!r} among {len(known)}: {some}{', ...' * (len(known) > 3)}")
    return [known[name] for name in names]
