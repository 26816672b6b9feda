"""The number of threads of each worker, which a study file or a flag may name."""

from bakeoff.errors import UsageError
from bakeoff.records import StudyConfig


def choose_threads(config: StudyConfig, threads: int | None) -> int | None:
    """Threads per worker from the study file or the flag; None if neither names a number.

    Raises:
        UsageError: They name different numbers.
    """
    named = config.training.threads
    if named is not None and threads not in (None, named):
        raise UsageError(
            f"--threads = {threads}: the study file names training.threads = {named}, and another"
            " number of threads would change results"
        )
    return named or threads
