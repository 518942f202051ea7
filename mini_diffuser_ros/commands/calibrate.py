"""``mini-diffuser calibrate``: lenses, where cameras are, the table, and whether all that still holds.

Shots are taken with ``--record`` from the running cameras and joint states, ENTER for each, the arm moved by hand or by
its driver in between; or they are there already: a folder of shots, or demonstrations of the recorder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mini_diffuser_ros.calibration.arm_check import arm_offset, draw_offset
from mini_diffuser_ros.calibration.arm_surface import ArmSurface
from mini_diffuser_ros.calibration.arm_target import align_arm, refuse_strange
from mini_diffuser_ros.calibration.board import BoardConfig
from mini_diffuser_ros.calibration.errors import CalibrationError
from mini_diffuser_ros.calibration.from_shots import (
    arm_shots,
    cameras_of,
    lens_from_board,
    lens_of,
    place_from_board,
    table_from_depth,
)
from mini_diffuser_ros.calibration.lens import Array, write_lens
from mini_diffuser_ros.calibration.places import (
    CameraPlace,
    read_place,
    write_lens_into_cell,
    write_place,
    write_table,
)
from mini_diffuser_ros.calibration.shots import Shot, read_shots, robot_of, write_shots
from mini_diffuser_ros.cell import parse_cell
from mini_diffuser_ros.commands.arguments import namespace, number_between, number_of
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.robots import RobotDescription, load_robot, robot_of_data
from mini_diffuser_ros.simulation.cameras import look_at
from mini_diffuser_ros.support.files import expect_output, make_writable, whole_file
from mini_diffuser_ros.support.settings import leaves

OFF = 1
"""Exit code of ``check`` if a camera is off by more than is allowed."""
SHOT_TIMEOUT = 20.0  # seconds


def main(arguments: list[str]) -> int:
    """Run the command; returns 0, or 1 if ``check`` finds a camera off by more than is allowed."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    return run(options)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser("calibrate", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND", parser_class=argparse.ArgumentParser)
    board = kinds.add_parser("board", help="draw the board, to be printed")
    board.add_argument("out", type=Path, help="PNG to write")
    board.set_defaults(run=_draw_board)
    intrinsics = kinds.add_parser("intrinsics", help="the lens of a camera, by pictures of a board")
    intrinsics.add_argument(
        "--out", type=Path, metavar="YAML", help="camera_info to write, for ROS's camera_info_manager"
    )
    intrinsics.add_argument("--file", type=Path, metavar="YAML", help="cell to write it into")
    intrinsics.set_defaults(run=_intrinsics)
    hand_eye = kinds.add_parser("hand-eye", help="where a camera is, by a board that it and the arm move against")
    hand_eye.set_defaults(run=_hand_eye)
    arm = kinds.add_parser("arm", help="where cameras are, by the arm in their own depth images; no board")
    arm.add_argument("--at", type=_triple, metavar="X,Y,Z", help="about where the camera is in its parent, metres")
    arm.add_argument("--looks-at", type=_triple, metavar="X,Y,Z", help="what it looks at, in its parent, metres")
    arm.set_defaults(run=_arm)
    table = kinds.add_parser("table", help="height and tilt of the table, by depth of calibrated cameras")
    table.set_defaults(run=_table)
    check = kinds.add_parser("check", help="by how much the arm is off from where the calibration puts it")
    check.add_argument("--out", type=Path, metavar="DIR", help="folder of pictures with both outlines of the arm")
    check.add_argument(
        "--max-mm", type=number_between(0.0, 1000.0), default=10.0, help="allowed at the arm (default: %(default)s)"
    )
    check.add_argument(
        "--max-pixels",
        type=number_between(0.0, 10000.0),
        default=8.0,
        help="allowed in the image (default: %(default)s)",
    )
    check.set_defaults(run=_check)
    for kind in (board, intrinsics, hand_eye):
        _add_board(kind)
    for kind in (intrinsics, hand_eye, arm, table, check):
        _add_shots(kind)
    for kind in (hand_eye, arm):
        kind.add_argument("--parent", help="frame that carries the camera, if the file does not say: base or hand")
        kind.add_argument("--dry-run", action="store_true", help="say what was found and write nothing")
    for kind in (hand_eye, arm, table, check):
        kind.add_argument(
            "--file", type=Path, required=True, metavar="YAML", help="where cameras are, read and written"
        )
    return parser


def _add_board(parser: argparse.ArgumentParser) -> None:
    standard = BoardConfig()
    helps = {"columns": "squares along it", "rows": "squares across", "square": "metres, measured", "marker": "metres"}
    for leaf in leaves(standard):
        if leaf.name in helps:
            parser.add_argument(f"--{leaf.name}", type=number_of(leaf), default=leaf.default, help=helps[leaf.name])
    parser.add_argument("--dictionary", default=standard.dictionary, help="of the markers (default: %(default)s)")
    parser.add_argument("--legacy", action="store_true", help="pattern of OpenCV before 4.6")


