"""A stacked network: the layers of N models of the same structure, each computed in one call.

The model is traced, and each of its layers is replaced by one that computes all members. Values
between layers have three forms: samples as they come [N, B, C, H, W], images [B, N * C, H, W] whose
channels are grouped by member, and vectors [N, B, F].
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from bakeoff.networks.plain import GlobalAverage
from bakeoff.training.stack.flat_weights import FlatWeights
from bakeoff.training.stack.layers import (
    LAYERS,
    Layer,
    NotStackableError,
    Rows,
    add,
    as_images,
    flatten,
)

Calculation = Callable[..., Tensor]
LIBRARY = "bakeoff."
ALIGNED_SAMPLES = 16
"""Batches of vectors are filled up to a multiple of this, so that every member's values begin at a
multiple of 64 bytes. Otherwise rounding would depend on the member's row."""

POINTWISE_FUNCTIONS = (
    functional.relu, functional.gelu, functional.silu, functional.leaky_relu, functional.elu,
    functional.hardswish, functional.mish, torch.relu, torch.tanh, torch.sigmoid,
)  # fmt: skip
POOL_FUNCTIONS = (functional.max_pool2d, functional.avg_pool2d, functional.adaptive_avg_pool2d)
POINTWISE_METHODS = ("relu", "tanh", "sigmoid")


class _Tracer(fx.Tracer):
    """Does not look into the modules that have a stacked layer of their own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, GlobalAverage) or super().is_leaf_module(m, module_qualified_name)


class StackedNetwork:
    """The networks of N models as one, with their weights in one matrix.

    Args:
        models: Of one structure; their dropout rates may differ. Weights and buffers are copied.
        generators: Each model's own, from which its dropout draws.

    Raises:
        NotStackableError: The model has a layer or a calculation without a stacked one.
    """

    def __init__(self, models: Sequence[nn.Module], generators: Sequence[torch.Generator]) -> None:
        check_structure(models)
        self.weights = FlatWeights(models)
        self.rows = Rows(models=models, generators=generators, weights=self.weights)
        self._layers: list[Layer] = []
        graph = _common_graph(models)
        self._steps, self._output = self._compile(graph, models[0])
        used = {one.name_of(name) for one in self._layers for name in one.own_weights}
        if used != self.weights.leaves.keys():
            raise NotStackableError("has weights that are no layer's, or that no layer uses")

    def __call__(self, samples: Tensor, *, training: bool) -> Tensor:
        """Outputs [N, B, K] of every member for its own samples [N, B, ...]."""
        self.rows.training = training
        num_samples = self.rows.num_samples = samples.shape[1]
        missing = -num_samples % ALIGNED_SAMPLES
        if missing and not any(layer.mixes_samples for layer in self._layers):
            samples = torch.cat(
                [samples, samples[:, :1].expand(-1, missing, *samples.shape[2:])], 1
            )
        values: dict[str, Tensor] = {"": samples}
        for name, calculate, inputs in self._steps:
            values[name] = calculate(*(values[one] for one in inputs))
        return values[self._output][:, :num_samples]

    @property
    def buffers(self) -> dict[str, Tensor]:
        """The buffers of all members by their names in the model, each [N, *shape]."""
        return {name: one for layer in self._layers for name, one in layer.buffers.items()}

    def load_buffers(self, row: int, model: nn.Module) -> None:
        """Copy the buffers of a model into its row."""
        given = dict(model.named_buffers())
        for name, tensor in self.buffers.items():
            tensor[row].copy_(given[name])

    def store_buffers(self, row: int, model: nn.Module) -> None:
        """Copy a row's buffers into a model."""
        given = dict(model.named_buffers())
        for name, tensor in self.buffers.items():
            given[name].copy_(tensor[row])

    def _compile(
        self, graph: fx.Graph, model: nn.Module
    ) -> tuple[list[tuple[str, Calculation, list[str]]], str]:
        """The calculations in order, each with its name and those of its inputs."""
        steps: list[tuple[str, Calculation, list[str]]] = []
        names: dict[fx.Node, str] = {}
        for node in graph.nodes:
            if node.op == "placeholder":
                names[node] = ""
                if len(names) > 1:
                    raise NotStackableError("takes more than one input")
            elif node.op == "output":
                return steps, names[_only_node(node.args)]
            else:
                calculate, inputs = self._calculation(node, model)
                steps.append((node.name, calculate, [names[one] for one in inputs]))
                names[node] = node.name
        raise NotStackableError("returns nothing")

    def _calculation(self, node: fx.Node, model: nn.Module) -> tuple[Calculation, list[fx.Node]]:
        if node.op == "call_module":
            layer = self._layer(str(node.target), model.get_submodule(str(node.target)))
            return layer, [_only_node(node.args)]
        if node.op == "call_function" and node.target in (operator.add, torch.add):
            if node.kwargs or not all(isinstance(one, fx.Node) for one in node.args):
                raise NotStackableError("adds something that is no layer's output")
            return add, list(node.args)  # type: ignore[arg-type]
        if node.op not in ("call_function", "call_method"):
            raise NotStackableError(f"reads {node.target} by itself")
        first, *settings = node.args
        if not isinstance(first, fx.Node) or node.all_input_nodes != [first]:
            raise NotStackableError(f"calls {node.name} with something else than a layer's output")
        return _function(node, settings, dict(node.kwargs), len(self.rows)), [first]

    def _layer(self, name: str, module: nn.Module) -> Layer:
        kind = LAYERS.get(type(module))
        if kind is None:
            raise NotStackableError(f"has a layer {type(module).__name__}")
        if any(one.name == name for one in self._layers):
            raise NotStackableError(f"uses layer {name} twice")
        layer = kind(name, module, self.rows)
        self._layers.append(layer)
        return layer


