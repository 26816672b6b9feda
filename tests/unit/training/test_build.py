import pytest
import torch
from torch import nn

from bakeoff.errors import UsageError
from bakeoff.training.build import (
    build_augment,
    build_optimizer,
    check_augment,
)
from bakeoff.training.weight_kinds import hidden_weights, parameter_groups
from run_examples import network, settings

CPU = torch.device("cpu")


# ---------------------------------------------------------------- optimizers


def test_muons_defaults_are_those_of_torch() -> None:
    theirs = settings(torch.optim.Muon([nn.Parameter(torch.zeros(2, 2))]))
    ours = build_optimizer("muon", network(), {}, CPU).param_groups[0]
    shared = ("lr", "momentum", "weight_decay")
    assert {key: ours[key] for key in shared} == {key: theirs[key] for key in shared}


def test_value_that_torch_refuses_is_reported_in_one_line() -> None:
    with pytest.raises(UsageError, match="optimizer 'adam': Invalid learning rate: -1"):
        build_optimizer("adam", network(), {"learning_rate": -1.0}, CPU)


def test_group_without_weights_is_left_out() -> None:
    assert len(parameter_groups(nn.Linear(2, 2, bias=False), 0.1)) == 1


@pytest.mark.parametrize("name", ["Lion", "AdaBelief", "SOAP"])
def test_optimizer_of_the_package_is_built_by_name(name: str) -> None:
    params = {"learning_rate": 0.0123, "weight_decay": 0.0321}
    optimizer = build_optimizer(f"pytorch_optimizer:{name}", network(), params, CPU)
    decays = [group["weight_decay"] for group in optimizer.param_groups]
    assert (type(optimizer).__name__, settings(optimizer)["lr"]) == (name, 0.0123)
    assert decays == [0.0321, 0.0]


def test_weight_decay_of_an_optimizer_without_one_is_refused() -> None:
    with pytest.raises(UsageError, match="has no weight decay; set weight_decay = 0"):
        build_optimizer("pytorch_optimizer:SM3", network(), {"weight_decay": 0.1}, CPU)


def test_optimizer_without_weight_decay_is_built_without_it() -> None:
    optimizer = build_optimizer("pytorch_optimizer:SM3", network(), {"weight_decay": 0.0}, CPU)
    assert type(optimizer).__name__ == "SM3"


def test_hidden_weights_lie_between_embedding_and_output_layer() -> None:
    model = nn.Sequential(
        nn.Embedding(9, 4), nn.Linear(4, 5), nn.Conv1d(5, 6, 3), nn.LayerNorm(6), nn.Linear(6, 2)
    )
    hidden = hidden_weights(model)
    names = [name for name, weights in model.named_parameters() if id(weights) in hidden]
    assert names == ["1.weight", "2.weight"]


class HeadFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.a, self.b = nn.Linear(32, 10), nn.Linear(64, 32), nn.Linear(32, 32)


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(64, 32), nn.Linear(32, 32)
        self.aux, self.head = nn.Linear(32, 10), nn.Linear(32, 10)


class TiedOutput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 32)
        self.a, self.b = nn.Linear(32, 64), nn.Linear(64, 32)
        self.out = nn.Linear(32, 50, bias=False)
        self.out.weight = self.table.weight


class Attention(nn.Module):
    """Blocks with a joint layer of queries, keys and values, whose output no layer takes."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(32, 10)
        self.class_token = nn.Parameter(torch.zeros(1, 1, 32))
        self.pos_embed = nn.Parameter(torch.zeros(1, 9, 32))
        self.qkv = nn.ModuleList(nn.Linear(32, 96) for _ in range(3))
        self.proj = nn.ModuleList(nn.Linear(32, 32) for _ in range(3))
        self.scale = nn.Parameter(torch.ones(32, 1, 1))
        self.norm = nn.LayerNorm([4, 32])
        self.own = OwnLayer()


class OwnLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(32, 32))


class NamesItsOwn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.table = nn.Linear(4, 4), nn.Embedding(5, 4)

    def no_weight_decay(self) -> set[str]:
        return {"table.weight", "gone"}


def names_of(model: nn.Module, ids: set[int]) -> set[str]:
    return {name for name, weights in model.named_parameters() if id(weights) in ids}


@pytest.mark.parametrize(
    ("model", "hidden"),
    [
        (HeadFirst(), {"a.weight", "b.weight"}),
        (TwoHeads(), {"a.weight", "b.weight"}),
        (TiedOutput(), {"a.weight", "b.weight"}),
        (
            Attention(),
            {*(f"{part}.{i}.weight" for part in ("qkv", "proj") for i in range(3)), "own.weight"},
        ),
        (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), {"0.weight"}),
    ],
    ids=["head first", "two heads", "tied", "attention", "equal sizes"],
)
def test_hidden_weights_are_found_wherever_the_output_layer_was_registered(
    model: nn.Module, hidden: set[str]
) -> None:
    assert names_of(model, hidden_weights(model)) == hidden


def test_scales_tokens_positions_and_norms_do_not_decay() -> None:
    model = Attention()
    spared = {id(one) for one in parameter_groups(model, 0.1)[1]["params"]}
    biases = {name for name, _ in model.named_parameters() if name.endswith("bias")}
    assert names_of(model, spared) - biases == {"class_token", "pos_embed", "scale", "norm.weight"}


def test_weights_that_the_model_names_do_not_decay() -> None:
    model = NamesItsOwn()
    decaying = {id(one) for one in parameter_groups(model, 0.1)[0]["params"]}
    assert names_of(model, decaying) == {"a.weight"}


def test_model_without_hidden_weights_is_refused_where_they_are_needed() -> None:
    with pytest.raises(UsageError, match="'muon' is for hidden weights of two or more dimensions"):
        build_optimizer("muon", nn.Linear(4, 2), {}, CPU)


# ---------------------------------------------------------------- augmentation


def augmented(positions: torch.Tensor, *, seed: int = 0, epoch: int = 1) -> torch.Tensor:
    images = torch.arange(50 * 64, dtype=torch.float32).reshape(50, 1, 8, 8)
    augment = build_augment(
        ("flip", "translate"), num_samples=50, seed=seed, epoch=epoch, device=CPU
    )
    assert augment is not None
    return augment(images[positions], positions)


def test_augmentation_depends_on_the_sample_not_on_its_batch() -> None:
    order = torch.randperm(50, generator=torch.Generator().manual_seed(3))
    assert torch.equal(augmented(torch.arange(50))[order], augmented(order))


@pytest.mark.parametrize("changed", [{"seed": 1}, {"epoch": 2}])
def test_augmentation_changes_with_seed_and_epoch(changed: dict[str, int]) -> None:
    positions = torch.arange(50)
    assert not torch.equal(augmented(positions), augmented(positions, **changed))


def test_no_augmentation_is_none() -> None:
    assert build_augment((), num_samples=5, seed=0, epoch=1, device=CPU) is None


def test_augmentation_of_rows_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'flip' needs images of shape \[C, H, W\]"):
        check_augment(("flip",), (64,))
