"""Three short runs whose learning curves are written down, for seeing that numbers did not change."""

from bakeoff.records import DataConfig, TrainingConfig, TrialConfig
from bakeoff.training import loop

Curve = dict[str, list[float]]

CELLS = {
    "mlp, adamw, cosine": {"warmup_fraction": 0.1},
    "cnn, muon, one_cycle": {},
    "cnn, schedule_free_adamw, constant": {"warmup_fraction": 0.1},
}
"""Parameters of the schedule by model, optimizer and schedule."""


def train_cell(cell: str) -> Curve:
    """Training loss, gradient norm and validation loss after each of four epochs, in fp32."""
    model, optimizer, scheduler = cell.split(", ")
    config = TrialConfig(
        optimizer=optimizer,
        optimizer_params={"learning_rate": 0.01, "weight_decay": 0.01},
        scheduler=scheduler,
        scheduler_params=CELLS[cell],
        model=model,
        model_params={"width": 16, "dropout": 0.2},
        data=DataConfig(dataset="digits", augment=("translate",)),
        training=TrainingConfig(epochs=4, batch_size=64, precision="fp32", clip_grad_norm=1.0),
        objective="accuracy",
        score_rule="best_epoch",
        seed=1,
        split_seed=0,
    )
    results = list(loop.train(loop.prepare(config, "cpu")))
    return {
        "train_loss": [result.train_loss for result in results],
        "grad_norm": [result.grad_norm for result in results],
        "validation_loss": [result.metrics["loss"] for result in results],
    }
