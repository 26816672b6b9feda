import pytest
import torch

from bakeoff.errors import UsageError
from bakeoff.session.measuring import _blame_model
from bakeoff.training.device import check_device


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
