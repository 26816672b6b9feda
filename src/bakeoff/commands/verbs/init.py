from pathlib import Path
from typing import Annotated

import typer

from bakeoff.errors import UsageError

SCHEMA_FILE = "study.schema.json"
STARTER = f"""\
#:schema ./{SCHEMA_FILE}
# The line above lets editors show help and check this file (`study schema` prints the schema).

# A study: which optimizer, learning rate, schedule and weight decay suit this model and this data?
# `study run` runs it, `study status` and `study dashboard` show how it is going.

[study]
name = "my-study"
question = "Which optimizer suits my model on my data?"
seed = 0
objective = "accuracy"            # `study metrics` lists the metrics of every task
compare = ["optimizer"]           # every optimizer is an arm; or ["optimizer", "scheduler"]
# delta = 0.005                   # the smallest difference that matters to you

[data]
dataset = "digits"                # `study datasets` lists them; csv:PATH, folder:PATH, ...: yours
validation_fraction = 0.2

[model]
model = "mlp"                     # `study models` lists them; "package.module:function": yours
width = 64
dropout = {{ low = 0.0, high = 0.5 }}   # a range is searched, a number is fixed

[training]
epochs = 15
batch_size = 32
precision = "auto"                # fp32, bf16 or fp16; auto measures which is fastest here
clip_grad_norm = 1.0

[search]
optimizers = ["sgd", "adam", "adamw"]                 # `study optimizers` lists them
schedulers = ["constant", "cosine", "one_cycle"]      # `study schedulers` lists them
trials_per_arm = 20               # the same for every arm; or epochs_per_arm, seconds_per_arm
sampler = "tpe"                   # or random, sobol, gp, cmaes, grid
pruner = "cautious"               # or halving, median, hyperband, none, ...

[space.sgd]                       # only for ranges other than those of `study optimizers`
learning_rate = {{ low = 1e-3, high = 1.0, log = true }}

[confirm]
seeds = "auto"                    # the fewest that can support a verdict for this many arms

# [tracking]                      # show every trial in another tool as well
# tensorboard = true              # pip install 'bakeoff[tensorboard]'
# wandb = "my-project"            # pip install 'bakeoff[wandb]'
"""


def init(
    path: Annotated[Path, typer.Argument(help="The study file to write.", metavar="FILE")] = Path(
        "study.toml"
    ),
) -> None:
    """Write a commented study file to start from, and its schema for editors next to it.

    Example: study init my-study.toml
    """
    from bakeoff.studyfile.schema import SCHEMA_ID, study_schema

    if path.exists():
        raise UsageError(f"{path} exists; choose another name")
    schema = path.with_name(SCHEMA_FILE)
    try:
        if schema.exists() and SCHEMA_ID.encode() not in schema.read_bytes():
            raise UsageError(f"{schema} exists and is not a schema of bakeoff; move it away")
        with path.open("x", encoding="utf-8") as file:
            file.write(STARTER)
        schema.write_text(f"{study_schema()}\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written ({error.strerror})") from None
    typer.echo(f"wrote {path} and {schema.name} (for editors); run it with `study run {path}`")
