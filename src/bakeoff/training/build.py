"""Building what a run trains with: model, optimizer, augmentation."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from bakeoff.components.augmentations import AUGMENTATIONS, AugmentationSpec
from bakeoff.components.compatibility import find_model_conflict, find_output_conflict
from bakeoff.components.models import ModelSpec, find_model
from bakeoff.components.optimizers import OptimizerSpec, find_optimizer
from bakeoff.components.package_models import check_fresh, check_model_installed, find_package
from bakeoff.components.package_optimizers import check_installed
from bakeoff.components.parameters import complete_params
from bakeoff.data.inputs import Categories, input_kind
from bakeoff.errors import BakeoffError, UsageError, describe_error, passes_own_code
from bakeoff.ranges import Params
from bakeoff.records import DataConfig, Task, TrialConfig
from bakeoff.registry import is_reference, resolve, users_code
from bakeoff.seeding import derive_seed
from bakeoff.training.averaging import switch_to_training
from bakeoff.training.batches import Augment, Splits
from bakeoff.training.complex_weights import check_complex_steps
from bakeoff.training.memory import is_out_of_memory
from bakeoff.training.own_augment import build_own_augmentation, check_own_augmentation
from bakeoff.training.own_optimizer import build_own_optimizer
from bakeoff.training.own_state import check_state
from bakeoff.training.weight_kinds import hidden_weights, parameter_groups
from bakeoff.training.weight_roles import Roles, split_by_role

CPU = torch.device("cpu")
IMAGE_NDIM = 3
"""(C, H, W)"""


def build_model(
    name: str,
    params: Params,
    *,
    input_shape: Sequence[int],
    num_outputs: int,
    task: Task = "classification",
    is_text: bool = False,
    categories: Categories | None = None,
    vocabulary: Sequence[str] = (),
) -> nn.Module:
    """Build the model and try it on two samples of zeros; torch's global generator draws weights.

    With `is_text` the samples are tokens of whole texts. With a vocabulary of these the model is
    built with `num_tokens=` as well. With `categories` some of the numbers are codes, and it is
    built with this argument as well.

    Raises:
        UsageError: The model is unknown, does not accept these parameters or this input, has no
            trainable weights, does not return [N, num_outputs] (for text [N, L, num_outputs], for
            pixels [N, num_outputs, H, W]), or has state that cannot be saved.
        MissingDependencyError: The model's package is not installed.
    """
    spec = find_model(name)
    has_codes = categories is not None
    kind = input_kind(task, input_shape, is_text=is_text, has_codes=has_codes)
    conflict = find_model_conflict(name, kind)
    if conflict is not None:
        hint = "; grey images need their channel: [N, 1, H, W]" if kind == "rows" else ""
        raise UsageError(f"{conflict} (a sample has shape {list(input_shape)}{hint})")
    if conflict := find_output_conflict(name, task):
        raise UsageError(conflict)
    if spec.parameters is not None:
        params = complete_params(f"model {name!r}", spec.parameters, params)
    if find_package(name) is not None:
        check_model_installed(name)
        check_fresh(name, params)
    given = {"categories": categories, **params} if has_codes else params
    given = {"num_tokens": len(vocabulary), **given} if vocabulary else given
    model = _call_build(spec, tuple(input_shape), num_outputs, given)
    is_language = kind == "tokens"
    dtype = torch.int64 if is_language or is_text else torch.float32
    samples = torch.zeros(2, *input_shape, dtype=dtype)
    expected = (*samples.shape, num_outputs) if is_language else (2, num_outputs)
    if task == "segmentation":
        expected = (2, num_outputs, *input_shape[1:])
    _try_model(name, model, samples, expected)
    try:
        check_state(model)
    except UsageError as error:
        raise UsageError(f"model {name!r}: {error}") from error
    return model


def build_model_of(config: TrialConfig, splits: Splits) -> nn.Module:
    """The model of a run, for the samples of its data.

    Raises:
        UsageError: As `build_model`.
        MissingDependencyError: As there.
    """
    return build_model(
        config.model,
        config.model_params,
        input_shape=splits.input_shape,
        num_outputs=splits.num_outputs,
        task=splits.task,
        is_text=config.data.text is not None,
        categories=splits.categories,
        vocabulary=splits.vocabulary,
    )


def _call_build(
    spec: ModelSpec, input_shape: tuple[int, ...], num_outputs: int, given: Mapping[str, Any]
) -> nn.Module:
    build = resolve(spec.build)
    if not callable(build):
        raise UsageError(f"model {spec.name!r} is not a function")
    try:
        with users_code():
            model = build(input_shape=input_shape, num_outputs=num_outputs, **spec.fixed, **given)
    except BakeoffError:
        raise
    except (Exception, SystemExit) as error:  # the user's function may raise anything at all
        if is_out_of_memory(error):
            raise
        # Our own models raise errors that need no description.
        reason = describe_error(error) if spec.parameters is None else str(error)
        is_our_call = isinstance(error, TypeError) and not passes_own_code(error)
        if spec.parameters is None and is_our_call and "argument" in str(error):
            words = ("input_shape", "num_outputs", *spec.fixed, *given)
            reason += f"; it is called with {', '.join(f'{word}=' for word in words)}"
        raise UsageError(f"model {spec.name!r}: {reason}") from error
    if not isinstance(model, nn.Module):
        raise UsageError(f"model {spec.name!r} is {type(model).__name__}, not a torch.nn.Module")
    return model


def _try_model(name: str, model: nn.Module, samples: Tensor, expected: tuple[int, ...]) -> None:
    if not any(weights.requires_grad for weights in model.parameters()):
        raise UsageError(f"model {name!r} has no trainable parameters")
    model.eval()
    try:
        with torch.no_grad():
            output = model(samples)
    except Exception as error:  # the user's model may raise anything at all
        if is_out_of_memory(error):
            raise
        raise UsageError(
            f"model {name!r} does not take inputs of shape {list(samples.shape)}"
            f" ({describe_error(error)})"
        ) from error
    if not isinstance(output, Tensor) or output.shape != expected:
        got = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise UsageError(f"model {name!r} gives {got}, not outputs of shape {list(expected)}")


def build_optimizer(
    name: str,
    model: nn.Module,
    params: Params,
    device: torch.device,
    roles: Roles | None = None,
) -> torch.optim.Optimizer:
    """The optimizer over every trainable weight of `model`, with the defaults of missing `params`.

    What decays follows from the weights' place in the model, whatever the optimizer: see
    `parameter_groups`. With `roles`, weights have their own factors of learning rate and decay. It
    is torch's fused or vectorized implementation where there is one, which complex weights do not
    have, and ready to train.

    Raises:
        UsageError: The optimizer or a parameter is unknown, a value is refused, or the model has
            no weights that the optimizer is made for, or complex ones that it steps wrongly.
        MissingDependencyError: The optimizer's package is not installed.
    """
    spec = find_optimizer(name)
    if spec.own is None:
        check_installed(name, spec.package)
    arguments = {**spec.arguments(spec.complete(params)), **spec.fixed}
    weight_decay = float(arguments.pop("weight_decay", 0.0))
    is_complex = any(one.is_complex() for one in model.parameters() if one.requires_grad)
    if not is_complex:
        arguments |= _implementation(spec, device)
    groups = parameter_groups(model, weight_decay)
    if roles:
        groups = _split_by_role(name, groups, roles, arguments)
    if spec.needs_hidden_weights:
        groups = _split_hidden(name, model, groups)
    build = cast("Callable[..., torch.optim.Optimizer]", resolve(spec.build))
    try:
        if spec.own is not None:
            build = partial(build_own_optimizer, name, build)
        optimizer = build(groups, **arguments)
        if is_complex:
            again = partial(build, **arguments)
            check_complex_steps(again, weight_decay, spec.needs_hidden_weights)
    except UsageError:
        raise
    except (ValueError, TypeError) as error:
        raise UsageError(f"optimizer {name!r}: {error}") from None
    if weight_decay and "weight_decay" not in optimizer.defaults:
        raise UsageError(f"optimizer {name!r} has no weight decay; set weight_decay = 0")
    switch_to_training(optimizer)
    return optimizer


def _implementation(spec: OptimizerSpec, device: torch.device) -> dict[str, bool]:
    """The arguments that choose torch's fastest implementation on a device."""
    if spec.fused and device.type in {"cpu", "cuda", "mps", "xpu"}:
        return {"fused": True}
    return {spec.on_cpu: True} if spec.on_cpu is not None and device.type == "cpu" else {}


