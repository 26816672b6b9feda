"""What is kept of a model's predictions on a split, of which the metrics are computed.

The predictions are collected batch by batch. Quantities that several metrics need (class counts,
summed losses) are computed once.

Shapes: N samples, C classes, K labels, T targets, L tokens in a sample, V tokens in the vocabulary.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bakeoff.records import Task
from bakeoff.training.pixel_predictions import PixelPredictions

MAX_RANK = 5
"""The k of `top5_accuracy`."""

Criterion = Callable[[Tensor, Tensor], Tensor]
"""Model outputs and labels -> mean loss."""


class per_sample(cached_property[Tensor]):  # noqa: N801 - used as a decorator
    """A quantity [N, ...] of every sample. A part of the samples takes its rows from the whole."""

    def __init__(self, compute: Callable[[Any], Tensor]) -> None:
        def read(found: "SamplePredictions") -> Tensor:
            if found.whole is None:
                return compute(found)
            values: Tensor = getattr(found.whole, compute.__name__)
            return values[found.rows]

        super().__init__(read)
        self.__doc__ = compute.__doc__


class SamplePredictions:
    """Outputs [N, ...] as float32 and labels [N] or [N, K] of all samples."""

    def __init__(self) -> None:
        self._batches: list[tuple[Tensor, Tensor]] = []
        self.whole: Self | None = None
        """The predictions of which these are a part; None if they are whole."""
        self.rows: Tensor = torch.empty(0, dtype=torch.int64)
        """The rows of the whole that belong to the part, [n]."""

    def add(self, outputs: Tensor, labels: Tensor) -> None:
        """Add a batch."""
        self._batches.append((outputs.float(), labels))

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Outputs and labels as they were added; those of a part in one batch."""
        if self.whole is None:
            yield from self._batches
        else:
            yield self.outputs, self.labels

    def part(self, rows: Tensor) -> Self:
        """The predictions of the samples `rows` [n]."""
        part = self.empty()
        part.whole, part.rows = self, rows
        return part

    def empty(self) -> Self:
        """A collection of the same kind without samples."""
        return type(self)()

    @per_sample
    def outputs(self) -> Tensor:
        """[N, C] or [N, K] logits, or [N, 1] or [N, T] predictions."""
        return torch.cat([outputs for outputs, _ in self._batches])

    @per_sample
    def labels(self) -> Tensor:
        """[N], or [N, K] of several labels, or [N, T] of several targets, per sample."""
        return torch.cat([labels for _, labels in self._batches])


class ClassPredictions(SamplePredictions):
    """Logits [N, C] and labels [N] in 0..C-1; all counts of samples are float64."""

    @per_sample
    def log_probabilities(self) -> Tensor:
        """[N, C], in nats."""
        return self.outputs.log_softmax(1)

    @per_sample
    def predicted(self) -> Tensor:
        """Class with the largest logit, [N]."""
        return self.outputs.argmax(1)

    @per_sample
    def in_top5(self) -> Tensor:
        """Whether the label is among the five largest logits, [N]."""
        rank = min(MAX_RANK, self.outputs.shape[1])
        best = self.outputs.topk(rank, dim=1, sorted=False).indices
        return (best == self.labels[:, None]).any(1)

    @per_sample
    def confidence(self) -> Tensor:
        """The largest probability, [N], as float64."""
        return self.log_probabilities.max(1).values.exp().double()

    @per_sample
    def most_probable(self) -> Tensor:
        """Class with the largest probability, [N]."""
        return self.log_probabilities.max(1).indices

    @cached_property
    def order_by_label(self) -> Tensor:
        """The samples in the order of their labels, [N]."""
        return self.labels.argsort(stable=True)

    @cached_property
    def areas(self) -> Tensor:
        """The area under the ROC curve of each class against the rest, [C]; see `auroc`."""
        return class_areas(self.log_probabilities[None], self)[0]

    @cached_property
    def class_counts(self) -> Tensor:
        """Samples of each class, [C]."""
        return self.count(self.labels)

    @cached_property
    def right_counts(self) -> Tensor:
        """Correctly predicted samples of each class, [C]."""
        return self.count(self.labels[self.predicted == self.labels])

    def count(self, classes: Tensor) -> Tensor:
        """How often each class occurs in `classes`, [C]."""
        num_classes = (self.whole or self).outputs.shape[1]
        return torch.bincount(classes, minlength=num_classes).double()

    @cached_property
    def confusion(self) -> Tensor:
        """Samples by label and predicted class, [C, C].

        No metric uses it, because it is too large with very many classes.

        Source: as `torchmetrics.functional.classification.multiclass_confusion_matrix`.
        """
        num_classes = self.outputs.shape[1]
        pairs = num_classes * self.labels + self.predicted
        counts = torch.bincount(pairs, minlength=num_classes**2)
        return counts.double().view(num_classes, num_classes)


def of_targets(outputs: Tensor, targets: Tensor) -> Tensor:
    """Predictions in the shape of the targets: [N] of [N, 1] for one target, else [N, T]."""
    return outputs[:, 0] if targets.ndim == 1 else outputs


class LabelPredictions(SamplePredictions):
    """Logits [N, K] and labels [N, K] of 0 and 1."""

    @per_sample
    def ranks(self) -> Tensor:
        """Number of samples with a lower logit of the label, [N, K]; equal logits share one."""
        scores = self.outputs.T.contiguous()
        ranks = torch.searchsorted(scores.sort(1).values, scores).T
        return ranks.clamp(max=len(ranks) - 1)  # NaN would come after all


