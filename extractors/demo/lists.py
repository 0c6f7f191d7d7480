"""The lists of the held-out set of classes, as UCF101 has them: each group is tested once."""

from collections.abc import Sequence

from extractors.demo.config import GROUPS
from extractors.demo.stories import Story


def ucf101_file(story: Story) -> str:
    """Where the clip lies, below the folder of all."""
    return f"{_class_of(story)}/{story.video_id}.avi"


def ucf101_lists(stories: Sequence[Story]) -> dict[str, str]:
    """Contents of each list, by the name of its file."""
    numbers = {
        name: number for number, name in enumerate(dict.fromkeys(map(_class_of, stories)), start=1)
    }
    lists = {"classInd.txt": [f"{number} {name}" for name, number in numbers.items()]}
    for split in range(1, GROUPS + 1):
        tested = [f"_g{split:02d}_" in story.video_id for story in stories]
        lists[f"trainlist{split:02d}.txt"] = [
            f"{ucf101_file(story)} {numbers[_class_of(story)]}"
            for story, is_tested in zip(stories, tested, strict=True)
            if not is_tested
        ]
        lists[f"testlist{split:02d}.txt"] = [
            ucf101_file(story)
            for story, is_tested in zip(stories, tested, strict=True)
            if is_tested
        ]
    return {name: "".join(f"{line}\n" for line in lines) for name, lines in lists.items()}


def _class_of(story: Story) -> str:
    return story.steps[0].deed.action.capitalize()
