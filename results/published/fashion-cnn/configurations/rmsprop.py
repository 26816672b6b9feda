"""Trains a configuration of study fashion-cnn, rmsprop."""

from copy import deepcopy
import math

import torch
from torch import nn

from bakeoff.networks.plain import build_cnn
from bakeoff.records import DataConfig
from bakeoff.training.batches import load_splits, num_drawn, steps_per_epoch
from bakeoff.training.build import build_augment
from bakeoff.training.metric_functions import accuracy, no_predictions


def train():
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    epochs, batch_size, accumulation_steps = 6, 128, 1
    torch.manual_seed(0)

    # the study's own data: for other data, replace what is called `data` below
    config = DataConfig(
        dataset='fashion-mnist',
        validation_fraction=0.05,
        train_samples=8000,
        augment=('flip', 'translate'),
    )
    data = load_splits(config, split_seed=1449790969, device=device, channels_last=True)
    model = build_cnn(
        input_shape=data.input_shape,
        num_outputs=data.num_outputs,
        width=16,
        dropout=0.20756356186111316,
    )
    model = model.to(device, memory_format=torch.channels_last)
    total_steps = epochs * steps_per_epoch(len(data.train), batch_size, accumulation_steps)

    # no weight decay on norms and biases
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2]},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.RMSprop(
        groups,
        lr=0.0007186840443632708,
        momentum=0.9615199686620091,
        weight_decay=0.006479183817383563,
    )

    def factor(step: int) -> float:
        progress = step / total_steps
        if progress < 0.05:
            return 0.01 + 0.99 * progress / 0.05
        progress = (progress - 0.05) / (1 - 0.05)
        return 0.5 * (1 + math.cos(math.pi * progress))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

    criterion = nn.CrossEntropyLoss().to(device)
    best_score, best_epoch = float("-inf"), 0
    best_weights = deepcopy(model.state_dict())

    def evaluate(split):
        """The study's objective, accuracy."""
        model.eval()
        found = no_predictions('classification', criterion)
        with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
            for inputs, labels in split.batches(1024):
                found.add(model(inputs), labels)
        return accuracy(found).item()

    for epoch in range(1, epochs + 1):
        model.train()
        num_samples = num_drawn(len(data.train), batch_size)
        order = torch.randperm(len(data.train))[:num_samples].to(device)
        augment = build_augment(
        ('flip', 'translate'),
        num_samples=len(data.train),
        seed=0,
        epoch=epoch,
        device=device,
    )
        batches = data.train.batches(batch_size, order, augment, draws=torch.arange(len(order), device=device), seed=epoch)
        for inputs, labels in batches:
            with torch.autocast(device.type, dtype=torch.bfloat16):
                batch_loss = criterion(model(inputs), labels)
            batch_loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            scheduler.step()
        score = evaluate(data.validation)
        print(f"epoch {epoch} of {epochs}: validation accuracy {score:.4g}")
        if score > best_score:
            best_score, best_epoch = score, epoch
            best_weights = deepcopy(model.state_dict())
    model.load_state_dict(best_weights)
    # evaluate(data.test) once, when every choice has been made
    return model


if __name__ == "__main__":
    model = train()
