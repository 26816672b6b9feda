"""The verbs of one run: train it, take its weights away, profile it, prove that it resumes."""

from pathlib import Path
from typing import Annotated

import typer

from bakeoff.commands.options import (
    RESULTS,
    BatchSize,
    Device,
    DeviceOption,
    Json,
    LearningRate,
    OptimizerOption,
    OtherSettings,
    Output,
    SchedulerOption,
    StorageOption,
    StudyFileArgument,
    Threads,
    WeightDecay,
)

run_app = typer.Typer(rich_markup_mode=None)


@run_app.command()
def train(
    file: StudyFileArgument,
    optimizer: OptimizerOption = None,
    scheduler: SchedulerOption = None,
    learning_rate: LearningRate = None,
    weight_decay: WeightDecay = None,
    epochs: Annotated[int | None, typer.Option(help="Default: the file's.")] = None,
    batch_size: BatchSize = None,
    settings: OtherSettings = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the run; default: one made of its settings.")
    ] = None,
    output: Output = RESULTS,
    device: DeviceOption = Device.CPU,
    threads: Threads = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Training seed: that of a trial repeats it.", envvar="BAKEOFF_SEED"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train one configuration to the end, or continue it: weights, metrics, learning curves.

    Example: study train studies/digits.toml --optimizer adamw --learning-rate 1e-3
    """
    from bakeoff.commands.train import train_file
    from bakeoff.production.one_configuration import Chosen

    chosen = Chosen(
        optimizer=optimizer,
        scheduler=scheduler,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        epochs=epochs,
        batch_size=batch_size,
        others=tuple(settings or ()),
    )
    train_file(
        file,
        chosen,
        name=name,
        output=output,
        device=device.value,
        threads=threads,
        seed=seed,
        as_json=as_json,
    )


@run_app.command()
def export(
    name: Annotated[
        str,
        typer.Argument(help="A study, or a run as STUDY/RUN or its folder.", metavar="NAME"),
    ],
    target: Annotated[
        Path,
        typer.Option("--to", "-o", help="File to write.", metavar="FILE.safetensors"),
    ] = Path("model.safetensors"),
    arm: Annotated[
        str | None, typer.Option(help="Another arm of the study than the leading one.")
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", help="Folder of results.", envvar="BAKEOFF_OUTPUT")
    ] = RESULTS,  # without -o, which names the file here
    storage: StorageOption = None,
    as_json: Json = False,
) -> None:
    """Write a run's weights, or a study's confirmed winner's, with all that is needed to use them.

    Example: study export digits -o model.safetensors
    """
    from bakeoff.commands.export import export_weights

    export_weights(name, target, arm=arm, output=output, storage_url=storage, as_json=as_json)


@run_app.command()
def profile(
    file: StudyFileArgument,
    optimizer: OptimizerOption = None,
    batch_size: BatchSize = None,
    settings: OtherSettings = None,
    seconds: Annotated[float, typer.Option(help="How long each measurement takes.")] = 2.0,
    device: DeviceOption = Device.CPU,
    as_json: Json = False,
) -> None:
    """Measure where a step's time goes and which workers and threads are fastest, and say why.

    Example: study profile studies/fashion-cnn.toml
    """
    from bakeoff.commands.profile import profile_file
    from bakeoff.production.one_configuration import Chosen

    chosen = Chosen(optimizer=optimizer, batch_size=batch_size, others=tuple(settings or ()))
    profile_file(file, chosen, seconds=seconds, device=device.value, as_json=as_json)


@run_app.command("verify-resume")
def verify_resume(
    file: StudyFileArgument,
    optimizer: OptimizerOption = None,
    scheduler: SchedulerOption = None,
    learning_rate: LearningRate = None,
    weight_decay: WeightDecay = None,
    epochs: Annotated[int, typer.Option(help="Epochs to train.")] = 4,
    batch_size: BatchSize = None,
    settings: OtherSettings = None,
    kills: Annotated[int, typer.Option(help="How often the worker is killed.")] = 5,
    device: DeviceOption = Device.CPU,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Kill and continue a short run of your model, and prove that it ends with the same bits.

    Example: study verify-resume studies/digits.toml --kills 10
    """
    from bakeoff.commands.verify import verify_file
    from bakeoff.production.one_configuration import Chosen

    chosen = Chosen(
        optimizer=optimizer,
        scheduler=scheduler,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        epochs=epochs,
        batch_size=batch_size,
        others=tuple(settings or ()),
    )
    verify_file(file, chosen, kills=kills, device=device.value, threads=threads, as_json=as_json)
