import json
import math
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from bakeoff.errors import StudyFileError
from bakeoff.ranges import Choice, FloatRange, IntRange
from bakeoff.studyfile import format_study, load_study_file, resolve_study, study_schema
from study_examples import study_document

GOOD = Path(__file__).parents[3] / "studies" / "digits.toml"


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("search", {"optimizers": ["adamm"]}, "search.optimizers: unknown optimizer 'adamm'; did you mean 'adam'"),
        ("search", {"schedulers": ["cosin"]}, "search.schedulers: unknown scheduler 'cosin'; did you mean 'cosine'"),
        ("search", {"optimizers": ["sgd", "sgd"]}, "search.optimizers: 'sgd' is listed twice"),
        ("search", {"optimizers": ["pytorch_optimizer:SAM"]}, "search.optimizers: optimizer 'pytorch_optimizer:SAM' cannot train here: its step needs"),
        ("search", {"optimizers": ["pytorch_optimizer:x-y"]}, "search.optimizers: optimizer 'pytorch_optimizer:x-y': 'x-y' is not the name of a class"),
        ("search", {"optimizers": ["sgd", "schedule_free_sgd"]}, "search.schedulers: optimizer 'schedule_free_sgd' cannot train with scheduler 'cosine'"),
        ("search", {"optimizers": []}, "search.optimizers"),
        ("search", {"trials_per_arms": 3}, "unknown key 'trials_per_arms'; did you mean 'trials_per_arm'"),
        ("search", {"trials_per_arm": 0}, "search.trials_per_arm = 0"),
        ("search", {"trials_per_arm": 10**12}, "search.trials_per_arm = 1000000000000"),
        ("search", {"sampler": "tpee"}, "search.sampler: unknown sampler 'tpee'; did you mean 'tpe'?"),
        ("search", {"pruner": 3}, "search.pruner = 3"),
        ("training", {"epochs": "10"}, 'training.epochs = "10"'),
        ("training", {"epochs": 0}, "training.epochs = 0"),
        ("training", {"epochs": 2.5}, "training.epochs = 2.5"),
        ("training", {"precision": "fp8"}, "training.precision"),
        ("training", {"clip_grad_norm": float("nan")}, "training.clip_grad_norm = NaN"),
        ("training", {"batch_size": {"low": 0, "high": 64}}, "training.batch_size: 0 in the range"),
        ("training", {"learning_rte": 1.0}, "training.learning_rte: unknown key"),
        ("data", {"dataset": "digts"}, "data.dataset: unknown dataset 'digts'; did you mean 'digits'"),
        ("data", {"dataset": "npz:"}, "data.dataset: unknown dataset 'npz:'"),
        ("data", {"validation_fraction": 1.0}, "data.validation_fraction = 1.0"),
        ("data", {"dataset": "houses.csv"}, "data.dataset: unknown dataset 'houses.csv'; did you mean 'csv:houses.csv'?"),
        ("data", {"dataset": "cvs:a/b.csv.gz"}, "did you mean 'csv:a/b.csv.gz'?"),
        ("data", {"dataset": "arrays.npz"}, "did you mean 'npz:arrays.npz'?"),
        ("data", {"dataset": "txt:poem.txt"}, "did you mean 'text:poem.txt'?"),
        ("data", {"dataset": "pictures/"}, "did you mean 'folder:pictures/'?"),
        ("training", {"clip_grad_norm": math.nan}, "training.clip_grad_norm = NaN: input should be a finite number"),
        ("space", {"adam": {"learning_rate": math.nan}}, "space.adam.learning_rate = NaN: input should be a finite number"),
        ("space", {"adam": {"learning_rate": {"low": 1e-3, "high": math.inf}}}, "space.adam.learning_rate.high = Infinity: input should be a finite number"),
        ("data", {"augment": ["flp"]}, "data.augment: unknown augmentation 'flp'; did you mean 'flip'"),
        ("model", {"model": "mpl"}, "model.model: unknown model 'mpl'; did you mean 'mlp'"),
        ("model", {"model": "torchvision:resnet19"}, "model.model: unknown torchvision model 'resnet19'; did you mean"),
        ("model", {"widht": 3}, "model.widht: unknown key 'widht'; did you mean 'width'"),
        ("model", {"width": "wide"}, 'model.width = "wide": must be a whole number'),
        ("model", {"dropout": "much"}, 'model.dropout = "much": must be a number'),
        ("model", {"dropout": {"low": 0.5, "high": 0.1}}, "model.dropout: low = 0.5 is above high = 0.1"),
        ("model", {"dropout": {"low": 0.0, "hihg": 0.1}}, "model.dropout.hihg: unknown key 'hihg'; did you mean 'high'"),
        ("model", {"dropout": {"low": 0.0}}, "model.dropout: a range needs low and high"),
        ("model", {"dropout": {"low": -0.5, "high": 0.5}}, "model.dropout = -0.5: must be at least 0"),
        ("model", {"width": {"low": 8, "high": 16, "step": 0}}, "model.width: step = 0"),
        ("model", {"width": {"choices": []}}, "model.width: choices is empty"),
        ("model", {"width": {"choices": [8], "low": 1}}, "give either choices, or low and high"),
        ("study", {"name": ""}, 'study.name = ""'),
        ("study", {"name": "../x"}, 'study.name = "../x"'),
        ("study", {"name": "a\0b"}, "study.name"),
        ("study", {"name": "x" * 101}, "study.name"),
        ("study", {"name": "dot."}, 'study.name = "dot."'),
        ("study", {"seed": -1}, "study.seed = -1"),
        ("study", {"seed": 2**64}, "study.seed"),
        ("study", {"objective": "acc"}, "study.objective: unknown classification metric 'acc'; did you mean 'accuracy'"),
        ("study", {"compare": ["model"]}, "study.compare"),
        ("study", {"compare": []}, "study.compare = []"),
        ("study", {"reference": "adamw"}, "study.reference: unknown arm 'adamw'"),
        ("study", {"delta": 0.0}, "study.delta = 0.0"),
        ("space", {"adamw": {"learning_rate": 1.0}}, "space.adamw: unknown optimizer or scheduler of this study"),
        ("space", {"adam": {"momentum": 0.9}}, "space.adam.momentum: unknown parameter 'momentum'"),
        ("space", {"sgd": {"learning_rate": "fast"}}, 'space.sgd.learning_rate = "fast": must be a number'),
        ("space", {"sgd": {"learning_rate": {"low": 0.0, "high": 1.0, "log": True}}}, "must be above 0 where log = true"),
        ("space", {"sgd": {"learning_rate": {"choices": ["fast", "slow"]}}}, "space.sgd.learning_rate = \"fast\": must be a number"),
        ("space", {"sgd": {"learning_rate": {"choices": [-1.0, 1.0]}}}, "space.sgd.learning_rate = -1.0: must be above 0"),
        ("space", {"sgd": {"learning_rate": 0}}, "space.sgd.learning_rate = 0: must be above 0"),
        ("space", {"sgd": {"learning_rate": 10**400}}, "space.sgd.learning_rate"),
        ("space", {"sgd": {"momentum": {"low": 0.5, "high": 1.5}}}, "space.sgd.momentum = 1.5: must be at least 0 and below 1"),
        ("space", {"adam": {"beta1": 2.0}}, "space.adam.beta1 = 2.0: must be at least 0 and below 1"),
        ("space", {"cosine": {"warmup_fraction": 2.0}}, "space.cosine.warmup_fraction = 2.0"),
        ("model", {"dropout": {"low": 0.0, "high": 3.0}}, "model.dropout = 3.0: must be at least 0 and below 1"),
        ("model", {"width": -5}, "model.width = -5: must be at least 1"),
        ("model", {"depth": 10**9}, "model.depth = 1000000000: must be at least 1 and at most 100000"),
        ("model", {"width": {"choices": [8, "big"]}}, "model.width = \"big\": must be a whole number"),
        ("training", {"batch_size": {"low": 16.0, "high": 64.0}}, "training.batch_size: 16.0 in the range"),
        ("training", {"batch_size": {"choices": [32, "a"]}}, "training.batch_size: 'a' in the range"),
        ("training", {"batch_size": {"choices": [True]}}, "training.batch_size: True in the range"),
        ("study", {"name": "studies.db-wal"}, "are taken by other files"),
        ("study", {"name": "published"}, "are taken by other files"),
        ("space", {"sgd": {"scheduler": "linear"}}, "space.sgd.scheduler: unknown scheduler of this study 'linear'"),
        ("space", {"sgd": {"scheduler": {"choices": ["constant", "x"]}}}, "space.sgd.scheduler: unknown scheduler of this study 'x'"),
        ("space", {"sgd": {"scheduler": {"low": 1, "high": 2}}}, "space.sgd.scheduler"),
        ("space", {"sgd": {"scheduler": 3}}, "space.sgd.scheduler: unknown scheduler of this study 3"),
        ("space", {"cosine": {"scheduler": "constant"}}, "space.cosine.scheduler: unknown parameter 'scheduler'"),
        ("confirm", {"seeds": "many"}, "confirm.seeds"),
        ("confirm", {"seeds": -1}, "confirm.seeds = -1"),
        ("nonsense", {"key": 1}, "nonsense: unknown key 'nonsense'"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named_with_its_value_and_what_is_allowed(section, change, message):
    with pytest.raises(StudyFileError) as caught:
        resolve_study(study_document(**{section: change}))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (b"[study\n", "is not valid TOML"),
        (b"[study]\nname = \"a\"\nname = \"b\"\n", "is not valid TOML"),
        (b"[study]\nname = \"a\x00\"\n", "is not valid TOML"),
        (b"[data]\nvalidation_fraction = 0,1\n", "(at line 2, column 24): validation_fraction = 0,1"),
        (b"[space.sgd]\n  momentum = NaN\n", "Invalid value (at line 2, column 14): momentum = NaN"),
        (b"[study]\nname = \"a\"\n", "training: is missing"),
        (b"#" * 1_000_001, "is larger than"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path, content, message):
    file = tmp_path / "study.toml"
    file.write_bytes(content)
    with pytest.raises(StudyFileError) as caught:
        load_study_file(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"), [(lambda path: None, "no such file"), (Path.mkdir, "is a folder")]
)
def test_a_missing_file_and_a_folder_have_different_messages(tmp_path, make, message):
    make(tmp_path / "study.toml")
    with pytest.raises(StudyFileError, match=message):
        load_study_file(tmp_path / "study.toml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 0", "seed = " + "9" * 5000, "is not valid TOML: Exceeds the limit"),
        ("seed = 0", "seed = 0x" + "f" * 20_000, "study.seed: an integer of 80000 bits"),
        ("width = 64", "width" + ".a" * 50_000 + " = 1", "has a key of 100 or more parts"),
        ("width = 64", "width" + ".a" * 50 + " = 1", "tables are nested more than 8 deep"),
        ("width = 64", "width = " + "[" * 5000 + "]" * 5000, "is not valid TOML"),
    ],
)
def test_numbers_and_keys_of_absurd_length_are_refused_at_once(tmp_path, old, new, message):
    path = tmp_path / "study.toml"
    path.write_text(GOOD.read_text().replace(old, new, 1))
    with pytest.raises(StudyFileError, match=re.escape(message)) as caught:
        load_study_file(path)
    assert len(str(caught.value)) < 400