def _add_shots(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shots", type=Path, help="folder of shots, or demonstrations")
    parser.add_argument(
        "--cameras", type=_names, default=(), metavar="A[,B]", help="names; by default all of the shots"
    )
    parser.add_argument("--robot", help="its description; by default what the shots say")
    parser.add_argument("--record", action="store_true", help="take the shots from the running cameras first")
    parser.add_argument("--namespace", type=namespace, default="", help="of the running stack")


def _triple(text: str) -> Array:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 3 or not np.all(np.isfinite(values)):
        raise argparse.ArgumentTypeError(f"{text!r} is not three numbers, as in 1.1,0,0.6")
    return np.array(values)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _board(options: argparse.Namespace) -> BoardConfig:
    return BoardConfig(
        options.columns, options.rows, options.square, options.marker, options.dictionary, options.legacy
    )


def _draw_board(options: argparse.Namespace) -> int:
    board = _board(options)
    expect_output(options.out, "out")
    with whole_file(options.out) as partial:
        Image.fromarray(board.draw(120)).save(partial, format="PNG")
    size = f"{1e3 * board.columns * board.square:.0f} x {1e3 * board.rows * board.square:.0f} mm"
    _say(f"{options.out}: print it as {size}, measure a square, glue it to something flat")
    return 0


def _intrinsics(options: argparse.Namespace) -> int:
    for path, option in ((options.out, "--out"), (options.file, "--file")):
        if path is not None:
            expect_output(path, option)
    shots, _ = _shots(options)
    for camera in cameras_of(shots, options.cameras):
        found = lens_from_board(shots, camera, _board(options))
        _say(f"{camera}: {found}")
        if options.out is not None:
            write_lens(found.lens, camera, options.out)
            _say(f"{camera}: written to {options.out}")
        if options.file is not None:
            write_lens_into_cell(options.file, camera, found.lens)
            _say(f"{camera}: written to {options.file}")
    return 0


def _hand_eye(options: argparse.Namespace) -> int:
    _expect_file(options)
    shots, robot = _shots(options)
    for camera in cameras_of(shots, options.cameras):
        parent = _parent(options, camera, robot)
        found = place_from_board(shots, camera, _board(options), robot, parent)
        _say(f"{camera}: {found}")
        _write(options, camera, parent, found.parent_from_camera)
    return 0


def _arm(options: argparse.Namespace) -> int:
    _expect_file(options)
    shots, robot = _shots(options)
    surface = _surface(robot)
    for camera in cameras_of(shots, options.cameras):
        parent = _parent(options, camera, robot)
        guess = _guess(options, shots, camera, parent, robot)
        found = align_arm(robot, arm_shots(shots, camera, robot), lens_of(shots, camera), parent, guess, surface)
        _say(f"{camera}: {found}")
        _write(options, camera, parent, found.parent_from_camera)
    return 0


def _expect_file(options: argparse.Namespace) -> None:
    if not options.dry_run:
        expect_output(options.file, "--file")


def _surface(robot: RobotDescription) -> ArmSurface:
    surface = ArmSurface(robot)
    if not surface.is_true:
        _say(
            f"the true surface of {robot.name} is not known, its shapes are about 1 cm outside: take what follows for "
            "no better than that on a real arm, and see docs/calibration.md for how the surface gets known"
        )
    return surface


def _table(options: argparse.Namespace) -> int:
    expect_output(options.file, "--file")
    shots, robot = _shots(options)
    places = {camera: _calibrated(options, camera) for camera in cameras_of(shots, options.cameras)}
    found = table_from_depth(shots, robot, places)
    _say(str(found))
    write_table(options.file, found.height)
    _say(f"written to {options.file}")
    return 0


def _check(options: argparse.Namespace) -> int:
    if options.out is not None:
        make_writable(options.out, "--out")
    shots, robot = _shots(options, count=1)
    surface, off = _surface(robot), []
    for camera in cameras_of(shots, options.cameras):
        parent, believed = _calibrated(options, camera)
        lens, taken = lens_of(shots, camera), arm_shots(shots, camera, robot)
        found = arm_offset(surface, taken, lens, parent, believed)
        good = 1e3 * found.metres <= options.max_mm and found.pixels <= options.max_pixels
        off += [] if good else [camera]
        _say(f"{camera}: {'holds' if good else 'DOES NOT HOLD'}, {found}")
        if options.out is not None:
            color = shots[-1].pictures[camera].color
            with whole_file(options.out / f"{camera}.png") as partial:
                picture = draw_offset(color, surface, taken[-1], lens, parent, believed, found.parent_from_camera)
                picture.save(partial, format="PNG")
            _say(f"{camera}: red is where {options.file} puts the arm, green where it is: {options.out / camera}.png")
    if off:
        _say(
            f"{', '.join(off)}: more than {options.max_mm:g} mm or {options.max_pixels:g} pixels: calibrate anew "
            f"(mini-diffuser calibrate arm), or look what was bumped"
        )
    return OFF if off else 0


def _shots(options: argparse.Namespace, count: int | None = None) -> tuple[list[Shot], RobotDescription]:
    """The shots that a calibration is made of, taken first if so asked, and the robot in them."""
    if options.record:
        _record(options, count)
    shots = read_shots(options.shots)
    if options.robot:
        return shots, load_robot(options.robot)
    name = robot_of(options.shots)
    if not name:
        raise CalibrationError(f"{options.shots} does not say which robot it is of: --robot fr3, for example")
    return shots, robot_of_data(name)


def _record(options: argparse.Namespace, count: int | None) -> None:
    """Take shots into the folder: ``count`` at once, or one a line of the terminal.

    Robot and cameras are those of the command line, else those of the cell's file.
    """
    from mini_diffuser_ros.nodes.calibration.shot_taker import ShotTaker  # needs ROS
    from mini_diffuser_ros.nodes.ros.client_node import client_node

    if options.shots.exists() and any(options.shots.iterdir()):
        raise CalibrationError(f"{options.shots} is not empty: name a new folder for new shots")
    make_writable(options.shots, "shots")
    cell = parse_cell(options.file) if options.file is not None and options.file.exists() else None
    robot = options.robot or (cell.robot if cell else "")
    cameras = options.cameras or (tuple(cell.cameras) if cell else ())
    if not cameras or not robot:
        remedy = "--file my_cell.yaml, or --robot fr3 --cameras front,wrist"
        raise CalibrationError(f"--record has to know the robot and the cameras: {remedy}")
    shots: list[Shot] = []
    with client_node("calibrate", options.namespace, threads=4) as node:
        taker = ShotTaker(node, load_robot(robot), cameras)
        if count is None:
            _say("ENTER takes a shot of the arm at rest, q (with ENTER) ends; move the arm another way in between")
        for line in sys.stdin if count is None else [""] * count:
            if line.strip().lower() == "q":
                break
            shots.append(taker.take(f"s{len(shots):02d}", SHOT_TIMEOUT))
            # After each, so that nothing is lost whatever happens to the next.
            write_shots(options.shots, robot, shots)
            _say(f"shot {shots[-1].name} of {', '.join(shots[-1].pictures)}")


def _parent(options: argparse.Namespace, camera: str, robot: RobotDescription) -> str:
    """The frame that carries a camera, by the command line or by the file."""
    words = {"base": robot.base_frame, "hand": robot.hand_frame}
    place = read_place(options.file, camera) if not options.parent and options.file.exists() else CameraPlace("", None)
    parent = words.get(options.parent, options.parent) or place.parent
    if not parent:
        raise CalibrationError(f"{options.file} does not say what carries camera '{camera}': --parent base, or hand")
    refuse_strange(robot, (), parent)
    return str(parent)


def _guess(
    options: argparse.Namespace, shots: Sequence[Shot], camera: str, parent: str, robot: RobotDescription
) -> Array:
    """About where a camera is: by the command line, the file, or what recordings believed."""
    if options.at is not None and options.looks_at is not None:
        across, along = (options.looks_at - options.at)[:2]
        # Straight down, the image's top is away from x.
        return look_at(options.at, options.looks_at, (1, 0, 0) if np.hypot(across, along) < 1e-3 else (0, 0, 1))
    if options.file.exists():
        place = read_place(options.file, camera)
        if place.parent_from_camera is not None and place.parent == parent:
            return place.parent_from_camera
    first = next(shot for shot in shots if camera in shot.pictures)
    believed = first.pictures[camera].base_from_camera
    if believed is None:
        raise CalibrationError(
            f"nobody says about where camera '{camera}' is: --at 1.1,0,0.6 --looks-at 0.4,0,0.2, metres in {parent}"
        )
    return np.asarray(np.linalg.inv(robot.forward_kinematics(first.joints)[parent]) @ believed)


def _calibrated(options: argparse.Namespace, camera: str) -> tuple[str, Array]:
    place = read_place(options.file, camera)
    if place.parent_from_camera is None:
        raise CalibrationError(f"{options.file} has no pose of camera '{camera}': mini-diffuser calibrate arm")
    return place.parent, place.parent_from_camera


def _write(options: argparse.Namespace, camera: str, parent: str, parent_from_camera: Array) -> None:
    if not options.dry_run:
        write_place(options.file, camera, parent, parent_from_camera)
        _say(f"{camera}: written to {options.file}; extrinsics_node publishes it at its next start")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
