"""Which part of what an ended task was given it has used."""

from dataclasses import dataclass

from slurm.states.evidence import Evidence


@dataclass(frozen=True)
class Efficiency:
    """Parts from 0 to 1; None where nobody has measured."""

    cpu: float | None
    """Processor time of its time on all its cores."""
    memory: float | None
    """Most memory held of that asked for."""
    gpu: float | None


def efficiency_of(evidence: Evidence) -> Efficiency:
    """By the accounts; what they lack, by the task's own marker."""
    cpu, memory = _cpu_by_marker(evidence), _memory_by_marker(evidence)
    account = evidence.account
    if account is None:
        return Efficiency(cpu, memory, None)
    if account.cpu_seconds:
        cpu = _part(account.cpu_seconds, account.elapsed_seconds * account.num_cpus)
    if account.max_memory_bytes:
        memory = _part(account.max_memory_bytes, account.asked_memory_bytes)
    return Efficiency(cpu, memory, account.gpu_utilization)


def _cpu_by_marker(evidence: Evidence) -> float | None:
    began, ended = evidence.began, evidence.ended
    if began is None or ended is None:
        return None
    # A task that is not bound to its cores may use all of the node, and has not asked for them.
    cores = min(ended.num_cpus, evidence.submission.manifest.resources.cpus_per_task)
    return _part(ended.cpu_seconds, (ended.seconds - began.seconds) * cores)


def _memory_by_marker(evidence: Evidence) -> float | None:
    asked_gb = evidence.submission.manifest.resources.memory_gb
    # The marker knows the first of several processes only.
    if evidence.ended is None or asked_gb is None or evidence.num_processes > 1:
        return None
    return _part(evidence.ended.max_memory_bytes, asked_gb * 2**30)


def _part(used: float, given: float) -> float | None:
    # Shared pages are counted for each process, and clocks differ: it may come out above 1.
    return min(1.0, used / given) if given > 0 else None
