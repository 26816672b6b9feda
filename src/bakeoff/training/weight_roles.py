"""What a run does with each weight: its factors of learning rate and decay, and what is frozen."""

from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from torch import Tensor, nn

from bakeoff.errors import UsageError, describe_error, describe_unknown
from bakeoff.records import FinetuneConfig
from bakeoff.registry import resolve, users_code
from bakeoff.training.averaging import BatchNorm, find_batch_norms
from bakeoff.training.stages import find_parts, stage_of_weights

FACTOR = "learning_rate_factor"
"""Key of a parameter group: the factor by which its learning rate differs from the run's."""
ALL_BUT = "all but "
KEYS = ("params", "learning_rate", "weight_decay", "frozen")
EXPECTED = (
    "expected a list of groups such as {'params': weights, 'learning_rate': 0.1,"
    " 'weight_decay': 1.0, 'frozen': False}, of which the numbers are factors"
)


class WeightRole(NamedTuple):
    """What a run does with a weight."""

    learning_rate: float = 1.0
    """Factor of the learning rate."""
    weight_decay: float = 1.0
    """Factor of the weight decay, for weights that decay at all."""
    frozen: bool = False
    """Whether it is not trained, or not before the epoch in which everything is."""


Roles = Mapping[int, WeightRole]
"""By the id of a weight; one that is missing has the role of any weight of a fresh model."""


def find_roles(
    model: nn.Module,
    finetune: FinetuneConfig,
    num_outputs: int,
    fresh: Collection[str] = frozenset(),
) -> Roles:
    """The role of each weight; empty if all have the same.

    Args:
        model: The model, whose head has `num_outputs` outputs.
        finetune: Says what is frozen, the factors, or the function that says both.
        num_outputs: Classes, labels, tokens of the vocabulary, or targets in regression.
        fresh: Names of weights before the head that no file had; they are treated as the head is.

    Raises:
        UsageError: The model has no head or too few stages, nothing would be trained, or the
            user's function returns something else than groups.
    """
    if finetune.parameter_groups is not None:
        roles: Roles = _roles_of_function(finetune.parameter_groups, model)
    elif finetune.freeze == "none" and not finetune.scales_rates:
        return {}
    else:
        roles = _roles_by_depth(model, finetune, num_outputs, fresh)
    trained = [one for one in model.parameters() if one.requires_grad]
    is_frozen = any(roles.get(id(one), WeightRole()).frozen for one in trained)
    if finetune.unfreeze_epoch is not None and not is_frozen:
        raise UsageError(
            f"finetune.unfreeze_epoch = {finetune.unfreeze_epoch}: model.parameter_groups ="
            f" {finetune.parameter_groups!r} freezes nothing"
        )
    if all(roles.get(id(one), WeightRole()).frozen for one in trained):
        raise UsageError("finetune.freeze: nothing is left to train")
    return roles


def _roles_by_depth(
    model: nn.Module, finetune: FinetuneConfig, num_outputs: int, fresh: Collection[str]
) -> Roles:
    """Factors that fall from the head to the input, and the first stages frozen.

    Source: the decay by depth is that of Clark et al. 2020, https://arxiv.org/abs/2003.10555
    """
    parts = find_parts(model, num_outputs)
    num_stages = len(parts.stages)
    num_frozen = _num_frozen(finetune.freeze, num_stages)
    roles = {}
    names = {id(weights): name for name, weights in model.named_parameters()}
    for weights, found in stage_of_weights(model, parts).items():
        stage = num_stages if names[weights] in fresh else found
        factor = finetune.layer_decay ** (num_stages - stage)
        if stage == num_stages:
            factor = finetune.head_factor
        roles[weights] = WeightRole(factor, frozen=stage < num_frozen)
    return roles


def _num_frozen(freeze: str, num_stages: int) -> int:
    """The number of stages that are frozen, counted from the input."""
    if freeze == "none":
        return 0
    if freeze == "backbone":
        return num_stages
    num_trained = int(freeze.removeprefix(ALL_BUT).partition(" ")[0])
    if num_trained >= num_stages:
        raise UsageError(
            f"finetune.freeze = {freeze!r}: freezes nothing, because the model has {num_stages}"
            " stages before its head"
        )
    return num_stages - num_trained


def _roles_of_function(reference: str, model: nn.Module) -> Roles:
    where = f"model.parameter_groups = {reference!r}"
    function = resolve(reference)
    if not callable(function):
        raise UsageError(f"{where}: is {type(function).__name__}, not a function")
    try:
        with users_code():
            groups = function(model)
    except Exception as error:  # the user's function may raise anything
        raise UsageError(
            f"{where}: expected a call with the model; {describe_error(error)}"
        ) from error
    if isinstance(groups, (str, bytes, Mapping)) or not isinstance(groups, Sequence):
        raise UsageError(f"{where}: {EXPECTED}; found {type(groups).__name__}")
    names = {id(weights): name for name, weights in model.named_parameters()}
    roles: dict[int, WeightRole] = {}
    for number, group in enumerate(groups):
        place = f"{where}: group {number}"
        role = _read_role(group, place)
        for weights in _weights_of(group["params"], place):
            if id(weights) not in names:
                raise UsageError(f"{place}: holds a tensor that is no weight of the model")
            if id(weights) in roles:
                raise UsageError(f"{place}: {names[id(weights)]!r} is in a group before it as well")
            roles[id(weights)] = role
    return roles


