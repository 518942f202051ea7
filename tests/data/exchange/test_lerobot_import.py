"""What went out as a LeRobotDataset comes back to the byte, or is refused in one line."""

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import EpisodeStore, open_episodes
from mini_diffuser_ros.data.errors import EpisodeFileError
from mini_diffuser_ros.data.exchange.parquet import ParquetFile
from mini_diffuser_ros.geometry import matrix_from_pose
from mini_diffuser_ros.records import CameraView, Distortion, Episode, Keyframe, Provenance

from ..conftest import EpisodeMaker, random_episode

LENSES = st.sampled_from(
    [
        Distortion(),
        Distortion("plumb_bob", (0.1, -0.2, 0.001, 1 / 3, 0.0)),
        Distortion("rational_polynomial", tuple(0.01 * i for i in range(8))),
        Distortion("equidistant", (0.0, 0.0, 0.0, 0.0)),
    ]
)
ANY = st.floats(-1e12, 1e12)
ROTATIONS = st.sampled_from([(0.0, 0.6, 0.0, 0.8), (1 / 3, 2 / 3, -2 / 3, 0.0), (-0.0, 1.0, 0.0, 0.0)])
PRINTABLE = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
TEXT = st.text(PRINTABLE, min_size=1, max_size=20).filter(str.strip)


def round_trip(recordings: Path, out: Path, back: Path) -> int:
    assert main(["export", str(recordings), str(out), "--format", "lerobot"]) == 0
    return main(["import", str(out), str(back)])


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.zip"))}


@st.composite
def episodes(draw: st.DrawFn) -> Episode:
    """Episodes of any numbers that a recording may hold."""
    size = draw(st.tuples(st.integers(3, 5), st.integers(3, 5)))
    joints = draw(st.lists(st.sampled_from(["a", "b.c", "x", "ä"]), unique=True))

    rng = np.random.default_rng(draw(st.integers(0, 2**32)))

    def view(name: str) -> CameraView:
        place = draw(st.tuples(*[st.floats(-2.0, 2.0)] * 3))
        return CameraView(
            name,
            rng.integers(0, 256, (*size, 3), dtype=np.uint8),
            (rng.integers(3000, 30000, size) * 1e-4).astype(np.float32),
            np.array([[draw(st.floats(1.0, 40.0)), 0.0, 0.5], [0.0, 30.0, draw(st.floats(0.0, 0.9))], [0.0, 0.0, 1.0]]),
            matrix_from_pose([*place, 0.0, 0.6, 0.0, 0.8]),
            draw(ANY),
            draw(LENSES),
        )

    def keyframe() -> Keyframe:
        views = (view("front"), view("Wrist-2"))
        return replace(
            random_episode(keyframes=2).keyframes[0],
            pose=np.array([*draw(st.tuples(*[st.floats(-1.0, 1.0)] * 3)), *draw(ROTATIONS)]),
            gripper_open=draw(st.booleans()),
            stamp=draw(ANY),
            load_views=lambda: views,
            joint_positions={name: draw(ANY) for name in joints},
        )

    keyframes = tuple(keyframe() for _ in range(draw(st.integers(2, 3))))
    sentences = tuple(f"put the {text} on the block" for text in draw(st.lists(TEXT, min_size=1, max_size=3)))
    world = Provenance(("cell",), (), ("0123",), ())
    return Episode("stack", draw(st.integers(0, 2**40)), sentences, keyframes, draw(TEXT), world)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(episode=episodes(), seed=st.none() | st.integers(0, 2**40))
def test_whatever_was_recorded_comes_back_to_the_byte(episode: Episode, seed: int | None) -> None:
    with TemporaryDirectory() as folder:
        recordings, out, back = (Path(folder) / name for name in ("in", "out", "back"))
        EpisodeStore(recordings).write(episode, seed)
        assert round_trip(recordings, out, back) == 0
        assert contents(back) == contents(recordings)


