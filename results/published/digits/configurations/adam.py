"""Trains a configuration of study digits, adam."""

from copy import deepcopy
import math

import torch
from torch import nn

from bakeoff.networks.plain import build_mlp
from bakeoff.records import DataConfig
from bakeoff.training.batches import load_splits, num_drawn, steps_per_epoch
from bakeoff.training.metric_functions import accuracy, no_predictions


def train():
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    epochs, batch_size, accumulation_steps = 12, 32, 1
    torch.manual_seed(0)

    # the study's own data: for other data, replace what is called `data` below
    config = DataConfig(dataset='digits')
    data = load_splits(config, split_seed=1449790969, device=device)
    model = build_mlp(
        input_shape=data.input_shape,
        num_outputs=data.num_outputs,
        width=64,
        depth=2,
        dropout=0.12077483691552948,
    )
    model = model.to(device)
    total_steps = epochs * steps_per_epoch(len(data.train), batch_size, accumulation_steps)

    # no weight decay on norms and biases
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2]},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.Adam(
        groups,
        lr=0.016220863298947005,
        weight_decay=0.00022322980119154459,
        betas=(0.9360390470595078, 0.999),
    )

    def factor(step: int) -> float:
        progress = step / total_steps
        if progress < 0.04107155895755863:
            return 0.01 + 0.99 * progress / 0.04107155895755863
        progress = (progress - 0.04107155895755863) / (1 - 0.04107155895755863)
        return 0.5 * (1 + math.cos(math.pi * progress))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

    criterion = nn.CrossEntropyLoss().to(device)
    best_score, best_epoch = float("-inf"), 0
    best_weights = deepcopy(model.state_dict())

    def evaluate(split):
        """The study's objective, accuracy."""
        model.eval()
        found = no_predictions('classification', criterion)
        with torch.no_grad():
            for inputs, labels in split.batches(1024):
                found.add(model(inputs), labels)
        return accuracy(found).item()

    for epoch in range(1, epochs + 1):
        model.train()
        num_samples = num_drawn(len(data.train), batch_size)
        order = torch.randperm(len(data.train))[:num_samples].to(device)
        batches = data.train.batches(batch_size, order, seed=epoch)
        for inputs, labels in batches:
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
