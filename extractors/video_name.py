"""The id of a video names its files, and must not lead to another folder."""

from extractors.media import MediaError
from mcn.data.video_id import check_video_id


def check_name(video_id: str) -> None:
    """Returns if files may be named by this id.

    Raises:
        MediaError: "name" if it is no plain file name.
    """
    try:
        check_video_id(video_id, "its file")
    except ValueError as error:
        raise MediaError("name", str(error)) from error
