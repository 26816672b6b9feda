"""A stacked network: the layers of N models of the same structure, each computed in one call.

The model is traced, and each of its layers is replaced by one that computes all members. Values
between layers have three forms: samples as they come [N, B, C, H, W], images [B, N * C, H, W] whose
channels are grouped by member, and vectors [N, B, F].
"""

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn

from bakeoff.networks.plain import GlobalAverage
from bakeoff.training.stack.flat_weights import FlatWeights
from bakeoff.training.stack.image_layers import BatchNorm, Convolution
from bakeoff.training.stack.kinds import (
    LAYERS,
    POINTWISE_FUNCTIONS,
    POINTWISE_METHODS,
    POOL_FUNCTIONS,
    RELU_FUNCTIONS,
)
from bakeoff.training.stack.layers import (
    Calculation,
    Flatten,
    Layer,
    Linear,
    NotStackableError,
    Relu,
    Rows,
    Sum,
    as_images,
)

LIBRARY = "bakeoff."
ALIGNED_SAMPLES = 16
"""Batches of vectors are filled up to a multiple of this, so that every member's values begin at a
multiple of 64 bytes. Otherwise rounding would depend on the member's row."""
INPUT = ""
"""The name of the network's input."""
FRESH = (Linear, Convolution, BatchNorm, Sum)
"""Calculations that never read their output again."""


class _Step(NamedTuple):
    """A calculation of the network, with the names of its output and of its inputs."""

    name: str
    calculate: Any
    inputs: Sequence[str]
    needed: bool
    """Whether a gradient of its inputs is needed, because something before it has weights."""


class _Tracer(fx.Tracer):
    """Does not look into the modules that have a stacked layer of their own."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, GlobalAverage) or super().is_leaf_module(m, module_qualified_name)


class StackedNetwork:
    """The networks of N models as one, with their weights in one matrix.

    Call it without autograd, under `torch.no_grad` or `torch.inference_mode`.

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
        used = {name for one in self._layers for name in one.own_weights}
        if used != self.weights.leaves.keys():
            raise NotStackableError("has weights that are no layer's, or that no layer uses")
        self._mixes_samples = any(one.mixes_samples for one in self._layers)

    def __call__(self, samples: Tensor, *, training: bool) -> Tensor:
        """Outputs [N, B, K] of every member for its own samples [N, B, ...]."""
        self.rows.training = training
        num_samples = self.rows.num_samples = samples.shape[1]
        missing = -num_samples % ALIGNED_SAMPLES
        if missing and not self._mixes_samples:
            samples = torch.cat(
                [samples, samples[:, :1].expand(-1, missing, *samples.shape[2:])], 1
            )
        values = {INPUT: samples}
        for name, calculate, inputs, _ in self._steps:
            compute = calculate.forward if training else calculate
            values[name] = compute(*[values[one] for one in inputs])
        outputs = values[self._output]
        self._num_filled = outputs.shape[1]
        return outputs[:, :num_samples]

    def backward(self, gradient: Tensor) -> None:
        """Write the gradients of all weights into their places.

        Args:
            gradient: That of the outputs [N, B, K] of the last call in training, of each member's
                own loss.
        """
        held = {self._output: _fill_up(gradient, self._num_filled)}
        for name, calculate, inputs, needed in reversed(self._steps):
            if name not in held:
                continue  # nothing reads its output
            found = calculate.backward(held.pop(name), needed=needed)
            for one, own in zip(inputs, found, strict=True) if needed else ():
                held[one] = held[one] + own if one in held else own

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
        buffers = self.buffers
        given = dict(model.named_buffers()) if buffers else {}
        for name, tensor in buffers.items():
            given[name].copy_(tensor[row])

    def _compile(self, graph: fx.Graph, model: nn.Module) -> tuple[list[_Step], str]:
        """The calculations in order, and the name of the output."""
        steps: list[_Step] = []
        names: dict[fx.Node, str] = {}
        weighted: set[str] = set()
        for node in graph.nodes:
            if node.op == "placeholder":
                names[node] = INPUT
                if len(names) > 1:
                    raise NotStackableError("takes more than one input")
            elif node.op == "output":
                output = names[_only_node(node.args)]
                _overwrite(steps, output)
                return steps, output
            else:
                calculate, nodes = self._calculation(node, model)
                inputs = [names[one] for one in nodes]
                needed = not weighted.isdisjoint(inputs)
                steps.append(_Step(node.name, calculate, inputs, needed))
                if needed or calculate.own_weights:
                    weighted.add(node.name)
                names[node] = node.name
                if _changes_its_input(node, model):
                    names[nodes[0]] = node.name
        raise NotStackableError("returns nothing")

    def _calculation(self, node: fx.Node, model: nn.Module) -> tuple[Any, list[fx.Node]]:
        if node.op == "call_module":
            layer = self._layer(str(node.target), model.get_submodule(str(node.target)))
            return layer, [_only_node(node.args)]
        if node.op == "call_function" and node.target in (operator.add, torch.add):
            if node.kwargs or not all(isinstance(one, fx.Node) for one in node.args):
                raise NotStackableError("adds something that is no layer's output")
            return Sum(self.rows), list(node.args)  # type: ignore[arg-type]
        if node.op not in ("call_function", "call_method"):
            raise NotStackableError(f"reads {node.target} by itself")
        first, *settings = node.args
        if not isinstance(first, fx.Node) or node.all_input_nodes != [first]:
            raise NotStackableError(f"calls {node.name} with something else than a layer's output")
        return _function(node, settings, dict(node.kwargs), self.rows), [first]

    def _layer(self, name: str, module: nn.Module) -> Calculation:
        if type(module) is nn.ReLU:
            return Relu(self.rows)
        if type(module) is nn.Flatten:
            if (module.start_dim, module.end_dim) != (1, -1):
                raise NotStackableError("flattens some dimensions only")
            return Flatten(self.rows)
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


