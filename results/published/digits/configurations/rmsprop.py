"""Trains a configuration of study digits, rmsprop."""

from copy import deepcopy

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
        dropout=0.33598183741470855,
    )
    model = model.to(device)
    total_steps = epochs * steps_per_epoch(len(data.train), batch_size, accumulation_steps)

    # no weight decay on norms and biases
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2]},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.RMSprop(
        groups,
        lr=0.008369168353713565,
        momentum=0.3544132177572581,
        weight_decay=8.2652880204193e-06,
    )

    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, total_steps=total_steps + 1, max_lr=0.008369168353713565,
        pct_start=(0.18773139189395616 * total_steps + 1) / (total_steps + 1),
        base_momentum=0.254413, max_momentum=0.354413,
    )

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
