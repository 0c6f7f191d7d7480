"""A testbed that is up: commands on it, and everything that can go wrong on a cluster."""

import signal
import subprocess
from collections.abc import Sequence
from datetime import datetime, timedelta
from types import TracebackType

from slurm.testbed.cluster import Cluster
from slurm.testbed.commands import run
from slurm.testbed.daemons import Daemons
from slurm.testbed.folder import make_folder
from slurm.testbed.job_processes import processes_of_jobs, tasks_of_job
from slurm.testbed.memory import FORGOTTEN_SECONDS, REMEMBERED_SECONDS, set_memory
from slurm.testbed.native import compile_native
from slurm.testbed.packages import check_packages
from slurm.testbed.processes import kill
from slurm.testbed.startup import end_daemons, start_daemons, start_slurmd

# How sinfo names, in short, a node that answers and is up.
TAKING_JOBS = {"idle", "mix", "alloc"}
# As squeue's --states wants them: all after which a job does nothing any more.
ENDED = "BF,CA,CD,DL,F,NF,OOM,PR,RV,TO"


class Testbed(Cluster):
    """A cluster of this machine, with nodes `node1`, `node2`, ... and fake GPUs.

    A job in partition `high` stops those in `low`, which are requeued, and in `lowc`, which are
    cancelled. The cluster runs between `up` and `down`, or inside a `with`; any process that names
    its folder can use it and take it down.
    """

    __test__ = False  # pytest takes it for a class of tests

    def __enter__(self) -> "Testbed":
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    def up(self) -> None:
        """Start a cluster without jobs or accounts; returns when its nodes take jobs.

        Raises:
            MissingPackagesError: SLURM is not installed here.
            ValueError: It is up already, or the folder holds something else.
            ChildProcessError: A daemon did not start.
        """
        check_packages(accounting=self.accounting)
        if self.is_up:
            raise ValueError(
                f"a testbed is up in {self.folder}; take it down, or choose a --folder"
            )
        make_folder(self)
        compile_native(self)
        try:
            start_daemons(self)
            for node in self.node_names:
                self.wait_for_node(node)
        except BaseException:
            end_daemons(self)
            raise

    def down(self) -> list[str]:
        """End what `up` started and the jobs on it; says which daemons still ran.

        What the daemons wrote is left to be read, until the next `up` in this folder.
        """
        return end_daemons(self)

    @property
    def is_up(self) -> bool:
        return bool(Daemons(self.folder).running())

    def run(
        self, command: Sequence[str], *, check: bool = True, timeout_seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command that speaks to this cluster, and keep what it says.

        Raises:
            ChildProcessError: It ended with another status than 0, and `check` was asked for.
        """
        return run(self, command, check=check, timeout_seconds=timeout_seconds)

    def wait_for_node(self, node: str) -> None:
        """Return when a node that was started, or set down, takes jobs again.

        Raises:
            ChildProcessError: It does not, two minutes later.
        """
        command = ["sinfo", "--noheader", f"--nodes={node}", "--format=%t"]

        def complaint() -> str:
            done = self.run(command, check=False)
            states = set(done.stdout.split())
            return "" if states and states <= TAKING_JOBS else f"{done.stdout}{done.stderr}"

        Daemons(self.folder).wait_for(node, complaint)

    def forget_ended_jobs(self) -> None:
        """Return when squeue shows no job that has ended, as it is five minutes after the last.

        Takes some ten seconds, for that is how often the controller tidies up.
        """
        ended = ["squeue", "--noheader", f"--states={ENDED}", "--format=%i"]
        self._remember(FORGOTTEN_SECONDS)
        try:
            Daemons(self.folder).wait_for("slurmctld", lambda: self.run(ended).stdout)
        finally:
            self._remember(REMEMBERED_SECONDS)

    def _remember(self, seconds: int) -> None:
        set_memory(self, seconds)
        self.run(["scontrol", "reconfigure"])

    def down_node(self, node: str) -> None:
        """Set a node down, as a watchful administrator does: its jobs end with NODE_FAIL.

        It is taken back by the controller when its slurmd next reports.
        """
        self.run(["scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=testbed"])

    def kill_node(self, node: str) -> None:
        """Take a node its power: slurmd, every slurmstepd and all they run are killed.

        The controller notices in about ten seconds, and the jobs end with NODE_FAIL.
        """
        slurmd = Daemons(self.folder).find(node)
        if slurmd is None:
            raise ValueError(f"{node} does not run on the testbed {self.folder}")
        kill([slurmd, *processes_of_jobs(self, node)])

    def restart_node(self, node: str) -> None:
        """Start the slurmd of a node that was killed; returns when it takes jobs."""
        start_slurmd(self, node)
        self.wait_for_node(node)

    def fail_with_oom(self, job: str) -> None:
        """Let a running job end with OUT_OF_MEMORY: it is killed, and the plugin says why."""
        own_id, tasks = tasks_of_job(self, job)
        (self.oom / own_id).touch()
        for task in tasks:
            task.send(signal.SIGKILL)

    def run_out_of_time(self, job: str, *, seconds: int = 2) -> None:
        """Let a running job's limit be over so soon; options of sbatch are whole minutes.

        It is warned, as it asked to be, and ends with TIMEOUT, when the controller looks, as it
        does every 30 s.
        """
        end_time = datetime.now() + timedelta(seconds=seconds)
        self.run(["scontrol", "update", f"JobId={job}", f"EndTime={end_time:%Y-%m-%dT%H:%M:%S}"])

    def preempt(self, job: str) -> str:
        """Give the nodes of a running job in `low` or `lowc` to a new one in `high`.

        Returns the id of the new one, which holds them until it is cancelled.
        """
        where = self.run(["squeue", "--noheader", f"--jobs={job}", "--format=%N %D"]).stdout
        nodes, num_nodes = where.split()
        command = ["sbatch", "--parsable", "--partition=high", "--exclusive", "--output=/dev/null"]
        place = [f"--nodelist={nodes}", f"--nodes={num_nodes}", "--wrap=sleep 3600"]
        return self.run([*command, *place]).stdout.strip()