def test_a_byte_order_mark_is_accepted(tmp_path):
    file = tmp_path / "study.toml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.read_bytes())
    assert load_study_file(file) == load_study_file(GOOD)


def test_a_number_in_the_model_section_may_be_a_range():
    config = resolve_study(
        study_document(model={"dropout": {"low": 0.0, "high": 0.5}, "width": {"choices": [8, 16]}})
    )
    assert config.space["model.dropout"] == FloatRange(low=0.0, high=0.5, natural_low=True)
    assert config.space["model.width"] == Choice(choices=(8, 16))
    assert config.model_params == {"depth": 1}


def test_a_range_in_the_training_section_is_searched():
    config = resolve_study(
        study_document(training={"batch_size": {"low": 32, "high": 128, "log": True}})
    )
    assert config.space["training.batch_size"] == IntRange(low=32, high=128, log=True)


def test_whole_bounds_of_a_real_setting_make_a_real_range():
    config = resolve_study(study_document(training={"clip_grad_norm": {"low": 1, "high": 5}}))
    assert config.space["training.clip_grad_norm"] == FloatRange(low=1.0, high=5.0)


def test_the_space_of_an_optimizer_differs_only_where_the_file_sets_it():
    config = resolve_study(
        study_document(space={"sgd": {"learning_rate": {"low": 0.01, "high": 1, "log": True}}})
    )
    assert config.space["sgd.learning_rate"] == FloatRange(low=0.01, high=1.0, log=True)
    assert config.space["adam.learning_rate"] == resolve_study(study_document()).space["adam.learning_rate"]  # fmt: skip


