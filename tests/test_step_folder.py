from pathlib import Path

import pytest

from extractors.corpus import captions_of
from extractors.text_records import TextRecords
from extractors.words import Vocabulary
from mcn.data.step_folder import has_steps, step_texts
from mcn.evaluation.step_benchmarks import read_step_videos
from mcn.evaluation.step_videos import CrossTaskVideo, MiningYoutubeVideo
from mcn.root import Root
from tests.step_corpus import STEPS, write_crosstask, write_mining_youtube


@pytest.fixture
def crosstask(tmp_path: Path) -> Path:
    write_crosstask(tmp_path)
    return tmp_path


@pytest.fixture
def mining_youtube(tmp_path: Path) -> Path:
    write_mining_youtube(tmp_path)
    return tmp_path


def test_what_is_extracted_as_captions_of_crosstask_are_the_steps_of_its_tasks(
    crosstask: Path,
) -> None:
    captions = captions_of(Root(crosstask))
    assert {task: len(steps) for task, steps in captions.items()} == STEPS
    assert captions["1001"].texts[1] == "step1 of 1001"
    words = Vocabulary({"step1": 0, "of": 1}, "0" * 64)
    (record,) = TextRecords(captions, words).records(["1001"])
    assert record.spans is not None
    assert record.spans["num_rows"].tolist() == [1, 2, 1, 1]


def test_classes_of_mining_youtube_are_lines_in_the_order_of_their_numbers(
    mining_youtube: Path,
) -> None:
    assert step_texts(mining_youtube)["classes"].texts == [
        "crack egg",
        "add butter",
        "background",
        "stir milk",
    ]
    video = read_step_videos(mining_youtube)[0]
    assert isinstance(video, MiningYoutubeVideo)
    assert video.background == 2
    assert set(video.aligned.transcript) == {0, 1, 2, 3}  # lines, where the file has 0, 10, 20, 30


def test_only_the_videos_asked_for_are_evaluated(crosstask: Path) -> None:
    assert len(read_step_videos(crosstask)) == 10
    (crosstask / "videos_val.csv").write_text("1002,v1002_3,u\n1002,not_annotated,u\n")
    (video,) = read_step_videos(crosstask)
    assert isinstance(video, CrossTaskVideo)
    assert (video.task, video.video_id, video.num_steps) == ("1002", "v1002_3", 6)
    (crosstask / "videos_val.csv").write_text("1002,other,u\n")
    with pytest.raises(ValueError, match=r"videos_val\.csv names none of the 10 annotated videos"):
        read_step_videos(crosstask)


def test_a_mapping_without_a_background_is_an_error(mining_youtube: Path) -> None:
    mapping = mining_youtube / "mapping_without_meta.txt"
    mapping.write_text(mapping.read_text().replace("background", "SIL"))
    with pytest.raises(ValueError, match="has no class 'background'"):
        read_step_videos(mining_youtube)


def test_other_folders_have_no_steps(tmp_path: Path) -> None:
    assert not has_steps(tmp_path)
