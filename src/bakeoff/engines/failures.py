"""How a run ended that raised an error."""

from bakeoff.engines.protocol import Failed
from bakeoff.errors import BakeoffError, describe_error
from bakeoff.records import Outcome


def describe_failure(run: str, error: Exception) -> Failed:
    """How a run ended that raised `error`, with the place in the user's file."""
    from bakeoff.training.memory import breaks_process, is_out_of_memory

    outcome: Outcome = "infeasible" if is_out_of_memory(error) else "failed"
    is_described = isinstance(error, BakeoffError)
    reason = str(error) if is_described else describe_error(error, names_own=True)
    return Failed(run=run, outcome=outcome, reason=reason, breaks_worker=breaks_process(error))
