"""The script that sbatch is given, written by submitit."""

import shlex
import sys

from slurm.submission import Manifest, Submission

# When the first process of a job has ended, the others have so long to follow.
SECONDS_TO_FOLLOW = 60

# Who decides whether the job comes back is not to be ended by the signal that it is about.
TEARDOWN = """\
status=$?
trap '' TERM USR2
if [ $status -ne 0 ]; then
  {requeue} $status
fi
exit $status"""


def sbatch_script(submission: Submission, chunk: int, *, after: str | None = None) -> str:
    """A bash script with #SBATCH lines for one array of a submission, or for its one job.

    Args:
        submission: What its tasks read.
        chunk: Which of its arrays.
        after: Jobs to wait for, in the notation of sbatch.
    """
    # Here, since it takes a while, and nothing but submitting needs it.
    from submitit.slurm.slurm import SlurmExecutor

    manifest = submission.manifest
    resources, shape = manifest.resources, manifest.shape
    first, stop = manifest.chunks[chunk]
    log = submission.slurm_log("%A_%a" if manifest.is_array else "%j")
    further: dict[str, str | bool] = {
        "comment": submission.comment(chunk),
        # submitit takes another one where the environment of the launch names it.
        "signal": f"USR2@{resources.warning_seconds}",
        **({"requeue": True} if resources.may_requeue else {}),
        **{name: value or True for name, value in resources.sbatch_options.items()},
    }
    if manifest.is_array:
        throttle = f"%{share_of(shape.max_running, manifest, chunk)}" if shape.max_running else ""
        further["array"] = f"0-{stop - first - 1}{throttle}"
    if after:
        further["kill-on-invalid-dep"] = "yes"
    place = [str(submission.path), str(chunk)]
    requeue = shlex.join([sys.executable, "-m", "slurm.requeue", *place])
    executor = SlurmExecutor(submission.path / "slurm")
    executor.update_parameters(
        job_name=manifest.step,
        partition=resources.partition,
        account=resources.account,
        qos=resources.qos,
        constraint=resources.constraint,
        exclude=resources.exclude,
        time=resources.time_limit_minutes,
        signal_delay_s=resources.warning_seconds,
        cpus_per_task=resources.cpus_per_task,
        mem=None if resources.memory_gb is None else f"{round(resources.memory_gb * 1024)}M",
        nodes=shape.nodes,
        ntasks_per_node=shape.tasks_per_node,
        gpus_per_node=shape.gpus_per_node or resources.gpus_per_task or None,
        dependency=after,
        wckey=None,
        setup=[*resources.setup, "trap : TERM USR2"],
        teardown=TEARDOWN.format(requeue=requeue).splitlines(),
        additional_parameters={**further, "output": str(log)},
        stderr_to_stdout=True,
        use_srun=False,  # submitit's own knows neither how long to wait nor, of late, the cores
    )
    srun = [
        "srun",
        "--unbuffered",
        f"--cpus-per-task={resources.cpus_per_task}",
        f"--wait={SECONDS_TO_FOLLOW}",
        f"--output={log}",
    ]
    task = [sys.executable, "-m", "slurm.task", *place]
    return str(executor._make_submission_file_text(shlex.join([*srun, *task]), ""))


def share_of(max_running: int, manifest: Manifest, chunk: int) -> int:
    """How many tasks of one array may run at once, so that all arrays together keep the bound.

    At least one; where there are more arrays than tasks that may run, some have to wait for others.
    """
    share, rest = divmod(max_running, len(manifest.chunks))
    return max(1, share + (chunk < rest))
