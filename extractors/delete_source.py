"""Deletes a raw video once what was made of it has been read back in its place."""

from dataclasses import replace
from pathlib import Path

from extractors.media import MediaError
from extractors.resize import ResizeConfig
from extractors.standard_form import check_standard_form
from mcn.data.ledger import LedgerFile, Outcome


def delete_source(
    outcome: Outcome, source: Path, resized: Path, ledger: LedgerFile, config: ResizeConfig
) -> None:
    """The source is gone, and the ledger says so; of a symbolic link, the link alone.

    It is entered before it is done, so that a kill between the two leaves a source that the next
    run deletes, and not one that went without a word.

    Raises:
        MediaError: The resized file is not what resizing made: nothing was deleted.
    """
    if resized.is_symlink():
        raise MediaError("link", f"{resized}: a symbolic link; {source} is kept")
    check_standard_form(
        resized,
        fps=config.fps,
        num_frames=outcome.num_frames,
        sound_seconds=0.2 if outcome.has_audio else 0.0,
    )
    if not outcome.is_source_deleted:
        ledger.append(replace(outcome, is_source_deleted=True))
    source.unlink(missing_ok=True)
