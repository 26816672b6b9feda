"""Names of torch, of Optuna and of habit are answered with ours."""

import pytest

from bakeoff.components.metrics import METRIC_NAMES
from bakeoff.components.optimizers import OPTIMIZERS
from bakeoff.components.pruners import PRUNERS
from bakeoff.components.samplers import SAMPLERS
from bakeoff.components.schedulers import SCHEDULERS
from bakeoff.nearest import ELSEWHERE, find_nearest
from bakeoff.studyfile.schema import RangeTable, SearchSection, TrainingSection


@pytest.mark.parametrize(
    ("name", "known", "ours"),
    [
        ("SGD", OPTIMIZERS.names, "sgd"),
        ("AdamW", OPTIMIZERS.names, "adamw"),
        ("adam_w", OPTIMIZERS.names, "adamw"),
        ("CosineAnnealingLR", SCHEDULERS.names, "cosine"),
        ("CosineAnnealingWarmRestarts", SCHEDULERS.names, "cosine_restarts"),
        ("OneCycleLR", SCHEDULERS.names, "one_cycle"),
        ("ReduceLROnPlateau", SCHEDULERS.names, "plateau"),
        ("MultiStepLR", SCHEDULERS.names, "multi_step"),
        ("val_acc", METRIC_NAMES, "accuracy"),
        ("validation_loss", METRIC_NAMES, "loss"),
        ("AUC", METRIC_NAMES, "auroc"),
        ("TPESampler", SAMPLERS.names, "tpe"),
        ("MedianPruner", PRUNERS.names, "median"),
        ("SuccessiveHalvingPruner", PRUNERS.names, "halving"),
        ("n_trials", SearchSection.model_fields, "trials_per_arm"),
        ("max_epochs", TrainingSection.model_fields, "epochs"),
        ("min", RangeTable.model_fields, "low"),
        ("batchsize", TrainingSection.model_fields, "batch_size"),
        ("models/mine.py:build", (), "models.mine:build"),
        ("./mine.py:Net", ("mlp",), "mine:Net"),
    ],
)
def test_a_name_from_elsewhere_is_answered_with_ours(
    name: str, known: tuple[str, ...], ours: str
) -> None:
    assert find_nearest(name, known) == ours


@pytest.mark.parametrize("name", ["zzz", "", "lookahead", "$%&"])
def test_a_name_that_is_near_to_nothing_has_no_answer(name: str) -> None:
    assert find_nearest(name, OPTIMIZERS.names) is None


def test_every_name_from_elsewhere_is_written_as_it_is_looked_up() -> None:
    assert all(name.isalnum() and name == name.lower() for name in ELSEWHERE)
