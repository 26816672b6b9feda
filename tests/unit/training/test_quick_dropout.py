"""Masks of dropout that are drawn in less time are the masks that torch draws."""

import subprocess
import sys
import warnings

import pytest
import torch
from torch import Tensor, nn

from bakeoff.training import quick_dropout
from bakeoff.training.quick_dropout import FEWEST, draws_alike, dropout, torch_dropout

pytestmark = pytest.mark.skipif(not draws_alike(), reason="torch draws its masks with MKL here")

SHAPES = ((FEWEST,), (FEWEST - 1,), (30, 50), (4, 6, 8, 10))


def drawn(function, values: Tensor, rate: float) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, gradients and the state of the generator after them."""
    values = values.detach().requires_grad_()
    torch.manual_seed(7)
    found = function(values, rate)
    (gradients,) = torch.autograd.grad(found.square().sum(), values)
    return found, gradients, torch.get_rng_state()


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_gradients_and_generators_are_those_of_torch(shape, dtype, rate):
    values = torch.randn(shape).to(dtype)
    stored = [values, values.mT if values.ndim > 1 else values, values[..., ::2]]
    stored += [values.to(memory_format=torch.channels_last)] if values.ndim == 4 else []
    stored += [values[:1].expand(values.shape)]
    for one in stored:
        for found, expected in zip(
            drawn(dropout, one, rate), drawn(torch_dropout, one, rate), strict=True
        ):
            assert torch.equal(found, expected)
            assert found.stride() == expected.stride()
            assert found.dtype == expected.dtype


def test_evaluation_in_place_dropout_and_errors_are_those_of_torch():
    values = torch.ones(2 * FEWEST)
    assert dropout(values, 0.5, training=False) is values
    assert dropout(values, 0.5, inplace=True) is values
    assert (values == 0).any()
    with pytest.raises(ValueError, match="between 0 and 1"):
        dropout(values, 1.5)


def test_a_scripted_layer_and_a_mapped_one_work(monkeypatch):
    monkeypatch.setattr(nn.functional, "dropout", dropout)
    with pytest.warns(FutureWarning):
        scripted = torch.jit.script(nn.Dropout(0.3))
    values = torch.ones(2 * FEWEST)
    found, expected = (drawn(one, values, 0.3)[0] for one in (lambda x, _: scripted(x), dropout))
    assert torch.equal(found, expected)
    mapped = torch.vmap(nn.Dropout(0.5), randomness="different")(torch.ones(2, 2 * FEWEST))
    assert not torch.equal(*mapped)


def test_nested_tensors_and_rates_that_are_no_numbers_are_torchs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch may change them
        nested = torch.nested.nested_tensor([torch.ones(FEWEST), torch.ones(2 * FEWEST)])
    assert dropout(nested, 0.5).is_nested
    with pytest.raises(TypeError):
        dropout(torch.ones(FEWEST), nn.Parameter(torch.tensor(0.5)))


def test_a_traced_call_records_torchs_function(monkeypatch):
    monkeypatch.setattr(nn.functional, "dropout", dropout)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(nn.Dropout(0.5), torch.ones(2 * FEWEST), check_trace=False)
    assert "aten::dropout" in str(traced.graph)


def test_torchs_function_stays_where_it_draws_other_masks(monkeypatch):
    monkeypatch.setattr(nn.functional, "dropout", torch_dropout)
    monkeypatch.setattr(quick_dropout, "draws_alike", lambda: False)
    quick_dropout.draw_quickly()
    assert nn.functional.dropout is torch_dropout


def test_a_worker_draws_quickly_in_attention_too():
    script = (
        "import gc\n"
        "from bakeoff.engines.device_table import CPU\n"
        "from bakeoff.engines.processes import worker_settings\n"
        "from bakeoff.engines.worker import _set_up\n"
        "_set_up(worker_settings([CPU], threads=1))\n"
        "import torch\n"
        "from bakeoff.training.quick_dropout import dropout, torch_dropout\n"
        "assert torch.nn.functional.dropout is dropout\n"
        "assert gc.get_freeze_count() and gc.isenabled()\n"
        "attention = torch.nn.MultiheadAttention(16, 4, dropout=0.5)\n"
        "values = torch.randn(9, 30, 16)\n"
        "torch.manual_seed(1)\n"
        "found = attention(values, values, values)[0]\n"
        "torch.nn.functional.dropout = torch_dropout\n"
        "torch.manual_seed(1)\n"
        "assert torch.equal(found, attention(values, values, values)[0])\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
