"""Builds classifiers of the package transformers. It is imported only if one is built.

This module imports nothing of bakeoff; see `plain`.
"""

import json
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

IMAGE_NDIM = 3
LABELS = ("num_labels", "id2label", "label2id", "problem_type")
"""Settings of other classes than those of the data."""


class Logits(nn.Module):
    """A classifier that takes one tensor and returns its logits.

    Images are [N, C, H, W]; texts are tokens [N, L], of which `pad_token` is not attended to.
    """

    def __init__(self, model: nn.Module, pad_token: int) -> None:
        super().__init__()
        self.model = model
        self.pad_token = pad_token

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits [N, num_outputs]."""
        if inputs.is_floating_point():
            logits: Tensor = self.model(pixel_values=inputs).logits
        else:
            mask = (inputs != self.pad_token).long()
            logits = self.model(input_ids=inputs, attention_mask=mask).logits
        return logits


def build_huggingface(
    input_shape: Sequence[int], num_outputs: int, config: str, **params: Any
) -> nn.Module:
    """Build a classifier of images [N, C, H, W] or texts [N, L] -> [N, num_outputs].

    Args:
        input_shape: Shape of a sample.
        num_outputs: Number of classes, labels or targets.
        config: The model's configuration as JSON, such as a `config.json` of the hub.
        params: Settings of the configuration that differ.
    """
    from transformers import (
        AutoConfig,
        AutoModelForImageClassification,
        AutoModelForSequenceClassification,
    )

    given = {key: one for key, one in json.loads(config).items() if key not in LABELS}
    unknown = [name for name in params if name not in given]
    if unknown:
        raise ValueError(f"the configuration has no {unknown[0]!r}; it has {', '.join(given)}")
    is_image = len(input_shape) == IMAGE_NDIM
    pad_token = given.get("pad_token_id")
    given = {**given, **params, "num_labels": num_outputs, "use_cache": False}
    if is_image:
        sizes = {"num_channels": input_shape[0], "image_size": input_shape[-1]}
        given |= {key: one for key, one in sizes.items() if key in given}
    else:
        given["pad_token_id"] = pad_token = pad_token if isinstance(pad_token, int) else 0
    auto: Any = AutoModelForImageClassification if is_image else AutoModelForSequenceClassification
    settings = AutoConfig.for_model(given.pop("model_type", ""), **given)
    model = auto.from_config(settings, trust_remote_code=False)
    return Logits(model.float(), pad_token or 0)