def _split_by_role(
    name: str, groups: list[dict[str, Any]], roles: Roles, arguments: Params
) -> list[dict[str, Any]]:
    if "lr" not in arguments:
        raise UsageError(
            f"optimizer {name!r}: factors of the learning rate need one, and its signature has no"
            f' lr; name learning_rate under [space."{name}"]'
        )
    return split_by_role(groups, roles, float(arguments["lr"]))


def _split_hidden(
    name: str, model: nn.Module, groups: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The groups with hidden weights in groups of their own, marked `hidden`."""
    hidden = hidden_weights(model)
    if not hidden:
        raise UsageError(
            f"optimizer {name!r} is for hidden weights of two or more dimensions;"
            " this model has embeddings and an output layer at most"
        )
    split = [
        {
            **group,
            "params": [one for one in group["params"] if (id(one) in hidden) == is_hidden],
            "hidden": is_hidden,
        }
        for group in groups
        for is_hidden in (True, False)
    ]
    return [group for group in split if group["params"]]


def check_augment(
    names: Sequence[str],
    input_shape: Sequence[int],
    dtype: torch.dtype = torch.float32,
    device: torch.device = CPU,
) -> None:
    """Make sure that these augmentations exist and suit samples of this shape and type.

    Raises:
        UsageError: An augmentation is unknown, the samples are not images, or one of the user's own
            cannot be called with them.
    """
    for name in names:
        is_own = is_reference(name)
        if not is_own:
            AUGMENTATIONS[name]
        if len(input_shape) != IMAGE_NDIM:
            raise UsageError(
                f"augmentation {name!r} needs images of shape [C, H, W], "
                f"not samples of shape {list(input_shape)}"
            )
        if is_own:
            check_own_augmentation(name, input_shape, dtype, device)


def build_augment(
    names: Sequence[str],
    *,
    num_samples: int,
    seed: int,
    epoch: int,
    device: torch.device,
    batch_size: int | None = None,
) -> Augment | None:
    """One function that applies all augmentations of an epoch in order; None without any.

    Every sample has its own random numbers, which depend only on seed, epoch and position, and not
    on batches or on where a run was resumed.

    Args:
        names: Registered augmentations and references to the user's own, in their order.
        num_samples: Samples of an epoch.
        seed: The run's.
        epoch: Counted from 1.
        device: Where the samples are.
        batch_size: The user's own functions are called with each batch of this size.

    Raises:
        UsageError: An augmentation is unknown.
    """
    steps: list[Augment] = []
    for name in names:
        if is_reference(name):
            own = build_own_augmentation(name, seed=seed, epoch=epoch, batch_size=batch_size)
            steps.append(own)
            continue
        draws = _draw(AUGMENTATIONS[name], num_samples, seed, epoch).to(device)
        apply = cast("Augment", resolve(AUGMENTATIONS[name].apply))
        steps.append(partial(_apply_drawn, apply, draws))
    return _in_order(steps) if steps else None


def build_mask_augment(
    names: Sequence[str], *, num_samples: int, seed: int, epoch: int, device: torch.device
) -> Augment:
    """One function that moves the pixels of masks [N, H, W] as `build_augment` moves the images'.

    Both get the same random numbers. Augmentations that only change colours leave masks alone.

    Args:
        names: Registered augmentations, in their order.
        num_samples: As there, and so are the others.
        seed: The run's.
        epoch: Counted from 1.
        device: Where the masks are.

    Raises:
        UsageError: An augmentation is unknown, or the user's own.
    """
    steps: list[Augment] = []
    for name in names:
        if is_reference(name):
            raise UsageError(f"augmentation {name!r} would change images without their masks")
        spec = AUGMENTATIONS[name]
        if spec.apply_to_masks is not None:
            draws = _draw(spec, num_samples, seed, epoch).to(device)
            apply = cast("Augment", resolve(spec.apply_to_masks))
            steps.append(partial(_apply_drawn, apply, draws))
    return _in_order(steps)


def mask_augment_of(
    data: DataConfig, num_samples: int, seed: int, epoch: int, device: torch.device
) -> Augment | None:
    """`build_mask_augment` for the augmentations of `data`; None if its labels are no masks."""
    if data.task != "segmentation":
        return None
    return build_mask_augment(
        data.augment, num_samples=num_samples, seed=seed, epoch=epoch, device=device
    )


def _draw(spec: AugmentationSpec, num_samples: int, seed: int, epoch: int) -> Tensor:
    """The random numbers of an epoch, [num_samples, num_draws]."""
    generator = torch.Generator().manual_seed(derive_seed(seed, "augment", spec.name, epoch))
    return torch.rand(num_samples, spec.num_draws, generator=generator)


def _in_order(steps: Sequence[Augment]) -> Augment:
    def augment(inputs: Tensor, positions: Tensor) -> Tensor:
        for apply in steps:
            inputs = apply(inputs, positions)
        return inputs

    return augment


def _apply_drawn(apply: Augment, draws: Tensor, inputs: Tensor, positions: Tensor) -> Tensor:
    return apply(inputs, draws[positions])
