from collections.abc import Iterator

import pytest
import torch

from bakeoff.engines.protocol import Probed
from bakeoff.errors import UsageError
from bakeoff.session.measuring import _blame_model, _with_named_precision
from bakeoff.studyfile import resolve_study
from bakeoff.training.device import DeviceError, check_device, repeat_bits, set_matrix_precision
from bakeoff.training.precision import candidates_on, choose_precision, measure_precision
from run_examples import small_run
from study_examples import study_document


def test_cpu_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_settings: object) -> None:
        raise AssertionError

    monkeypatch.setattr(torch, "zeros", refuse)
    check_device("cpu")


def test_device_that_torch_does_not_know_is_named_with_the_reason() -> None:
    with pytest.raises(UsageError, match=r"device .hal9000. cannot be used here: .*nvalid device"):
        check_device("hal9000")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_device_that_is_missing_is_blamed_and_not_the_model() -> None:
    with pytest.raises(UsageError) as caught:
        check_device("cuda")
    message = _blame_model("mlp", str(caught.value))
    assert message.startswith("--device: device 'cuda' cannot be used here: ")
    assert "mlp" not in message


def test_a_device_is_called_as_the_user_calls_it() -> None:
    with pytest.raises(DeviceError, match=r"^device .cuda:3. cannot be used here: "):
        check_device("hal9000", "cuda:3")


@pytest.fixture
def restored_flags() -> Iterator[None]:
    cuda, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    benchmark = torch.backends.cudnn.benchmark
    fills = getattr(torch.utils.deterministic, "fill_uninitialized_memory")  # noqa: B009
    yield
    set_flags = torch.use_deterministic_algorithms
    set_flags(False)
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = cuda, cudnn
    torch.backends.cudnn.benchmark = benchmark
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", fills)  # noqa: B010


@pytest.mark.usefixtures("restored_flags")
def test_products_are_rounded_only_where_tf32_is_named() -> None:
    for precision, is_rounded in (("tf32", True), ("fp32", False), ("bf16", False)):
        set_matrix_precision(precision)
        assert torch.backends.cuda.matmul.allow_tf32 is is_rounded
        assert torch.backends.cudnn.allow_tf32 is is_rounded


@pytest.mark.usefixtures("restored_flags")
def test_a_gpu_repeats_its_bits_and_says_where_it_cannot() -> None:
    torch.backends.cudnn.benchmark = True
    repeat_bits()
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert torch.backends.cudnn.benchmark is False


def test_tf32_is_a_candidate_on_gpus_of_cuda_alone() -> None:
    assert candidates_on("cpu") == candidates_on("mps") == ("fp32", "bf16", "fp16")
    assert candidates_on("cuda") == ("fp32", "tf32", "bf16", "fp16")
    assert choose_precision({"fp32": 1.0, "tf32": 0.8, "bf16": 0.75}) == "tf32"
    assert choose_precision({"fp32": 1.0, "tf32": 0.95, "bf16": 0.5}) == "bf16"


def test_a_study_that_names_tf32_is_refused_without_a_gpu() -> None:
    found = measure_precision(small_run(precision="tf32"), "cpu")
    assert "tf32" not in found.seconds_per_step
    config = resolve_study(study_document(training={"precision": "tf32"}))
    probed = Probed(
        run="probe", precision=found.precision, seconds_per_step=found.seconds_per_step, reason=""
    )
    with pytest.raises(UsageError, match=r"'tf32' does not work here; what works: fp32, bf16"):
        _with_named_precision(probed, config)
