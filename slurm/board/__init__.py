"""What a person looks at in the morning: all tasks of a step in one row, and what to do about it.

    sources.py     asks SLURM, and no more often than is needed
    states.py      the states of a step by its answers, also where there are none
    board.py       one step: its states, its work, its failures, joined from all that knows of it
    work.py        videos done and left, their rate and the time that they will take
    progress.py    what a task says of how far it has come
    failures.py    tasks that ended short, grouped by cause, with an example each
    usage.py       how well that was used which ended tasks had asked for
    task_log.py    the end of one task's logs
    screen.py      the same for people, as tables
    troubles.py    what went wrong, in lines
    words.py       numbers and times for both
    dependencies.py  what jobs wait for, also once that has been submitted again
    resubmission.py  what ended short, submitted again
    pace.py        how long to wait between two looks

Import from these modules.
"""
