"""Which weights of a model decay, and which are the hidden matrices that Muon steps."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

MATRIX_NDIM = 2
WEIGHT = "weight"
EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
NORMS = (_BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)
LAYERS = (nn.Linear, _ConvNd, nn.Bilinear, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention)
"""Layers whose weights of two or more dimensions are matrices that map inputs to outputs."""
INPUTS = ("in_features", "in_channels", "input_size", "embed_dim", "num_features", "num_channels")
"""What torch's modules call the number of their inputs."""
EMBEDDED = (
    "class_token", "cls_token", "pos_embed", "pos_embedding", "position_embedding",
    "relative_position_bias_table", "layer_scale",
)  # fmt: skip
"""Parts of the names of weights that are no matrices, though some have two or more dimensions.
Source: torchvision's and timm's recipes, which let none of them decay."""


class _Weight(NamedTuple):
    name: str
    """Its own name in its module."""
    owner: nn.Module
    tensor: Tensor


def _trainable(model: nn.Module) -> Iterator[_Weight]:
    """Every trainable weight once, with the module that registered it first."""
    seen: set[int] = set()
    for owner in model.modules():
        for name, tensor in owner.named_parameters(recurse=False):
            if tensor.requires_grad and id(tensor) not in seen:
                seen.add(id(tensor))
                yield _Weight(name, owner, tensor)


def parameter_groups(model: nn.Module, weight_decay: object) -> list[dict[str, Any]]:
    """Every trainable weight in exactly one group: those that decay, then those that do not.

    Weights of two or more dimensions decay. Norms and biases never do, nor do scales, tokens and
    tables of positions that a model holds as weights of its own, nor what the model itself names
    (`no_weight_decay()`, as timm's models do).

    Source: the split by dimension is timm's and nanoGPT's, after Goyal et al. 2017, section 5.3,
    https://arxiv.org/abs/1706.02677
    """
    spared = _spared_by_model(model)
    decays = {
        id(one.tensor): one.tensor.ndim >= MATRIX_NDIM
        and id(one.tensor) not in spared
        and not _is_vector(one)
        for one in _trainable(model)
    }
    trainable = [weights for weights in model.parameters() if weights.requires_grad]
    groups = [
        {
            "params": [one for one in trainable if decays[id(one)]],
            "weight_decay": weight_decay,
        },
        {"params": [one for one in trainable if not decays[id(one)]], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _spared_by_model(model: nn.Module) -> set[int]:
    """Ids of the weights that the model's own `no_weight_decay` names."""
    names = getattr(model, "no_weight_decay", None)
    if not callable(names):
        return set()
    spared = set()
    for name in names():
        with suppress(AttributeError):  # a name of another configuration of the model
            spared.add(id(model.get_parameter(name)))
    return spared


def _is_vector(weight: _Weight) -> bool:
    """Whether a weight of two or more dimensions is no matrix.

    Norms hold vectors of any shape. A weight that a module holds itself is a vector if only one of
    its sizes is above 1, as a scale of each channel [C, 1, 1] is, unless it is called `weight` as
    the matrices of layers are.
    """
    if isinstance(weight.owner, NORMS):
        return True
    if isinstance(weight.owner, (*LAYERS, *EMBEDDINGS)) or weight.name == WEIGHT:
        return False
    is_named = any(part in weight.name for part in EMBEDDED)
    return is_named or weight.tensor.numel() == max(weight.tensor.shape)


def hidden_weights(model: nn.Module) -> set[int]:
    """Ids of the trainable matrices between embeddings and output layers.

    They are the weights of linear, convolutional, recurrent and attention layers, and those called
    `weight` in a layer of the user's own. Complex weights are left out, because the methods for
    hidden matrices are published for real ones.
    """
    weights = list(_trainable(model))
    matrices = [
        one
        for one in weights
        if one.tensor.ndim >= MATRIX_NDIM
        and not one.tensor.is_complex()
        and not isinstance(one.owner, EMBEDDINGS)
        and not _is_vector(one)
        and (isinstance(one.owner, LAYERS) or one.name == WEIGHT)
    ]
    embedded = {id(one.weight) for one in model.modules() if isinstance(one, EMBEDDINGS)}
    outputs = _output_weights(model, matrices)
    return {id(one.tensor) for one in matrices} - embedded - outputs


def _output_weights(model: nn.Module, matrices: list[_Weight]) -> set[int]:
    """Ids of the weights of the output layers.

    An output layer is a linear layer whose number of outputs is the number of inputs of no layer.
    Other layers can be such ones too (the joint layer of queries, keys and values in attention),
    but a model has many of them: of several numbers of outputs the one counts that the fewest
    layers have, and among those the one that was registered last. A model without such a layer has
    the matrix that was registered last as its output layer, unless its outputs share the
    embedding's weights.
    """
    layers = [one for one in model.modules() if isinstance(one, nn.Linear)]
    taken = _numbers_of_inputs(model)
    ends = [one for one in layers if one.out_features not in taken]
    if not ends:
        shares = any(
            one.weight is table.weight
            for one in layers
            for table in model.modules()
            if isinstance(table, EMBEDDINGS)
        )
        return set() if shares or not matrices else {id(matrices[-1].tensor)}
    counts = Counter(one.out_features for one in ends)
    fewest = min(counts.values())
    size = next(one.out_features for one in reversed(ends) if counts[one.out_features] == fewest)
    return {id(one.weight) for one in ends if one.out_features == size}


def _numbers_of_inputs(model: nn.Module) -> set[int]:
    """The numbers of inputs that layers and norms of the model take."""
    found = {getattr(one, name, None) for one in model.modules() for name in INPUTS}
    for one in model.modules():
        if isinstance(one, (nn.LayerNorm, nn.RMSNorm)):
            found.add(one.normalized_shape[-1])
    return {one for one in found if isinstance(one, int)}
