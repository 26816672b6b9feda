import errno
import os
from pathlib import Path
from typing import Annotated

import typer

from bakeoff.commands import options
from bakeoff.commands.output import print_json
from bakeoff.errors import OutputError, UsageError
from bakeoff.files import replace_files

SCHEMA_FILE = "study.schema.json"
MODEL = """\
[model]
model = "mlp"                     # `study models` lists them; "package.module:function": yours
width = 64
dropout = { low = 0.0, high = 0.5 }   # a range is searched, a number is fixed
"""
FINETUNE = """\

# [finetune]                      # begin with trained weights instead of fresh ones
# pretrained = true               # the package's own; or "IMAGENET1K_V2", or a file of weights
# freeze = "backbone"             # train the new head only; or "all but 2 stages"
# unfreeze_epoch = 5              # from this epoch on everything is trained
# layer_decay = { low = 0.6, high = 1.0 }   # factor of the learning rate per stage to the input
# head_factor = 10                # factor of the learning rate of the new head
"""
STARTER = f"""\
#:schema ./{SCHEMA_FILE}
# The line above lets editors show help and check this file (`study schema` prints the schema).

# A study: which optimizer, learning rate, schedule and weight decay suit this model and this data?
# `study run` runs it, `study status` and `study dashboard` show how it is going.

[study]
name = "my-study"
question = "Which optimizer suits my model on my data?"
seed = 0
objective = "accuracy"            # `study metrics` lists them; "my_metrics:top2": yours
compare = ["optimizer"]           # every optimizer is an arm; or ["optimizer", "scheduler"]
# delta = 0.005                   # the smallest difference that matters to you

[data]
dataset = "digits"                # `study datasets` lists them; csv:PATH, folder:PATH, ...: yours
validation_fraction = 0.2
# augment = ["flip", "my_aug:jitter"]   # random changes of images; "module:name": yours

{MODEL}
[training]
epochs = 15
batch_size = 32
precision = "auto"                # fp32, bf16 or fp16; auto measures which is fastest here
clip_grad_norm = 1.0
# loss = "my_losses:focal"        # called with outputs and targets
# loop = "my_loop:train"          # your own loop, a generator of metrics; see `bakeoff/docs/guides`

[search]
# "my_module:Name" is yours: a class or function in my_module.py beside this file
optimizers = ["sgd", "adam", "adamw"]                 # `study optimizers` lists them
schedulers = ["constant", "cosine", "one_cycle"]      # `study schedulers` lists them
trials_per_arm = 20               # the same for every arm; or epochs_per_arm, seconds_per_arm
# repeats = 7                     # independent searches: which optimizer, not which configuration
sampler = "tpe"                   # or random, sobol, gp, cmaes, grid
pruner = "cautious"               # or halving, median, hyperband, none, ...

[space.sgd]                       # only for ranges other than those of `study optimizers`
learning_rate = {{ low = 1e-3, high = 1.0, log = true }}

# [space."my_opt:Lion"]           # parameters of your own optimizer, beside learning_rate
# beta1 = {{ low = 0.8, high = 0.95 }}

# [metrics."my_metrics:top2"]     # what your own metric means
# direction = "maximize"
# untrained = 0.2                 # the score without training, which diverged runs get

[confirm]
seeds = "auto"                    # the fewest that usually show a difference of 2 deviations
# looks = [10, 20]                # end after 10 seeds if they decide every pair, else after 20
# resplit = true                  # draw training and validation samples anew for every seed

# [tracking]                      # show every trial in another tool as well
# tensorboard = true              # pip install 'bakeoff[tensorboard]'
# wandb = "my-project"            # pip install 'bakeoff[wandb]'
# mlflow = "my-experiment"        # pip install 'bakeoff[mlflow]'
# callback = "my_module:on_event" # called with a dictionary for each epoch

# [arms.focal]                    # instead of `compare`: arms by name, with settings of their own
# training.loss = "my_losses:focal"
# [arms.cross_entropy]            # without any: the study as it stands
"""


def init(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="The study file to write; default study.toml, or the name of the study.",
            metavar="FILE",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--from", help="Write the file of a stored study.", metavar="NAME"),
    ] = None,
    widen: Annotated[
        bool,
        typer.Option(
            "--widen",
            help="With --from: a new study, whose ranges are wider where the best values lay at a"
            " bound (flag W10).",
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="The model of the file; with torchvision:NAME or timm:NAME also hints on"
            " fine-tuning.",
            metavar="NAME",
        ),
    ] = None,
    output: options.Output = options.RESULTS,
    storage: options.StorageUrl = None,
    as_json: options.Json = False,
) -> None:
    """Write a commented study file to start from, and its schema for editors next to it.

    Example: study init my-study.toml

    Example: study init fine.toml --model torchvision:resnet18

    Example: study init --from digits --widen
    """
    if source is not None and model is not None:
        raise UsageError("--model: does not go with --from, whose study has a model")
    name, text, changes = "study", _starter(model), list[str]()
    if source is not None:
        from bakeoff.commands.stored_file import stored_study_file

        name, text, changes = stored_study_file(source, widen=widen, output=output, storage=storage)
    elif widen:
        raise UsageError("--widen: say which study's ranges to widen, as in --from NAME --widen")
    path = Path(f"{name}.toml") if path is None else path
    schema = _write(path, text)
    if as_json:
        print_json({"file": str(path), "schema": str(schema), "changes": changes})
        return
    for change in changes:
        typer.echo(f"changed {change}")
    typer.echo(f"wrote {path} and {schema.name} (for editors); run it with `study run {path}`")


def _starter(model: str | None) -> str:
    """The file to start from, with another model in it if one is named."""
    if model is None:
        return STARTER
    from bakeoff.components.models import find_model
    from bakeoff.components.package_models import find_package

    find_model(model)
    section = f'[model]\nmodel = "{model}"\n'
    hints = "" if find_package(model) is None else FINETUNE
    return STARTER.replace(MODEL, section + hints)


def _write(path: Path, text: str) -> Path:
    """Write the study file and the schema beside it; return the schema's path."""
    from bakeoff.studyfile.schema import SCHEMA_ID, study_schema

    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists; choose another name")
    if not path.parent.is_dir():
        raise UsageError(f"{path} cannot be written ({os.strerror(errno.ENOENT)})")
    schema = path.with_name(SCHEMA_FILE)
    try:
        if schema.exists() and SCHEMA_ID.encode() not in schema.read_bytes():
            raise UsageError(f"{schema} exists and is not a schema of bakeoff; move it away")
        replace_files({path: text, schema: f"{study_schema()}\n"})
    except OutputError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be read ({error.strerror})") from None
    return schema