def _fill_up(gradient: Tensor, num_samples: int) -> Tensor:
    """A gradient [N, B, K] with zeros for samples that only fill the batch up."""
    if gradient.shape[1] == num_samples:
        return gradient
    num, batch, size = gradient.shape
    filled = gradient.new_zeros(num, size, num_samples).transpose(1, 2)
    filled[:, :batch] = gradient
    return filled


def _overwrite(steps: Sequence[_Step], output: str) -> None:
    """Let activations work in place where nothing else reads what they read."""
    readers = [*(one for step in steps for one in step.inputs), output]
    fresh = {one.name for one in steps if isinstance(one.calculate, FRESH)}
    for step in steps:
        if isinstance(step.calculate, Relu):
            (given,) = step.inputs
            step.calculate.overwrites = given in fresh and readers.count(given) == 1


def _changes_its_input(node: fx.Node, model: nn.Module) -> bool:
    """Whether whatever reads the node's input later finds the node's output there."""
    if node.op == "call_module":
        return bool(getattr(model.get_submodule(str(node.target)), "inplace", False))
    settings = (*node.args[1:], *node.kwargs.values())
    is_pointwise = node.target in (*RELU_FUNCTIONS, *POINTWISE_FUNCTIONS)
    return is_pointwise and any(one is True for one in settings)  # they have no other such setting


def _function(node: fx.Node, settings: list[Any], named: dict[str, Any], rows: Rows) -> Calculation:
    """A function that the forward pass calls on one value."""
    call: Any = node.target
    if call in RELU_FUNCTIONS or (node.op, call) == ("call_method", "relu"):
        return Relu(rows)
    if node.op == "call_method" and call in POINTWISE_METHODS and not settings:
        return Calculation(rows, getattr(torch, str(call)))
    if call in POINTWISE_FUNCTIONS:
        # What comes before it may need its output, and autograd leaves such inputs as they are.
        return Calculation(rows, lambda values: call(values.clone(), *settings, **named))
    if call in POOL_FUNCTIONS:
        return Calculation(rows, lambda values: call(as_images(values), *settings, **named))
    if call in (torch.flatten, "flatten") and (settings, named) in (
        ([1], {}), ([], {"start_dim": 1}),
    ):  # fmt: skip
        return Flatten(rows)
    raise NotStackableError(f"calls {getattr(call, '__name__', call)}")


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