def test_what_is_there_is_not_added_again_and_takes_no_name(
    tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    recordings, out, back = (tmp_path / name for name in ("in", "out", "back"))
    for seed in range(3):
        EpisodeStore(recordings).write(make_episode(seed), seed)
    EpisodeStore(back).write(make_episode(9), 1)  # another demonstration under the name of one that comes
    own = contents(back)
    assert round_trip(recordings, out, back) == 0
    assert contents(back) == {
        **own,
        **{name: data for name, data in contents(recordings).items() if name not in own},
        "stack_blocks-000000.zip": contents(recordings)["stack_blocks-seed00000001.zip"],
    }
    before = contents(back)
    assert main(["import", str(out), str(back)]) == 0
    assert "added 0 of 3 episodes" in capsys.readouterr().out
    assert contents(back) == before


def test_a_frame_of_another_kind_is_no_recording(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    """The frame of what has no robot is kept."""
    recordings, out, back = (tmp_path / name for name in ("in", "out", "back"))
    store = EpisodeStore(recordings)
    store.frame = "world"
    store.write(make_episode(), 0)
    assert round_trip(recordings, out, back) == 0
    assert open_episodes(back)[0].keyframes[0].cloud.frame == "world"


def change(out: Path, column: str, row: int, value: object) -> None:
    """Write a dataset's frames anew, whole and with right checksums, with another value in one."""
    file = out / "data" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(file)
    values = table.column(column).to_pylist()
    values[row] = value
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pa.array(values, table.schema.field(column).type)), file)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("observation.stamp", 0.25),
        ("observation.intrinsics.front", [[41.0, 0.0, 15.5], [0.0, 40.0, 11.5], [0.0, 0.0, 1.0]]),
        ("observation.depth.wrist", [[5000] * 32] * 24),
        ("observation.distortion.front", [0.0] * 13 + [float("nan")]),
        ("mini_diffuser.digest", "0" * 64),
    ],
)
def test_what_was_changed_since_is_refused(
    tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str], column: str, value: object
) -> None:
    recordings, out, back = (tmp_path / name for name in ("in", "out", "back"))
    EpisodeStore(recordings).write(make_episode(), 0)
    assert main(["export", str(recordings), str(out), "--format", "lerobot"]) == 0
    change(out, column, 1, value)
    assert main(["import", str(out), str(back)]) == 2
    error = capsys.readouterr().err
    assert "keyframe 1 is not what was exported" in error or "is not finite" in error
    assert contents(back) == {}


def test_episodes_that_lerobot_took_out_are_imported_without_the_others(
    tmp_path: Path, make_episode: EpisodeMaker
) -> None:
    recordings, out, back = (tmp_path / name for name in ("in", "out", "back"))
    for seed in range(2):
        EpisodeStore(recordings).write(make_episode(seed, keyframes=3 + seed), seed)
    assert main(["export", str(recordings), str(out), "--format", "lerobot"]) == 0
    # As LeRobot's delete_episodes leaves it: rows and numbers anew, columns as they are.
    data, meta = (out / name / "chunk-000" / "file-000.parquet" for name in ("data", "meta/episodes"))
    left = pq.read_table(data).slice(3)
    zero = pa.array([0] * 4, pa.int64())
    pq.write_table(left.set_column(left.column_names.index("episode_index"), "episode_index", zero), data)
    entry = pq.read_table(meta).slice(1)
    pq.write_table(entry.set_column(0, "episode_index", pa.array([0], pa.int64())), meta)
    info = out / "meta" / "info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"total_episodes": 1, "total_frames": 4}))
    assert main(["import", str(out), str(back)]) == 0
    name = "stack_blocks-seed00000001.zip"
    assert contents(back) == {name: contents(recordings)[name]}


