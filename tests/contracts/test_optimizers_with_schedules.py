"""The table optimizer x schedule x precision, cell by cell: it trains, or it is refused beforehand."""

from itertools import product
from math import isfinite

import pytest

from bakeoff.components.compatibility import allowed_schedulers, find_conflict
from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.errors import StudyFileError, UsageError
from bakeoff.studyfile import resolve_study
from bakeoff.training import loop
from run_examples import small_run
from study_examples import study_document

PACKAGES = ("pytorch_optimizer:Lion", "pytorch_optimizer:ScheduleFreeSGD")
CELLS = list(product((*OPTIMIZERS.names, *PACKAGES), SCHEDULERS.names, ("fp32", "bf16", "fp16")))
POSSIBLE = [cell for cell in CELLS if cell[1] in allowed_schedulers(cell[0])]
IMPOSSIBLE = [cell for cell in CELLS if cell[1] not in allowed_schedulers(cell[0])]


def study_of(optimizer: str, scheduler: str, precision: str) -> dict[str, object]:
    return study_document(
        search={"optimizers": [optimizer], "schedulers": [scheduler]},
        training={"precision": precision},
    )


@pytest.mark.parametrize(("optimizer", "scheduler", "precision"), POSSIBLE)
def test_possible_cell_is_accepted_and_trains(
    optimizer: str, scheduler: str, precision: str
) -> None:
    resolve_study(study_of(optimizer, scheduler, precision))
    config = small_run(
        optimizer=optimizer,
        optimizer_params={"learning_rate": 1e-3},
        scheduler=scheduler,
        precision=precision,
        epochs=3,
        train_samples=96,
    )
    results = list(loop.train(loop.prepare(config, "cpu")))
    assert [result.status for result in results] == ["running", "running", "finished"]
    assert all(isfinite(result.train_loss) for result in results)
    assert results[-1].train_loss < results[0].train_loss


@pytest.mark.parametrize(("optimizer", "scheduler", "precision"), IMPOSSIBLE)
def test_impossible_cell_is_refused_with_the_reason(
    optimizer: str, scheduler: str, precision: str
) -> None:
    with pytest.raises(StudyFileError) as caught:
        resolve_study(study_of(optimizer, scheduler, precision))
    assert str(caught.value).startswith(
        f"search.schedulers: optimizer {optimizer!r} cannot train with scheduler {scheduler!r}:"
        " it averages its weights instead of using a schedule; allowed: constant"
    )


def test_the_table_has_every_cell_once() -> None:
    assert (len(POSSIBLE), len(IMPOSSIBLE)) == ((13 * 11 + 3) * 3, 3 * 10 * 3)
    assert len(set(CELLS)) == len(CELLS)


def test_an_unknown_optimizer_has_no_row() -> None:
    with pytest.raises(UsageError, match="unknown optimizer 'adamm'; did you mean 'adam'"):
        find_conflict("adamm", "constant")
