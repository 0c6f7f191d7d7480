"""What went wrong and what to do about it, in lines whose paths and commands can be copied."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from slurm.array import range_text
from slurm.board.board import StepBoard
from slurm.board.words import duration, shortened

MOST_CHARACTERS_OF_SHARDS = 100
MOST_DOUBTS = 5
LAUNCH_AGAIN = "the command that launched them does them again with --array failed"

# Of causes that will come back if the same is submitted again.
ADVICE = {
    "out of memory": "ask for more: --array failed --memory-gb N",
    "time limit": "ask for longer: --array failed --time-limit-minutes N",
    "disk full": "make room first",
    "two writers": "the log says who else has the shard: leave it to that one",
    "NaN": "the log says where",
    "code": "the log says where; the same code will fail again",
}


def failure_lines(boards: Sequence[StepBoard]) -> Iterator[Text]:
    """For each step and cause: how many, which shards, and one log with its last line."""
    for board in boards:
        for failure in board.failures:
            shards = shortened(failure.shards, MOST_CHARACTERS_OF_SHARDS)
            which = "shard" if failure.tasks == 1 else "shards"
            line = Text.assemble(
                (f"{board.step}: {_tasks(failure.tasks)}, {failure.cause}", "red"),
                f" ({', '.join(failure.states)}): {which} {shards}",
            )
            advice = ADVICE.get(failure.cause)
            yield line.append(f"; {advice}" if advice else "")
            if failure.example_log:
                yield Text(f"  {failure.example_log}")
                yield Text(f"  | {failure.last_line}", style="dim")


def doubt_lines(boards: Sequence[StepBoard]) -> Iterator[Text]:
    """Where sources disagree, and running tasks that say nothing."""
    for board in boards:
        for doubt in board.doubts[:MOST_DOUBTS]:
            yield Text(f"{board.step}: {doubt}", style="yellow")
        if len(board.doubts) > MOST_DOUBTS:
            more = len(board.doubts) - MOST_DOUBTS
            yield Text(f"{board.step}: {more} doubts more, --json has all", style="yellow")
        if board.work.silent:
            shards = range_text(board.work.silent)
            least = duration(min(board.work.silent.values()))
            yield Text(
                f"{board.step}: running, yet no word for {least} or longer: shards {shards}; "
                f"--log {min(board.work.silent)} shows what it said last",
                style="yellow",
            )


def advice_lines(boards: Sequence[StepBoard]) -> Iterator[Text]:
    """What can be done about it, as commands."""
    for board in boards:
        for why in board.bad_nodes.values():
            yield Text.assemble(
                (f"{board.step}: {why}", "red"), "; to keep away from it: ", (board.exclude, "bold")
            )
        if board.num_short:
            short = f"{board.step}: {board.num_short} of {_tasks(board.tasks)} ended short; "
            command = f"python jobs/status.py --resubmit --step {board.step} {board.exclude}"
            if board.is_on_slurm:
                yield Text.assemble(short, "to submit again what did: ", (command.strip(), "bold"))
            else:
                yield Text(f"{short}{LAUNCH_AGAIN}")
    if sum(bool(board.num_short and board.is_on_slurm) for board in boards) > 1:
        every = "all of them, each after what it waits for: "
        yield Text.assemble(every, ("python jobs/status.py --resubmit", "bold"))


def _tasks(number: int) -> str:
    return f"{number:,} task{'' if number == 1 else 's'}"
