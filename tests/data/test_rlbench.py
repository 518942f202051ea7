"""RLBench's files, written by a helper that knows nothing of the reader, come back as they were."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mini_diffuser_ros.data import RLBENCH_FUSION, EpisodeFileError, Episodes, open_episodes
from mini_diffuser_ros.data.formats.rlbench_episode import read_masks
from mini_diffuser_ros.perception import back_project
from mini_diffuser_ros.records import Cloud, Keyframe

from . import rlbench_writer as writer
from . import scene

SENTENCES = ["put the box beside the ball", "Kiste zum Ball, bitte"]
LINK = {
    "Panda_link3_respondable_bbox": np.array([-0.15, 0.15, -0.2, 0.2, -0.15, 0.15]),
    "Panda_link3_respondable_pose": np.array([0.25, -0.08, 0.83, 0.0, 0.0, 0.0, 1.0]),  # around the scene's box
}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("raw")
    writer.write_raw(root, "stack_cups", 3, 1, SENTENCES, core="numpy.core")
    writer.write_raw(root, "close_jar", 0, 2, SENTENCES[:1], cameras=("front",))
    return root


@pytest.fixture(scope="module")
def peract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("peract")
    writer.write_peract(root, "stack_cups", [11, 4], SENTENCES)
    return root


def views_as_points(keyframe: Keyframe) -> np.ndarray:
    """Every pixel of every view, world frame."""
    parts = []
    for view in keyframe.views:
        points = back_project(view.depth, view.intrinsics).reshape(-1, 3)
        parts.append(points @ view.base_from_camera[:3, :3].T + view.base_from_camera[:3, 3])
    return np.concatenate(parts)


def check_keyframes(episodes: Episodes, index: int, cameras: tuple[str, ...]) -> None:
    moves = writer.motion(0)
    episode = episodes[index]
    assert len(episode.keyframes) == len(moves.keyframes)
    for keyframe, frame in zip(episode.keyframes, moves.keyframes, strict=True):
        np.testing.assert_array_equal(keyframe.pose, moves.poses[frame])
        assert keyframe.gripper_open is bool(moves.gripper_open[frame])
        np.testing.assert_array_equal(list(keyframe.joint_positions.values()), moves.joints[frame])
        assert [view.name for view in keyframe.views] == list(cameras)
        for view, rig in zip(keyframe.views, scene.cameras(cameras), strict=True):
            image = scene.render(rig)
            np.testing.assert_array_equal(view.color, image.rgb)
            np.testing.assert_array_equal(view.depth, image.depth.astype(np.float32))


def test_a_raw_demonstration_comes_back_exactly(raw: Path) -> None:
    episodes = open_episodes(raw)
    assert [e.source for e in episodes] == [
        "close_jar/variation0/episode0",
        "close_jar/variation0/episode1",
        "stack_cups/variation3/episode0",
    ]
    check_keyframes(episodes, 2, writer.FIVE)
    episode = episodes[2]
    assert (episode.task, episode.variation, episode.sentences) == ("stack_cups", 3, tuple(SENTENCES))


def test_a_peract_demonstration_comes_back_exactly(peract: Path) -> None:
    episodes = open_episodes(peract)
    check_keyframes(episodes, 0, writer.FOUR)
    assert [(e.task, e.variation, e.sentences) for e in episodes] == [
        ("stack_cups", 11, tuple(SENTENCES)),
        ("stack_cups", 4, tuple(SENTENCES)),
    ]


def test_all_points_lie_on_the_surfaces(raw: Path) -> None:
    [keyframe, *_] = open_episodes(raw)[2].keyframes
    points = views_as_points(keyframe)
    points = points[
        np.all((points > RLBENCH_FUSION.workspace.lower) & (points < RLBENCH_FUSION.workspace.upper), axis=1)
    ]
    assert len(points) > 10_000
    assert scene.distance_to_surfaces(points).max() < 1e-4


def test_views_are_in_the_optical_convention(raw: Path) -> None:
    for view in open_episodes(raw)[2].keyframes[0].views:
        assert view.intrinsics[0, 0] > 0
        assert view.intrinsics[1, 1] > 0
        assert np.linalg.det(view.base_from_camera[:3, :3]) == pytest.approx(1.0)
        assert view.base_from_camera[2, 1] < 0, "the image's down is not the world's down"


def test_the_cloud_is_voxels_of_the_workspace_in_the_world_frame(raw: Path) -> None:
    cloud = open_episodes(raw)[2].keyframes[0].cloud
    assert cloud.frame == "world"
    assert len(np.unique(np.floor(cloud.points / 0.01), axis=0)) == len(cloud)
    ball = np.linalg.norm(cloud.points - scene.BALL_CENTER, axis=1) < scene.BALL_RADIUS + 0.005
    assert ball.sum() > 100
    assert np.median(cloud.colors[ball], axis=0).tolist() == list(scene.COLORS["ball"])


def test_masks_hold_handles_of_more_than_one_byte(raw: Path) -> None:
    masks = read_masks(raw / "stack_cups/variation3/episodes/episode0", 8)
    assert list(masks) == list(writer.FIVE)
    for rig in scene.cameras(writer.FIVE):
        assert masks[rig.name].dtype == np.int32
        np.testing.assert_array_equal(masks[rig.name], scene.render(rig).mask)
    assert masks["front"].max() == scene.HANDLES["ball"]


def test_points_inside_of_the_arms_boxes_are_taken_out(tmp_path: Path) -> None:
    writer.write_raw(tmp_path, "a", 0, 1, SENTENCES, cameras=("front", "overhead"), more=LINK)
    writer.write_raw(tmp_path, "b", 0, 1, SENTENCES, cameras=("front", "overhead"))
    without, with_arm = (episode.keyframes[0].cloud for episode in open_episodes(tmp_path))

    def on_box(cloud: Cloud) -> int:
        return int(np.sum(np.all((cloud.points > scene.BOX_LOW) & (cloud.points < scene.BOX_HIGH), axis=1)))

    assert on_box(with_arm) > 50
    assert on_box(without) == 0
    assert len(without) > 1000


@pytest.mark.parametrize(
    ("below", "count"),
    [
        ("", 3),
        ("close_jar", 2),
        ("close_jar/variation0", 2),
        ("close_jar/variation0/episodes", 2),
        ("close_jar/variation0/episodes/episode1", 1),
    ],
)
def test_any_level_can_be_opened_and_names_stay(raw: Path, below: str, count: int) -> None:
    episodes = open_episodes(raw / below)
    assert len(episodes) == count
    assert "close_jar/variation0/episode1" in [stored.source for stored in episodes.stored]


def test_opening_reads_no_file_and_episodes_can_be_sent_to_processes(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"task/variation0/episodes/episode{number}").mkdir(parents=True)
    episodes = open_episodes(tmp_path)
    assert [stored.source[-2:] for stored in episodes.stored][-3:] == ["e9", "10", "11"]
    with pytest.raises(EpisodeFileError, match=r"episode11/low_dim_obs.pkl: cannot be read \(No such file"):
        pickle.loads(pickle.dumps(episodes))[11]


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("low_dim_obs.pkl", lambda data: data[:5000], "low_dim_obs.pkl: not a readable pickle"),
        ("front_rgb/8.png", lambda data: data[:100], "front_rgb/8.png: not a readable PNG"),
        ("front_depth/0.png", None, "front_depth/0.png: cannot be read"),
        (
            "../../variation_descriptions.pkl",
            lambda _: writer.dumps([]),
            "_descriptions.pkl: holds a list, expected",
        ),
        ("../../variation_descriptions.pkl", None, "variation_descriptions.pkl: cannot be read"),
    ],
)
def test_damage_is_named_with_its_file_in_one_line(tmp_path: Path, file: str, damage: object, message: str) -> None:
    writer.write_raw(tmp_path, "a", 0, 1, SENTENCES, cameras=("front",))
    path = tmp_path / "a/variation0/episodes/episode0" / file
    if callable(damage):
        path.write_bytes(damage(path.read_bytes()))
    else:
        path.unlink()
    with pytest.raises(EpisodeFileError, match=message) as caught:
        _ = [keyframe.cloud for keyframe in open_episodes(tmp_path)[0].keyframes]
    assert "\n" not in str(caught.value)


def test_images_of_another_size_than_the_calibration_are_refused(tmp_path: Path) -> None:
    writer.write_raw(tmp_path, "a", 0, 1, SENTENCES, cameras=("front",))
    folder = tmp_path / "a/variation0/episodes/episode0"
    small = np.zeros((32, 32, 3), np.uint8)
    Image.fromarray(small).save(folder / "front_depth/8.png")
    keyframe = open_episodes(tmp_path)[0].keyframes[1]
    with pytest.raises(EpisodeFileError, match=r"front_depth/8.png: camera front: colour is 64x64, depth is 32x32"):
        _ = keyframe.views
    Image.fromarray(small).save(folder / "front_rgb/8.png")
    with pytest.raises(EpisodeFileError, match="images of 32x32 pixels, intrinsics of 64x64"):
        _ = keyframe.views


def test_an_episode_of_one_frame_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "a/variation0/episodes/episode0"
    writer.write_demo(folder, writer.motion(frames=1), ("front",))
    with pytest.raises(EpisodeFileError, match=r"low_dim_obs.pkl: has 1 keyframe, expected at least two"):
        open_episodes(tmp_path)[0]
