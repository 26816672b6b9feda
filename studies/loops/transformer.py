"""A small BERT that the Trainer of Hugging Face trains; it is built here, nothing is downloaded.

pip install transformers accelerate
study run studies/loops/transformer.toml
"""

import torch
from torch.utils.data import Sampler
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

TOKENS, LENGTH = 12, 16


def texts(count, seed):
    """Sequences of tokens; the class says whether the first one is even."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, TOKENS, (count, LENGTH), generator=generator)
    labels = (tokens[:, 0] % 2 == 0).long()
    return [{"input_ids": one, "labels": label} for one, label in zip(tokens, labels, strict=True)]


class Reporting(TrainerCallback):
    """Begins every epoch, and reports what the trainer evaluates after it."""

    def __init__(self, run):
        self.run = run

    def on_epoch_begin(self, args, state, control, **_):
        """A resumed run continues here."""
        self.run.begin_epoch()

    def on_evaluate(self, args, state, control, metrics, **_):
        """The epoch is saved here, and may end here; the test comes when the run is over."""
        if not self.run.is_over:
            self.run.report(scores(metrics))
            control.should_training_stop = self.run.is_over


class Order(Sampler):
    """The run's own order of the samples, which depends on the seed and the epoch only."""

    def __init__(self, run, count):
        self.run, self.count = run, count

    def __len__(self):
        return self.count

    def __iter__(self):
        return iter(self.run.order(self.count))


class OrderedTrainer(Trainer):
    """A trainer with that order; its own one would begin anew in a resumed run."""

    def __init__(self, run, **settings):
        self.run = run
        super().__init__(**settings)

    def _get_train_sampler(self, train_dataset=None):
        return Order(self.run, len(train_dataset or self.train_dataset))


def scores(metrics):
    """What the trainer measured, without its prefix."""
    return {name: metrics[f"eval_{name}"] for name in ("loss", "accuracy")}


def accuracy(prediction):
    """The share of right answers."""
    right = prediction.predictions.argmax(axis=-1) == prediction.label_ids
    return {"accuracy": right.mean()}


def train(run):
    """A plain function: the trainer calls the callback, and the callback reports."""
    config = BertConfig(
        vocab_size=TOKENS,
        hidden_size=run.params["width"],
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=2 * run.params["width"],
        max_position_embeddings=LENGTH,
    )
    model, samples = BertForSequenceClassification(config), texts(256, seed=1)
    optimizer = run.optimizer(model)
    steps = -(-len(samples) // run.batch_size)
    scheduler = run.scheduler(optimizer, total_steps=run.num_epochs * steps)
    run.track(model=model)
    arguments = TrainingArguments(
        output_dir=str(run.folder),
        num_train_epochs=run.num_epochs - run.completed,
        per_device_train_batch_size=run.batch_size,
        eval_strategy="epoch",
        save_strategy="no",  # the study saves
        report_to=[],
        disable_tqdm=True,
        use_cpu=run.device.type == "cpu",
        seed=run.seed % 2**32,
    )
    trainer = OrderedTrainer(
        run,
        model=model,
        args=arguments,
        train_dataset=samples,
        eval_dataset=texts(128, seed=2),
        compute_metrics=accuracy,
        optimizers=(optimizer, scheduler),
        callbacks=[Reporting(run)],
    )
    trainer.remove_callback(PrinterCallback)
    if not run.is_over:
        trainer.train()
    if run.wants_test:
        run.test(scores(trainer.evaluate(texts(128, seed=3))))
