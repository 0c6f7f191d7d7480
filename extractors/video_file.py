"""The file of a video in a folder of them, by its id."""

from pathlib import Path

from extractors.media import MediaError
from mcn.data.video_id import check_video_id


def video_file(folder: Path, video_id: str) -> Path:
    """`<id>.mp4`, which lies in the folder and nowhere else.

    Raises:
        MediaError: "name" if the id is no plain file name.
    """
    try:
        return folder / f"{check_video_id(video_id, str(folder))}.mp4"
    except ValueError as error:
        raise MediaError("name", str(error)) from error