def _read_role(group: object, place: str) -> WeightRole:
    if not isinstance(group, Mapping) or "params" not in group:
        raise UsageError(f"{place}: {EXPECTED}; found {_shown(group)}")
    for key in group:
        if key not in KEYS:
            raise UsageError(f"{place}: {describe_unknown('key', key, KEYS)}")
    frozen = group.get("frozen", False)
    if not isinstance(frozen, bool):
        raise UsageError(f"{place}: expected True or False as 'frozen', found {frozen!r}")
    return WeightRole(
        learning_rate=_read_factor(group, "learning_rate", place),
        weight_decay=_read_factor(group, "weight_decay", place),
        frozen=frozen,
    )


def _read_factor(group: Mapping[str, Any], key: str, place: str) -> float:
    value = group.get(key, 1.0)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    is_rate = key == "learning_rate"
    if not is_number or not isfinite(value) or value < 0 or (is_rate and not value):
        allowed = "above 0 (or frozen = True)" if is_rate else "of 0 or above"
        raise UsageError(f"{place}: expected a factor {allowed} as {key!r}, found {_shown(value)}")
    return float(value)


def _weights_of(given: Any, place: str) -> list[Tensor]:
    if isinstance(given, Tensor):
        return [given]
    try:
        found = list(given)
    except TypeError:
        found = [given]
    wrong = next((one for one in found if not isinstance(one, Tensor)), None)
    if wrong is not None:
        raise UsageError(
            f"{place}: expected weights of the model as 'params', found {_shown(wrong)}"
        )
    if not found:
        raise UsageError(f"{place}: has no weights")
    return found


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else type(value).__name__  # noqa: PLR2004 - characters


def split_by_role(
    groups: Sequence[dict[str, Any]], roles: Roles, learning_rate: float
) -> list[dict[str, Any]]:
    """Parameter groups in each of which all weights have the same factors.

    A group gets its own learning rate and decay, and its factor under the key `FACTOR`, because the
    learning rate of a run is that of factor 1. Without roles the groups are returned as they are.
    """
    if not roles:
        return list(groups)
    split: list[dict[str, Any]] = []
    for group in groups:
        by_factors: dict[tuple[float, float], list[Tensor]] = {}
        for weights in group["params"]:
            role = roles.get(id(weights), WeightRole())
            by_factors.setdefault((role.learning_rate, role.weight_decay), []).append(weights)
        for (rate, decay), members in by_factors.items():
            changed = {
                "params": members,
                "weight_decay": group["weight_decay"] * decay,
                "lr": learning_rate * rate,
                FACTOR: rate,
            }
            split.append({**group, **changed})
    return split


class Freezing:
    """Keeps frozen weights and the statistics of frozen norms as they are.

    Frozen weights have no gradient, so no optimizer changes them or lets them decay. A norm whose
    weights are all frozen, or that lies in a module whose weights are, normalises by its statistics
    and does not measure them.

    Args:
        model: The model.
        roles: What is frozen.
        unfreeze_epoch: The first epoch, counted from 1, in which everything is trained; None
            keeps it frozen.
    """

    def __init__(self, model: nn.Module, roles: Roles, unfreeze_epoch: int | None = None) -> None:
        self._model = model
        self._unfreeze_epoch = unfreeze_epoch
        self._weights = [
            one
            for one in model.parameters()
            if one.requires_grad and roles.get(id(one), WeightRole()).frozen
        ]
        frozen = {id(one) for one in self._weights}
        still = {id(one) for one in model.parameters() if not one.requires_grad} | frozen
        self._norms = find_still_norms(model, still) if frozen else []
        self.is_frozen = False
        """Whether the frozen weights are frozen now."""

    @property
    def is_forever(self) -> bool:
        """Whether frozen weights are never trained."""
        return self._unfreeze_epoch is None

    def begin(self, epoch: int) -> None:
        """Put the model into training mode for an epoch, counted from 1."""
        self._model.train()
        if not self._weights:
            return
        self.is_frozen = self._unfreeze_epoch is None or epoch < self._unfreeze_epoch
        for weights in self._weights:
            weights.requires_grad_(not self.is_frozen)
        if self.is_frozen:
            for norm in self._norms:
                norm.eval()

    def without_frozen(self, norms: Sequence[BatchNorm]) -> list[BatchNorm]:
        """The norms whose statistics may be measured again now."""
        frozen = {id(one) for one in self._norms} if self.is_frozen else set()
        return [one for one in norms if id(one) not in frozen]


def find_still_norms(model: nn.Module, still: set[int]) -> list[BatchNorm]:
    """The norms with running statistics whose weights are all in `still`, a set of ids.

    A norm without weights counts as the smallest module around it that has some.
    """
    owners = {id(child): parent for parent in model.modules() for child in parent.children()}

    def is_still(module: nn.Module) -> bool:
        inside = [id(one) for one in module.parameters()]
        if inside or id(module) not in owners:
            return bool(inside) and still.issuperset(inside)
        return is_still(owners[id(module)])

    return [norm for norm in find_batch_norms(model) if is_still(norm)]
