"""Every model gives the outputs of its task for every kind of input that it accepts."""

import pytest
import torch
from torch import nn

from bakeoff.components.models import MODELS
from bakeoff.data.inputs import InputKind
from bakeoff.errors import UsageError
from bakeoff.networks.sequence import Attention
from bakeoff.ranges import ParamValue
from bakeoff.records import Task
from bakeoff.training.build import build_model

SHAPES: dict[InputKind, tuple[int, ...]] = {
    "features": (5,), "codes": (5,), "rows": (6, 4), "image": (3, 9, 12), "tokens": (11,), "text": (11,),
}  # fmt: skip
CODES = ((1, 4), (4, 9))
PIXELS = [spec.name for spec in MODELS if spec.outputs == "pixels"]
CELLS = [(spec.name, kind) for spec in MODELS for kind in spec.inputs]


def build(name: str, kind: InputKind, **params: ParamValue) -> nn.Module:
    task: Task = "language" if kind == "tokens" else "classification"
    task = "segmentation" if name in PIXELS else task
    codes = CODES if kind == "codes" else None
    return build_model(
        name, params, input_shape=SHAPES[kind], num_outputs=7, task=task, categories=codes,
        is_text=kind == "text", vocabulary=tuple("abcdefg") if kind == "text" else (),
    )  # fmt: skip


def some_samples(kind: InputKind, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    if kind in ("tokens", "text"):
        return torch.randint(0, 7, (4, *SHAPES[kind]), generator=generator)
    if kind == "codes":
        samples = torch.randn(4, *SHAPES[kind], generator=generator)
        for place, count in CODES:
            samples[:, place] = torch.randint(0, count, (4,), generator=generator)
        return samples
    return torch.randn(4, *SHAPES[kind], generator=generator)


@pytest.mark.parametrize(("name", "kind"), CELLS, ids=lambda value: value)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_registered_model_gives_outputs_and_every_weight_a_gradient(
    name: str, kind: InputKind, dropout: float
) -> None:
    model = build(name, kind, dropout=dropout).train()
    outputs = model(some_samples(kind))
    outputs.square().sum().backward()  # type: ignore[no-untyped-call]
    expected = (4, 11, 7) if kind == "tokens" else (4, 7)
    assert outputs.shape == ((4, 7, 9, 12) if name in PIXELS else expected)
    assert all(weights.grad is not None for weights in model.parameters())


@pytest.mark.parametrize("name", MODELS.names)
def test_same_seed_gives_the_same_weights(name: str) -> None:
    models = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        shape = SHAPES["features"] if name == "tabular_mlp" else (1, 8, 8)
        task: Task = "segmentation" if name in PIXELS else "classification"
        models.append(build_model(name, {}, input_shape=shape, num_outputs=10, task=task))
    first, again, other = (
        torch.cat([weights.flatten() for weights in model.parameters()]) for model in models
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", [spec.name for spec in MODELS if "tokens" in spec.inputs])
def test_language_model_does_not_look_ahead(name: str) -> None:
    model, tokens = build(name, "tokens").eval(), some_samples("tokens")
    changed = tokens.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % 7
    before, after = model(tokens), model(changed)
    assert torch.allclose(before[:, :6], after[:, :6], atol=1e-6)
    assert not torch.allclose(before[:, 6:], after[:, 6:], atol=1e-6)


@pytest.mark.parametrize("name", [spec.name for spec in MODELS if "tokens" in spec.inputs])
def test_order_of_the_rows_matters(name: str) -> None:
    model, rows = build(name, "rows").eval(), some_samples("rows")
    assert not torch.allclose(model(rows), model(rows.flip(1)), atol=1e-6)


@pytest.mark.parametrize("name", [spec.name for spec in MODELS if "tokens" in spec.inputs])
def test_image_is_read_row_by_row(name: str) -> None:
    images = some_samples("image")
    torch.manual_seed(0)
    of_images = build(name, "image").eval()
    torch.manual_seed(0)
    of_rows = build_model(name, {}, input_shape=(9, 36), num_outputs=7).eval()
    rows = torch.stack([images[:, :, row].flatten(1) for row in range(9)], dim=1)
    assert torch.equal(of_images(images), of_rows(rows))


def test_attention_equals_that_of_torch() -> None:
    torch.manual_seed(0)
    ours = Attention(8, 2, 0.0, is_causal=True)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.load_state_dict({
        "in_proj_weight": ours.projections.weight, "in_proj_bias": ours.projections.bias,
        "out_proj.weight": ours.into_stream.weight, "out_proj.bias": ours.into_stream.bias,
    })  # fmt: skip
    states = torch.randn(3, 5, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    expected, _ = theirs(states, states, states, attn_mask=mask, need_weights=False)
    assert torch.allclose(ours(states), expected, atol=1e-6)


def test_width_of_a_transformer_must_be_a_multiple_of_its_heads() -> None:
    with pytest.raises(UsageError, match=r"model.width = 50 must be a multiple of model.heads = 4"):
        build("transformer", "rows", width=50)


def test_resnet8_has_eight_layers_with_weights_and_halves_the_sides_twice() -> None:
    model = build("resnet8", "image")
    layers = [one for one in model.modules() if isinstance(one, (nn.Conv2d, nn.Linear))]
    shortcuts = [one for one in layers if getattr(one, "kernel_size", None) == (1, 1)]
    assert (len(layers), len(shortcuts)) == (8 + 2, 2)
    assert model[:6](torch.randn(1, 3, 32, 32)).shape == (1, 64, 8, 8)  # type: ignore[index]


def test_model_parameters_shape_the_network() -> None:
    params = {"width": 24, "depth": 3, "dropout": 0.25}
    model = build_model("mlp", params, input_shape=(64,), num_outputs=10)
    widths = [layer.out_features for layer in model if isinstance(layer, nn.Linear)]  # type: ignore[attr-defined]
    drops = [layer.p for layer in model if isinstance(layer, nn.Dropout)]  # type: ignore[attr-defined]
    assert (widths, drops) == ([24, 24, 24, 10], [0.25] * 3)


def test_trying_a_model_does_not_change_its_statistics() -> None:
    model = build_model("cnn", {}, input_shape=(1, 8, 8), num_outputs=10)
    assert int(model[1].num_batches_tracked) == 0  # type: ignore[index,union-attr,arg-type]


def test_image_model_given_rows_says_that_grey_images_need_a_channel() -> None:
    with pytest.raises(UsageError, match=r"cannot take rows \[T, F\]; .* need their channel"):
        build_model("cnn", {}, input_shape=(28, 28), num_outputs=10)


def test_model_for_images_refuses_rows() -> None:
    with pytest.raises(UsageError, match=r"'cnn' cannot take features \[F\]; it takes image"):
        build_model("cnn", {}, input_shape=(64,), num_outputs=10)
