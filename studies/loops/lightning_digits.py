"""A module of PyTorch Lightning, whose trainer owns the loop.

pip install lightning
study run studies/loops/lightning_digits.toml
"""

import logging

import lightning
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Sampler, TensorDataset

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
QUIET = {  # the study has these itself
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


class Digits(lightning.LightningModule):
    """A small network; its optimizer and schedule come from the run."""

    def __init__(self, run, total_steps):
        super().__init__()
        self.run, self.total_steps = run, total_steps
        self.network = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, run.params["width"]),
            nn.ReLU(),
            nn.Dropout(run.params["dropout"]),
            nn.Linear(run.params["width"], 10),
        )

    def training_step(self, batch, batch_number):
        """The loss of a batch."""
        inputs, labels = batch
        return cross_entropy(self.network(inputs), labels)

    def configure_optimizers(self):
        """The arm's optimizer, with its schedule at every step."""
        optimizer = self.run.optimizer(self.network)
        scheduler = self.run.scheduler(optimizer, total_steps=self.total_steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def score(self, data):
        """Accuracy and loss."""
        self.eval()
        with torch.no_grad():
            inputs, labels = (torch.cat(parts) for parts in zip(*data.batches(512), strict=True))
            outputs = self.to(inputs.device).network(inputs)  # the trainer may have moved it
        self.train()
        accuracy = (outputs.argmax(dim=1) == labels).double().mean()
        return {"accuracy": accuracy, "loss": cross_entropy(outputs, labels)}


class Reporting(lightning.Callback):
    """Begins and reports every epoch."""

    def on_train_epoch_start(self, trainer, module):
        """A resumed run continues here."""
        module.run.begin_epoch()

    def on_train_epoch_end(self, trainer, module):
        """It is saved here, and may end here."""
        module.run.report(module.score(module.run.data.validation))
        trainer.should_stop = module.run.is_over


class Order(Sampler):
    """The run's own order, which depends on the seed and the epoch only.

    Lightning opens the first epoch's loader before the epoch begins, and so before a resumed run
    has its random generators back.
    """

    def __init__(self, run, count):
        self.run, self.count = run, count

    def __len__(self):
        return self.count

    def __iter__(self):
        return iter(self.run.order(self.count))


def train(run):
    """A plain function: the trainer calls the callback, and the callback reports."""
    parts = zip(*run.data.train.batches(512), strict=True)
    samples = TensorDataset(*(torch.cat(one) for one in parts))
    loader = DataLoader(
        samples,
        run.batch_size,
        sampler=Order(run, len(samples)),
        generator=torch.Generator(),  # so that opening it draws no random number of the run
    )
    module = Digits(run, total_steps=run.num_epochs * len(loader))
    run.track(model=module)
    if not run.is_over:
        left = run.num_epochs - run.completed
        trainer = lightning.Trainer(
            max_epochs=left, accelerator=run.device.type, callbacks=[Reporting()], **QUIET
        )
        trainer.fit(module, loader)
    if run.wants_test:
        run.test(module.score(run.data.test))
