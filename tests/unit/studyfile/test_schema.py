"""What editors show about a study file."""

import json

import pytest

from bakeoff.components.losses import LOSSES
from bakeoff.components.metrics import DEFAULT_OBJECTIVES
from bakeoff.components.pruners import PRUNERS
from bakeoff.data.dataset_table import SEQUENCE_LENGTH
from bakeoff.studyfile import resolve_study, study_schema
from bakeoff.studyfile.repeatable import DEFAULT_LAG
from bakeoff.studyfile.search import DEFAULT_TRIALS
from study_examples import study_document

SCHEMA = json.loads(study_schema())
SECTIONS = {"StudyFile": SCHEMA, **SCHEMA["$defs"]}
LARGE_STUDY = study_document(search={"trials_per_arm": 999})
del LARGE_STUDY["search"]["startup_trials"]
STARTUP_TRIALS = resolve_study(LARGE_STUDY).search.startup_trials
KEYS = [(name, key) for name, section in SECTIONS.items() for key in section["properties"]]


def description(section, key):
    return SECTIONS[section]["properties"][key]["description"]


def test_the_schema_has_a_name_that_does_not_change():
    assert SCHEMA["$id"] == "urn:bakeoff:study-file"
    assert SCHEMA["title"] == "Study file of bakeoff"


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_key_is_described_with_its_default(section, key):
    required = key in SECTIONS[section].get("required", ())
    text = description(section, key)
    assert ("Required." in text) == required
    assert ("Default: " in text) != required
    assert text[0] != " "
    assert text.endswith((".", "_ -"))


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_a_default_value_is_the_one_in_the_description(section, key):
    default = SECTIONS[section]["properties"][key].get("default")
    if default not in (None, "", {}) and section != "StudyFile":
        assert f"Default: {json.dumps(default)}." in description(section, key)


@pytest.mark.parametrize(
    ("section", "key", "default"),
    [
        ("RangeTable", "step", 1),
        ("DataSection", "sequence_length", f"{SEQUENCE_LENGTH} tokens"),
        ("SearchSection", "trials_per_arm", f"{DEFAULT_TRIALS} trials"),
        ("SearchSection", "lag", f"{DEFAULT_LAG} trials"),
        ("SearchSection", "startup_trials", f"{STARTUP_TRIALS} trials"),
        ("TrainingSection", "loss", f"{LOSSES['regression'][0]} for regression, {LOSSES['multilabel'][0]} for multilabel, otherwise {LOSSES['classification'][0]}"),
        ("StudySection", "objective", ", ".join(f"{name} for {task}" for task, name in DEFAULT_OBJECTIVES.items())),
        *(("PrunerTable", key, one.default) for spec in PRUNERS for key, one in spec.parameters.items() if one.default is not None),
    ],
)  # fmt: skip
def test_a_default_that_is_chosen_later_is_the_one_in_the_description(section, key, default):
    assert f"Default: {default}" in description(section, key)


@pytest.mark.parametrize(
    ("section", "key", "unit"),
    [
        ("StudySection", "delta", "units of the objective"),
        ("DataSection", "validation_fraction", "share of the training samples"),
        ("DataSection", "train_samples", "samples"),
        ("DataSection", "imbalance", "ratio"),
        ("DataSection", "image_size", "pixels"),
        ("DataSection", "sequence_length", "tokens"),
        ("TrainingSection", "epochs", "epochs"),
        ("TrainingSection", "batch_size", "samples"),
        ("TrainingSection", "accumulation_steps", "batches"),
        ("TrainingSection", "label_smoothing", "share of the target"),
        ("TrainingSection", "ema_decay", "per optimizer step"),
        ("TrainingSection", "early_stopping_patience", "epochs"),
        ("TrainingSection", "threads", "threads"),
        ("PrunerTable", "percentile", "percent"),
        ("PrunerTable", "reduction", "one in so many trials"),
        ("PrunerTable", "patience", "epochs"),
        ("PrunerTable", "min_delta", "units of the objective"),
        ("PrunerTable", "lower", "units of the objective"),
        ("PrunerTable", "upper", "units of the objective"),
        ("SearchSection", "trials_per_arm", "trials"),
        ("SearchSection", "epochs_per_arm", "epochs"),
        ("SearchSection", "seconds_per_arm", "seconds"),
        ("SearchSection", "audit", "share of an arm's trials"),
        ("SearchSection", "grid_points", "values per range"),
        ("SearchSection", "startup_trials", "trials"),
        ("SearchSection", "pruner_startup_trials", "trials"),
        ("SearchSection", "lag", "trials"),
        ("ConfirmSection", "seeds", "seeds"),
        ("ConfirmSection", "shortlist", "configurations"),
        ("ConfirmSection", "shortlist_seeds", "seeds"),
    ],
)
def test_a_number_is_described_with_its_unit(section, key, unit):
    assert unit in description(section, key).lower()