def test_a_parameter_that_is_not_searched_by_default_can_be_added():
    config = resolve_study(study_document(space={"adam": {"beta2": {"low": 0.9, "high": 0.999}}}))
    assert config.space["adam.beta2"] == FloatRange(low=0.9, high=0.999)


def test_a_bound_chosen_at_a_natural_limit_stays_natural():
    config = resolve_study(study_document(space={"sgd": {"momentum": {"low": 0.0, "high": 0.5}}}))
    assert config.space["sgd.momentum"] == FloatRange(low=0.0, high=0.5, natural_low=True)


@pytest.mark.parametrize(
    ("compare", "seeds"), [(["optimizer"], 7), (["optimizer", "scheduler"], 10)]
)
def test_automatic_seeds_are_the_fewest_that_usually_show_two_deviations(compare, seeds):
    config = resolve_study(study_document(study={"compare": compare}, confirm={"seeds": "auto"}))
    assert config.confirm.seeds == seeds


def test_a_user_defined_model_takes_any_parameters():
    config = resolve_study(
        {**study_document(), "model": {"model": "my_package.models:build", "hidden": 3}}
    )
    assert config.model_params == {"hidden": 3}


settings_of_a_section = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 100),
        "batch_size": st.integers(1, 512),
        "clip_grad_norm": st.floats(1e-3, 1e3),
        "clip_grad_value": st.floats(1e-3, 1e3),
        "accumulation_steps": st.integers(1, 16),
        "label_smoothing": st.floats(0, 0.99),
        "class_weights": st.sampled_from(["none", "balanced"]),
        "focal_gamma": st.floats(0, 10),
        "mixup_alpha": st.floats(0, 100),
        "cutmix_alpha": st.floats(0, 100),
        "ema_decay": st.floats(0, 0.9999),
        "early_stopping_patience": st.integers(1, 10),
    },
)