class TargetPredictions(SamplePredictions):
    """Predictions [N, 1] and targets [N], both standardised by the training targets.

    With several targets both are [N, T]. Each is standardised on its own, and so are its errors.

    Args:
        criterion: The training loss.
        deviation: Standard deviation of the training target, which turns standardised errors into
            units of the target; 1 with several targets.
    """

    def __init__(self, criterion: Criterion, deviation: float) -> None:
        super().__init__()
        self.criterion = criterion
        self.deviation = deviation

    def empty(self) -> Self:
        """See `SamplePredictions`."""
        return type(self)(self.criterion, self.deviation)

    @per_sample
    def errors(self) -> Tensor:
        """Target minus prediction, [N] or [N, T], in units of the target, as float64."""
        predicted = of_targets(self.outputs, self.labels)
        return self.deviation * (self.labels.double() - predicted.double())


class TokenPredictions:
    """Sums over logits [N, L, V] and next tokens [N, L], which are not kept themselves.

    Args:
        keeps_samples: Whether a `part` of the samples may be asked for.
    """

    def __init__(self, *, keeps_samples: bool = False) -> None:
        self._sums: list[Tensor] = []
        self._num_tokens = 0
        self._keeps_samples = keeps_samples
        self._followers: list[Callable[[Tensor, Tensor], None]] = []
        self._sample_means: list[Tensor] = []
        """Means over the tokens of each sample, [n, 2] of every batch; see `means`."""

    def follow(self, update: Callable[[Tensor, Tensor], None]) -> None:
        """Call `update` with the logits [N * L, V] and the tokens [N * L] of every batch."""
        self._followers.append(update)

    def add(self, logits: Tensor, tokens: Tensor) -> None:
        """Add a batch."""
        shape = tokens.shape
        logits, tokens = logits.flatten(0, 1).float(), tokens.flatten()
        for update in self._followers:
            update(logits, tokens)
        is_right = logits.argmax(1) == tokens
        losses = cross_entropy(logits, tokens, reduction="sum")
        self._sums.append(torch.stack([losses, is_right.sum()]))
        self._num_tokens += len(tokens)
        if self._keeps_samples:
            by_token = cross_entropy(logits, tokens, reduction="none")
            both = torch.stack([by_token.double(), is_right.double()], 1)
            self._sample_means.append(both.view(*shape, 2).mean(1))

    def part(self, rows: Tensor) -> "TokenPredictions":
        """The predictions of the samples `rows` [n], which all have equally many tokens."""
        part = TokenPredictions()
        part.means = torch.cat(self._sample_means)[rows].mean(0)
        return part

    @cached_property
    def means(self) -> Tensor:
        """Mean cross-entropy in nats and share of correctly predicted tokens, [2], as float64."""
        return torch.stack(self._sums, 1).double().sum(1) / self._num_tokens


Predictions = (
    ClassPredictions | LabelPredictions | PixelPredictions | TargetPredictions | TokenPredictions
)


def no_predictions(
    task: Task,
    criterion: Criterion,
    target_deviation: float = 1.0,
    *,
    keeps_samples: bool = False,
) -> Predictions:
    """An empty collection, to which the predictions of a split are added batch by batch.

    With `keeps_samples`, also text and pixels can be asked for a `part` of their samples.
    """
    if task == "segmentation":
        return PixelPredictions(keeps_samples=keeps_samples)
    if task == "multilabel":
        return LabelPredictions()
    if task == "regression":
        return TargetPredictions(criterion, target_deviation)
    if task == "language":
        return TokenPredictions(keeps_samples=keeps_samples)
    return ClassPredictions()


def class_areas(scores: Tensor, found: ClassPredictions) -> Tensor:
    """The areas of `auroc` of M models that were evaluated on the same samples, [M, C].

    They are NaN for a class that no sample or every sample has.

    Args:
        scores: The log probabilities of all models, [M, N, C].
        found: The predictions of one of them, of which only the labels are used.
    """
    labels, num_models = found.labels, len(scores)
    counts = found.class_counts.long()
    ordered = _in_order(scores.transpose(1, 2).contiguous())
    right = scores.gather(2, labels.expand(num_models, -1)[:, :, None])[:, :, 0]
    own, padding = _by_class(right, found, counts)
    places = torch.searchsorted(ordered, own) + torch.searchsorted(ordered, own, right=True)
    # Each place is counted from both sides, so that ties count one half; padding comes last.
    twice = (places.sum(2) - 2 * len(labels) * padding).double()
    positives = found.class_counts
    pairs = positives * (len(labels) - positives)
    return torch.where(pairs > 0, (twice - positives.square()) / (2 * pairs), torch.nan)


def _in_order(values: Tensor) -> Tensor:
    """Every row of [M, C, N] from its least to its greatest number.

    On CPUs by NumPy, which takes a fortieth of the time for 160 rows of 288 numbers.
    """
    if values.device.type != "cpu":
        return values.sort(2).values
    return torch.from_numpy(np.sort(values.numpy(), axis=2))


def _by_class(values: Tensor, found: ClassPredictions, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Values [M, N] as a row for each class, [M, C, n], and the padding of each class, [C].

    The rows are padded with infinity.
    """
    order = found.order_by_label
    rows = found.labels[order]
    columns = torch.arange(len(rows), device=rows.device) - (counts.cumsum(0) - counts)[rows]
    longest = int(counts.max())
    table = values.new_full((len(values), len(counts), longest), torch.inf)
    table[:, rows, columns] = values[:, order]
    return table, longest - counts