def test_an_episode_whose_end_is_gone_is_refused(
    tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each frame that is left is as it was, and so is the digest up to it."""
    recordings, out, back = (tmp_path / name for name in ("in", "out", "back"))
    EpisodeStore(recordings).write(make_episode(keyframes=4), 0)
    assert main(["export", str(recordings), str(out), "--format", "lerobot"]) == 0
    frames, episodes = (out / folder / "chunk-000" / "file-000.parquet" for folder in ("data", "meta/episodes"))
    pq.write_table(pq.read_table(frames).slice(0, 3), frames)
    table = pq.read_table(episodes)
    place = table.column_names.index("length")
    pq.write_table(table.set_column(place, "length", pa.array([3])), episodes)
    assert main(["import", str(out), str(back)]) == 2
    assert "keyframes is 4, expected 3, as many as there are" in capsys.readouterr().err
    assert main(["import", str(out), str(back), "--skip-bad"]) == 1
    assert contents(back) == {}


def test_damaged_files_are_refused_or_the_same(
    tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    recordings, out, back = (tmp_path / name for name in ("in", "out", "back"))
    EpisodeStore(recordings).write(make_episode(cameras=("front",)), 0)
    assert main(["export", str(recordings), str(out), "--format", "lerobot"]) == 0
    capsys.readouterr()
    rng, refused = random.Random(0), 0
    for file in (out / "data/chunk-000/file-000.parquet", out / "meta/episodes/chunk-000/file-000.parquet"):
        whole = file.read_bytes()
        for number in range(25):
            place = rng.randrange(len(whole))
            broken = whole[:place] + rng.randbytes(8) + whole[place + 8 :] if number % 5 else whole[:place]
            file.write_bytes(broken)
            code = main(["import", str(out), str(back)])
            told = capsys.readouterr().err
            if code == 0:
                assert contents(back) == contents(recordings)
            else:
                assert told.count("\n") == 1
                refused += 1
            shutil.rmtree(back, ignore_errors=True)
        file.write_bytes(whole)
    assert refused > 20


@pytest.mark.parametrize(
    "path",
    [
        "../data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "/etc/passwd",
        "data/{chunk_index.__class__}",
        "data/{chunk_index:0999999999d}/{file_index}",
        "data/{0}",
        "data/{",
    ],
)
def test_paths_that_lead_elsewhere_are_refused(
    tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    EpisodeStore(tmp_path / "in").write(make_episode(), 0)
    assert main(["export", str(tmp_path / "in"), str(tmp_path / "out"), "--format", "lerobot"]) == 0
    info = tmp_path / "out" / "meta" / "info.json"
    info.write_text(json.dumps(json.loads(info.read_text()) | {"data_path": path}))
    assert main(["import", str(tmp_path / "out"), str(tmp_path / "back")]) == 2
    assert "data_path is" in capsys.readouterr().err


def test_links_that_lead_elsewhere_are_refused(
    tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    EpisodeStore(tmp_path / "in").write(make_episode(), 0)
    out = tmp_path / "out"
    assert main(["export", str(tmp_path / "in"), str(out), "--format", "lerobot"]) == 0
    (out / "data").rename(tmp_path / "elsewhere")
    (out / "data").symlink_to(tmp_path / "elsewhere")
    assert main(["import", str(out), str(tmp_path / "back")]) == 2
    assert "lies outside of the dataset" in capsys.readouterr().err


def test_another_version_is_named(
    tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    EpisodeStore(tmp_path / "in").write(make_episode(), 0)
    assert main(["export", str(tmp_path / "in"), str(tmp_path / "out"), "--format", "lerobot"]) == 0
    info = tmp_path / "out" / "meta" / "info.json"
    info.write_text(info.read_text().replace('"v3.0"', '"v2.1"'))
    assert main(["import", str(tmp_path / "out"), str(tmp_path / "back")]) == 2
    assert "codebase_version is 'v2.1', expected v3.0: bring it over with LeRobot's own" in capsys.readouterr().err


def test_a_footer_at_which_pyarrow_ends_the_process_is_refused(tmp_path: Path) -> None:
    """It says how often each level of nesting comes; pyarrow aborts where the schema has less levels than that."""
    file = tmp_path / "nested.parquet"
    pq.write_table(pa.table({"a": pa.array([[[1.0, 2.0]], [[3.0]]], pa.list_(pa.list_(pa.float64())))}), file)
    whole = file.read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    # 2 is how thrift's compact protocol writes 1, which stands for "optional"; 0 stands for "required".
    places = [place for place in range(footer, len(whole)) if whole[place] == 2]
    refusals = []
    for place in places:
        file.write_bytes(whole[:place] + bytes(1) + whole[place + 1 :])
        try:
            assert ParquetFile(file).rows == 2
        except EpisodeFileError as error:
            refusals.append(str(error))
    assert any("its footer contradicts itself" in refusal for refusal in refusals)
    file.write_bytes(whole)
    assert ParquetFile(file).rows == 2