def _common_graph(models: Sequence[nn.Module]) -> fx.Graph:
    """What all models calculate. Those of the library do not depend on their dropout rates."""
    graph = _trace(models[0])
    for model in models[1:]:
        is_ours = type(model).__module__.startswith(LIBRARY)
        if not is_ours and str(_trace(model)) != str(graph):
            raise NotStackableError("calculates something else at other dropout rates")
    return graph


def _trace(model: nn.Module) -> fx.Graph:
    """The calculations of a model, which is traced once although its companions may change."""
    if model not in _graphs:
        try:
            _graphs[model] = _Tracer().trace(model)
        except Exception as error:  # the forward pass of a user's model may raise anything
            raise NotStackableError(f"cannot be traced ({error})") from error
    return _graphs[model]


_graphs: WeakKeyDictionary[nn.Module, fx.Graph] = WeakKeyDictionary()


def _only_node(arguments: Sequence[Any]) -> fx.Node:
    if len(arguments) != 1 or not isinstance(arguments[0], fx.Node):
        raise NotStackableError("calls a layer with more than one input")
    return arguments[0]


def _function(
    node: fx.Node, settings: list[Any], named: dict[str, Any], num_rows: int
) -> Calculation:
    """A function that the forward pass calls on one value."""
    call: Any = node.target
    if node.op == "call_method" and node.target in POINTWISE_METHODS and not settings:
        call = getattr(torch, str(node.target))
        return call  # type: ignore[no-any-return]
    if node.target in POINTWISE_FUNCTIONS:
        return lambda values: call(values, *settings, **named)
    if node.target in POOL_FUNCTIONS:
        return lambda values: call(as_images(values), *settings, **named)
    if node.target in (torch.flatten, "flatten") and (settings, named) in (
        ([1], {}), ([], {"start_dim": 1}),
    ):  # fmt: skip
        return lambda values: flatten(values, num_rows)
    raise NotStackableError(f"calls {getattr(node.target, '__name__', node.target)}")


def check_structure(models: Sequence[nn.Module]) -> None:
    """Make sure that models differ in the values of their weights and in dropout rates only.

    Raises:
        NotStackableError: They differ otherwise, or have weights that are not trained.
    """
    first = _structure(models[0])
    if any(_structure(one) != first for one in models[1:]):
        raise NotStackableError("the models have different structures")
    for module in models[0].modules():
        is_usual = type(module).get_extra_state is nn.Module.get_extra_state
        if not is_usual or module._forward_hooks or module._forward_pre_hooks:  # noqa: SLF001
            raise NotStackableError("has hooks or state of its own")
    weights = [*models[0].parameters()]
    if not all(one.requires_grad and one.is_floating_point() for one in weights):
        raise NotStackableError("has weights that are not trained")
    if len({one.dtype for one in weights}) > 1:
        raise NotStackableError("has weights of several types")


def _structure(model: nn.Module) -> list[tuple[str, ...]]:
    modules = [
        (name, type(one).__qualname__, "" if isinstance(one, nn.Dropout) else one.extra_repr())
        for name, one in model.named_modules()
    ]
    tensors = [
        (name, str(tuple(one.shape)))
        for name, one in (*model.named_parameters(), *model.named_buffers())
    ]
    return [*modules, *tensors]
