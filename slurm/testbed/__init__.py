"""A private, real SLURM on this machine: `python -m slurm.testbed up --nodes 4`.

Every daemon runs as the user who asks, in one folder, and listens on the loopback only; GPUs are
made up. It schedules, preempts, requeues and accounts as a cluster does, but confines nothing:
memory limits are not enforced and jobs share the machine's cores. In Python:

    with Testbed(folder, nodes=4, accounting=True) as testbed:
        testbed.run(["sinfo"])
"""

from slurm.testbed.packages import MissingPackagesError
from slurm.testbed.testbed import Testbed

__all__ = ["MissingPackagesError", "Testbed"]