@settings(deadline=None)
@given(
    training=settings_of_a_section,
    optimizers=st.lists(st.sampled_from(["sgd", "adam", "adamw"]), min_size=1, unique=True),
    low=st.floats(1e-6, 1e-3),
    high=st.floats(1e-2, 10),
    question=st.text(max_size=30),
)
def test_a_written_study_loads_back_to_the_same_study(training, optimizers, low, high, question):
    rate = {"learning_rate": {"low": low, "high": high, "log": True}}
    config = resolve_study(
        study_document(
            study={"question": question},
            training=training,
            search={"optimizers": optimizers},
            space={optimizers[0]: rate},
        )
    )
    assert resolve_study(tomllib.loads(format_study(config))) == config


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(
    section=st.sampled_from(["study", "data", "model", "training", "search", "space", "confirm"]),
    key=st.sampled_from(
        ["name", "seed", "compare", "dataset", "model", "width", "epochs", "optimizers", "sgd", "seeds", "x"]
    ),
    value=json_values,
)  # fmt: skip
def test_any_content_gives_a_study_or_one_line_of_error(section, key, value):
    try:
        resolve_study(study_document(**{section: {key: value}}))
    except StudyFileError as error:
        assert "\n" not in str(error)


def test_an_optimizer_of_the_package_is_searched_like_any_other():
    name = "pytorch_optimizer:AdaBelief"
    config = resolve_study(
        study_document(search={"optimizers": ["sgd", name]}, space={name: {"weight_decay": 0.1}})
    )
    assert config.space[f"{name}.learning_rate"] == FloatRange(low=1e-5, high=1.0, log=True)
    assert config.space[f"{name}.weight_decay"] == 0.1
    assert resolve_study(tomllib.loads(format_study(config))) == config


