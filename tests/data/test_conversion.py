"""A converted set is its source, rounded; it survives being killed and is readable without the package."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import lmdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.data import POSITION_UNIT, DataError, EpisodeFileError, Episodes, EpisodeStore, open_episodes
from mini_diffuser_ros.data.store.cloud_codec import decode_positions, encode_positions
from mini_diffuser_ros.data.store.conversion import convert
from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.records import Episode
from mini_diffuser_ros.support.sealing import unsealed

from . import rlbench_writer as writer

EpisodeMaker = Callable[..., Episode]

CONVERTER = """
import sys
from pathlib import Path
from mini_diffuser_ros.data import open_episodes
from mini_diffuser_ros.data.store.conversion import convert
for converted in convert(open_episodes(sys.argv[1]), Path(sys.argv[2])):
    sys.stdout.write(converted.source + "\\n")
    sys.stdout.flush()
"""


@pytest.fixture
def recordings(tmp_path: Path, make_episode: EpisodeMaker) -> Path:
    store = EpisodeStore(tmp_path / "recordings", "panda")
    for seed in range(4):
        store.write(make_episode(seed), seed)
    return store.path


def rounded(points: np.ndarray) -> np.ndarray:
    return (np.rint(points.astype(np.float64) * 2**14) / 2**14).astype(np.float32)


def assert_same(converted: Episodes, source: Episodes) -> None:
    assert len(converted) == len(source)
    assert converted.fusion == source.fusion
    for ours, theirs in zip(converted, source, strict=True):
        assert (ours.source, ours.task, ours.variation, ours.sentences) == (
            theirs.source,
            theirs.task,
            theirs.variation,
            theirs.sentences,
        )
        for a, b in zip(ours.keyframes, theirs.keyframes, strict=True):
            np.testing.assert_array_equal(a.pose, b.pose)
            assert (a.gripper_open, a.stamp, a.joint_positions) == (b.gripper_open, b.stamp, b.joint_positions)
            assert (a.cloud.frame, a.cloud.stamp) == (b.cloud.frame, b.cloud.stamp)
            np.testing.assert_array_equal(a.cloud.points, rounded(b.cloud.points))
            np.testing.assert_array_equal(a.cloud.colors, b.cloud.colors)


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(0, 40), st.just(3)), elements=st.floats(-1.875, 1.875, width=32)),
    st.floats(-50, 50),
)
def test_positions_are_rounded_to_the_lattice_and_rounding_twice_changes_nothing(
    points: np.ndarray, offset: float
) -> None:
    moved = (points + np.float32(offset)).astype(np.float32)
    origin, data = encode_positions(moved)
    decoded = decode_positions(np.array(origin), data, POSITION_UNIT)
    np.testing.assert_array_equal(decoded, rounded(moved))
    assert encode_positions(decoded) == (origin, data)


def test_a_cloud_that_is_too_long_or_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match=r"4.5 m long, expected less than 4"):
        encode_positions(np.array([[0, 0, 0], [0, 4.5, 0]]))
    with pytest.raises(ValueError, match="not finite"):
        encode_positions(np.array([[0, np.nan, 0]]))


@pytest.mark.process
@pytest.mark.parametrize("workers", [1, 2])
def test_recordings_become_clouds(recordings: Path, tmp_path: Path, workers: int) -> None:
    assert main(["convert", str(recordings), str(tmp_path / "out"), "--workers", str(workers)]) == 0
    assert_same(open_episodes(tmp_path / "out"), open_episodes(recordings))


def test_rlbench_and_keysteps_become_clouds_and_clouds_stay_what_they_are(tmp_path: Path) -> None:
    writer.write_raw(tmp_path / "raw", "stack_cups", 3, 2, ["stack"], cameras=("front",))
    writer.write_lotus(tmp_path / "lotus" / "a_peract+1", {"episode0": writer.keysteps()})
    writer.write_sentences(tmp_path / "lotus" / "instr.json", {"a_peract+1": ["do a"]})
    for name in ("raw", "lotus"):
        source, first, second = tmp_path / name, tmp_path / f"{name}1", tmp_path / f"{name}2"
        assert main(["convert", str(source), str(first), "--workers", "1"]) == 0
        assert main(["convert", str(first), str(second), "--workers", "1"]) == 0
        assert_same(open_episodes(first), open_episodes(source))
        assert_same(open_episodes(second), open_episodes(first))


def test_recordings_can_be_packed_with_their_images(recordings: Path, tmp_path: Path) -> None:
    assert main(["convert", str(recordings), str(tmp_path / "out"), "--images", "--workers", "1"]) == 0
    for packed, recorded in zip(open_episodes(tmp_path / "out"), open_episodes(recordings), strict=True):
        for ours, theirs in zip(packed.keyframes, recorded.keyframes, strict=True):
            np.testing.assert_array_equal(ours.cloud.points, theirs.cloud.points)
            np.testing.assert_array_equal(ours.views[0].depth, theirs.views[0].depth)
    with pytest.raises(DataError, match="holds episodes of another kind"):
        next(convert(open_episodes(recordings), tmp_path / "out"))


def test_a_conversion_goes_on_where_it_stopped(
    recordings: Path, tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["convert", str(recordings), str(out), "--workers", "1"]
    assert main(words) == 0
    EpisodeStore(recordings, "panda").write(make_episode(9), 9)
    assert main(words) == 0
    assert "5 of 5 episodes are in" in (said := capsys.readouterr().out)
    assert "4 kept, 1 added" in said
    assert [episode.source[-1] for episode in open_episodes(out)] == ["0", "1", "2", "3", "9"]


def test_what_changed_under_its_name_is_made_anew_and_what_is_gone_is_named_and_goes_when_asked(
    recordings: Path, tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["convert", str(recordings), str(out), "--workers", "1"]
    assert main(words) == 0
    EpisodeStore(recordings, "panda").write(make_episode(7), 1)  # another demonstration in place of the first
    (recordings / "stack_blocks-seed00000002.zip").unlink()
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "3 of 3 episodes are in" in said
    assert "2 kept, 1 made anew" in said
    assert "1 in" in said
    assert "not in the source any more: stack_blocks-seed00000002 (--prune removes them)" in said.replace(
        f"are not in {recordings}", "not in the source"
    )
    assert len(open_episodes(out)) == 4
    assert main([*words, "--prune"]) == 0
    assert "3 kept, 1 removed" in capsys.readouterr().out
    assert_same(open_episodes(out), open_episodes(recordings))


def test_a_set_among_recordings_hides_none_of_them(
    recordings: Path, tmp_path: Path, make_episode: EpisodeMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(recordings), str(recordings), "--workers", "1"]) == 2
    assert "holds recordings" in capsys.readouterr().err
    assert not (recordings / "data.mdb").exists()
    out = tmp_path / "out"
    assert main(["convert", str(recordings), str(out), "--workers", "1"]) == 0
    EpisodeStore(out, "panda").write(make_episode(9), 9)
    with pytest.raises(DataError, match="which are not read together; move one"):
        open_episodes(out)


def test_what_was_damaged_in_the_set_is_made_anew(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["convert", str(recordings), str(out), "--workers", "1"]
    assert main(words) == 0
    with lmdb.open(str(out)) as environment, environment.begin(write=True) as transaction:
        for seed, value in ((1, b""), (2, transaction.get(b"stack_blocks-seed00000003"))):
            transaction.put(f"stack_blocks-seed{seed:08d}".encode(), value)
    with pytest.raises(EpisodeFileError, match="convert it again"):
        open_episodes(out).stored[2].digest()
    capsys.readouterr()
    assert main(words) == 0
    assert "2 kept, 2 made anew" in capsys.readouterr().out
    assert_same(open_episodes(out), open_episodes(recordings))


def test_an_episode_recorded_after_one_was_deleted_is_not_taken_for_it(
    tmp_path: Path, make_episode: EpisodeMaker
) -> None:
    store, out = EpisodeStore(tmp_path / "recordings", "panda"), tmp_path / "out"
    files = [store.write(make_episode(seed)) for seed in range(3)]
    assert main(["convert", str(store.path), str(out), "--workers", "1"]) == 0
    files[2].unlink()
    again = store.write(make_episode(5))
    assert again.name not in [file.name for file in files]
    assert main(["convert", str(store.path), str(out), "--workers", "1", "--prune"]) == 0
    assert_same(open_episodes(out), open_episodes(store.path))
    # Given the old name by hand, it is still another demonstration.
    again.rename(files[2])
    assert main(["convert", str(store.path), str(out), "--workers", "1", "--prune"]) == 0
    assert_same(open_episodes(out), open_episodes(store.path))


def test_a_set_of_the_first_version_is_read_and_made_anew_once(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["convert", str(recordings), str(out), "--workers", "1"]
    assert main(words) == 0
    with lmdb.open(str(out)) as environment, environment.begin(write=True) as transaction:
        about = unsealed(json.loads(transaction.get(b"about")))
        transaction.put(b"about", json.dumps({**about, "format_version": 1}).encode())
        for seed in range(4):
            transaction.delete(f"digest:stack_blocks-seed{seed:08d}".encode())
    assert_same(open_episodes(out), open_episodes(recordings))
    capsys.readouterr()
    assert main(words) == 0
    assert "4 made anew" in capsys.readouterr().out
    assert main(words) == 0
    assert "4 kept" in capsys.readouterr().out


def test_what_a_set_says_of_all_its_episodes_cannot_change(recordings: Path, tmp_path: Path) -> None:
    words = ["convert", str(recordings), str(tmp_path / "out"), "--workers", "1"]
    assert main(words) == 0
    changes = [(b'"voxel_size": 0.005', b'"voxel_size": 0.007'), (b'"sha256"', b'"sha257"')]
    for before, after in changes:
        with lmdb.open(str(tmp_path / "out")) as environment, environment.begin(write=True) as transaction:
            whole = transaction.get(b"about")
            assert before in whole
            transaction.put(b"about", whole.replace(before, after))
        with pytest.raises(DataError, match=r"about has .*; convert the set again"):
            open_episodes(tmp_path / "out")
        with lmdb.open(str(tmp_path / "out")) as environment, environment.begin(write=True) as transaction:
            transaction.put(b"about", whole)
    assert_same(open_episodes(tmp_path / "out"), open_episodes(recordings))


def test_an_episode_that_nobody_knows_the_making_of_is_refused_until_it_is_made_anew(
    recordings: Path, tmp_path: Path
) -> None:
    words = ["convert", str(recordings), str(tmp_path / "out"), "--workers", "1"]
    assert main(words) == 0
    with lmdb.open(str(tmp_path / "out")) as environment, environment.begin(write=True) as transaction:
        transaction.delete(b"digest:stack_blocks-seed00000002")
    with pytest.raises(DataError, match=r"stack_blocks-seed00000002: has no record of what it was made from \(1 of"):
        open_episodes(tmp_path / "out")
    assert main(words) == 0
    assert_same(open_episodes(tmp_path / "out"), open_episodes(recordings))


def test_the_second_writer_is_told_who_the_first_is(recordings: Path, tmp_path: Path) -> None:
    first = convert(open_episodes(recordings), tmp_path / "out")
    next(first)
    expected = rf"the converted set {tmp_path / 'out'} is being written by process {os.getpid()} on "
    with pytest.raises(DataError, match=expected):
        next(convert(open_episodes(recordings), tmp_path / "out"))
    assert len(open_episodes(tmp_path / "out")) == 1  # readers are not kept out
    first.close()
    assert len(list(convert(open_episodes(recordings), tmp_path / "out"))) == 4


def test_a_bad_episode_stops_the_conversion_or_is_listed(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = recordings / "stack_blocks-seed00000001.zip"
    bad.write_bytes(bad.read_bytes()[:3000])
    arguments = ["convert", str(recordings), str(tmp_path / "out"), "--workers", "1"]
    assert main(arguments) == 2
    complaint = f"{bad}: not a complete zip archive (File is not a zip file)"
    assert capsys.readouterr().err == f"mini-diffuser convert: {complaint} (--skip-bad goes on)\n"
    assert main([*arguments, "--skip-bad"]) == 0
    captured = capsys.readouterr()
    assert captured.err == f"skipped {complaint}\n"
    assert "3 of 4 episodes are in" in captured.out


def test_another_fusion_is_refused(recordings: Path, tmp_path: Path) -> None:
    assert main(["convert", str(recordings), str(tmp_path / "out"), "--workers", "1"]) == 0
    open_episodes(tmp_path / "out", FusionConfig())
    with pytest.raises(DataError, match="its clouds were fused with FusionConfig"):
        open_episodes(tmp_path / "out", FusionConfig(voxel_size=0.01))


def test_standard_readers_suffice(recordings: Path, tmp_path: Path) -> None:
    assert main(["convert", str(recordings), str(tmp_path / "out"), "--workers", "1"]) == 0
    with lmdb.open(str(tmp_path / "out"), readonly=True) as environment, environment.begin() as transaction:
        about = json.loads(transaction.get(b"about"))
        blob = transaction.get(b"stack_blocks-seed00000002")
    assert (about["contents"], about["fusion"]["voxel_size"]) == ("clouds", FusionConfig().voxel_size)
    with zipfile.ZipFile(BytesIO(blob)) as archive:
        episode = json.loads(archive.read("episode.json"))
        cloud = episode["keyframes"][1]["cloud"]
        low, high = np.frombuffer(archive.read(cloud["points"]), np.uint8).reshape(2, 3, -1).astype(int)
        colors = np.frombuffer(archive.read(cloud["colors"]), np.uint8).reshape(-1, 3)
    points = ((low + 256 * high).T + cloud["lowest_step"]) * episode["position_unit_metres"]
    original = open_episodes(recordings)[2].keyframes[1].cloud
    np.testing.assert_array_equal(points.astype(np.float32), rounded(original.points))
    np.testing.assert_array_equal(colors, original.colors)


def test_a_damaged_database_is_named(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["convert", str(recordings), str(out), "--workers", "1"]) == 0
    file = out / "data.mdb"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EpisodeFileError, match=r"data.mdb: is cut off"):
        open_episodes(out)
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(EpisodeFileError, match=r"data.mdb: not a readable LMDB"):
        open_episodes(out)


@pytest.mark.process
def test_kill_9_loses_no_committed_episode_and_the_next_run_goes_on(tmp_path: Path, make_episode: EpisodeMaker) -> None:
    store, out = EpisodeStore(tmp_path / "recordings", "panda"), tmp_path / "out"
    for seed in range(40):
        store.write(make_episode(seed, keyframes=2), seed)
    rng = random.Random(1)
    reported: set[str] = set()
    for _ in range(4):
        command = [sys.executable, "-c", CONVERTER, str(store.path), str(out)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        # After some episodes more, and then at any moment of converting another.
        for _ in range(len(reported) + rng.randint(1, 6)):
            reported.add(process.stdout.readline().strip())
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.0, 0.01))
        process.send_signal(signal.SIGKILL)
        reported |= set(process.communicate()[0].split())
        assert reported <= {stored.source for stored in open_episodes(out).stored}
    assert main(["convert", str(store.path), str(out), "--workers", "1"]) == 0
    assert_same(open_episodes(out), open_episodes(store.path))


@pytest.mark.process
def test_a_full_disk_is_one_line_and_what_was_committed_stays(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["convert", str(recordings / "stack_blocks-seed00000000.zip"), str(out), "--workers", "1"]) == 0
    size = (out / "data.mdb").stat().st_size

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    # The command would already find at its beginning that the little that it writes then does not fit.
    script = (
        "import sys; from pathlib import Path; from mini_diffuser_ros.data import open_episodes\n"
        "from mini_diffuser_ros.data.store.conversion import convert\n"
        "for _ in convert(open_episodes(sys.argv[1]), Path(sys.argv[2])): pass"
    )
    command = [sys.executable, "-c", script, str(recordings), str(out)]
    finished = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False)
    assert finished.stderr.splitlines()[-1].endswith(f"DataError: cannot write into {out}: File too large")
    assert [episode.source for episode in open_episodes(out)] == ["stack_blocks-seed00000000"]
    assert main(["convert", str(recordings), str(out), "--workers", "1"]) == 0
    assert len(open_episodes(out)) == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_destination_is_named(recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    with pytest.raises(DataError, match=r"cannot make the database .*: Permission denied"):
        main(["convert", str(recordings), str(tmp_path / "locked" / "out"), "--workers", "1"])


def test_a_destination_that_cannot_be_made_is_named(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["convert", str(recordings), str(tmp_path / "file" / "out")]) == 2
    assert f"{tmp_path / 'file' / 'out'}: cannot be written into (Not a directory)" in capsys.readouterr().err