@pytest.mark.parametrize(
    ("owner", "parameter", "value", "allowed"),
    [
        ("nesterov", "momentum", 0.0, "above 0 and below 1"),
        ("adafactor", "beta2_decay", 0.5, "below 0"),
        ("adadelta", "rho", 1.0, "at least 0 and below 1"),
        ("adagrad", "initial_accumulator_value", -1.0, "at least 0"),
        ("multi_step", "first_milestone", 1.5, "at least 0 and at most 1"),
        ("exponential", "final_factor", 0.0, "above 0 and at most 1"),
        ("polynomial", "power", -1.0, "above 0"),
        ("cosine_restarts", "num_cycles", 0, "at least 1 and at most 100000"),
        ("warmup_stable_decay", "decay_fraction", 0.0, "above 0 and at most 1"),
    ],
)
def test_a_value_that_a_parameter_cannot_have_is_refused(owner, parameter, value, allowed):
    document = study_document(
        search={
            "optimizers": ["nesterov", "adafactor", "adadelta", "adagrad"],
            "schedulers": [
                "multi_step",
                "exponential",
                "polynomial",
                "cosine_restarts",
                "warmup_stable_decay",
            ],
        },
        space={owner: {parameter: value}},
    )
    with pytest.raises(StudyFileError, match=f"{owner}.{parameter} = {value}: must be {allowed}$"):
        resolve_study(document)


def schedule_free_study(setting, compare=("optimizer",)):
    return study_document(
        study={"compare": list(compare)},
        search={"optimizers": ["adam", "schedule_free_adamw"]},
        space={"schedule_free_adamw": {"scheduler": setting}},
    )


@pytest.mark.parametrize("setting", ["constant", {"choices": ["constant"]}])
def test_an_optimizer_may_have_fewer_schedules_than_the_study(setting):
    config = resolve_study(schedule_free_study(setting))
    assert resolve_study(tomllib.loads(format_study(config))) == config


@pytest.mark.parametrize("setting", ["cosine", {"choices": ["constant", "cosine"]}])
def test_the_schedules_of_an_optimizer_must_suit_it(setting):
    with pytest.raises(StudyFileError, match=r"space\.schedule_free_adamw\.scheduler: .*cannot"):
        resolve_study(schedule_free_study(setting))


@pytest.mark.parametrize("compare", [("scheduler",), ("optimizer", "scheduler")])
def test_schedules_of_an_optimizer_go_only_with_arms_of_optimizers(compare):
    with pytest.raises(StudyFileError, match=r"goes only with study\.compare"):
        resolve_study(schedule_free_study("constant", compare))


def test_the_message_for_a_refused_pair_says_how_to_keep_the_optimizer():
    with pytest.raises(StudyFileError) as caught:
        resolve_study(study_document(search={"optimizers": ["schedule_free_sgd"]}))
    assert str(caught.value).endswith(
        "set scheduler = 'constant' under [space.schedule_free_sgd] to keep it"
    )


@pytest.mark.parametrize(
    ("name", "is_allowed"), [("muon", True), ("pytorch_optimizer:Lion", True), ("pytorch_optimizer:", False), ("mun", False)]
)  # fmt: skip
def test_the_schema_allows_the_optimizers_that_a_study_may_name(name, is_allowed):
    [known, pattern] = json.loads(study_schema())["$defs"]["SearchSection"]["properties"][
        "optimizers"
    ]["items"]["anyOf"]
    assert (name in known["enum"] or bool(re.search(pattern["pattern"], name))) == is_allowed
