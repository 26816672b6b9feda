"""The description in a weights file, checked before anything in it becomes code or a file.

A weights file can come from anybody. Everything that an export writes into Python source has to
have the type and the form that is expected here.
"""

import json
import keyword
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from safetensors import SafetensorError, safe_open

from bakeoff.errors import BakeoffError, one_line
from bakeoff.registry import REFERENCE

DESCRIPTION_KEY = "bakeoff"
"""Key of the metadata of a weights file; see `bakeoff.training.weights_source`."""
WEIGHTS_FORMAT = 1
"""The newest format that is known; see `bakeoff.training.weights`."""
DTYPE = r"(u?int|float|bfloat|complex)[0-9]{1,3}|bool"
IMAGE_NDIM = 3
FILE_NAME = re.compile(r"[\w .+=@-]+")
"""File names that can stand in Python source as they are."""


def _check_reference(text: str) -> str:
    parts = re.split(r"[.:]", text)
    if not REFERENCE.fullmatch(text) or not all(map(str.isidentifier, parts)):
        raise ValueError("must be package.module:function")
    if any(map(keyword.iskeyword, parts)):
        raise ValueError("contains a word of the Python language")
    return text


Size = Annotated[int, Field(strict=True, ge=0, lt=1 << 40)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Arguments(_Part):
    num_outputs: Size


class _Feature(_Part):
    column: str
    value: str | None = None


class _Inputs(_Part):
    shape: Annotated[list[Size], Field(max_length=8)]
    dtype: Annotated[str, Field(pattern=f"^({DTYPE})$")]
    features: list[_Feature] | None = None
    tokenizer: str | None = None
    vocabulary: list[str] | None = None
    pattern: str | None = None
    pad_token: Size = 0


class _Data(_Part):
    dataset: str
    image_size: Size | None = None


class _Configuration(_Part):
    data: _Data


class _Description(_Part):
    format: Annotated[int, Field(strict=True, ge=1, le=WEIGHTS_FORMAT)]
    task: Literal["classification", "multilabel", "segmentation", "regression", "language"]
    build: Annotated[str, AfterValidator(_check_reference)]
    arguments: _Arguments
    class_names: list[str]
    own_state: dict[str, Any] = {}
    inputs: _Inputs
    configuration: _Configuration

    @model_validator(mode="after")
    def _check_agreement(self) -> Self:
        """Images have three axes, and a language model has a vocabulary."""
        is_folder = self.configuration.data.dataset.startswith("folder:")
        if is_folder and len(self.inputs.shape) != IMAGE_NDIM:
            raise ValueError("inputs.shape of images must be [C, H, W]")
        if self.task == "language" and not self.class_names:
            raise ValueError("class_names of a language model must hold its vocabulary")
        return self


def read_description(weights: Path) -> dict[str, Any]:
    """The description that is stored in a weights file.

    Raises:
        BakeoffError: The file is damaged, was not written by bakeoff, or describes something else
            than a network and its data, or a loop of the user's own built its network.
    """
    try:
        with safe_open(str(weights), framework="np") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise BakeoffError(f"{weights} cannot be read ({one_line(error)})") from None
    if DESCRIPTION_KEY not in metadata:
        raise BakeoffError(f"{weights} was not written by bakeoff: it contains no description")
    try:
        description: dict[str, Any] = json.loads(metadata[DESCRIPTION_KEY])
        _refuse_own_loop(weights, description)
        _Description.model_validate(description)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"])) or "it"
        reason = one_line(f"{place}: {problem['msg']}")
        raise BakeoffError(f"{weights}: the description cannot be used: {reason}") from None
    except (ValueError, RecursionError) as error:
        raise BakeoffError(
            f"{weights}: the description is not valid JSON ({one_line(error)})"
        ) from None
    return description


def _refuse_own_loop(weights: Path, description: object) -> None:
    if isinstance(description, dict) and "loop" in description:
        raise BakeoffError(
            f"{weights}: its network was built by a loop of yours, {one_line(description['loop'])},"
            " so no code can be written that builds it; the file has the weights, and"
            " safetensors.torch.load_file reads them"
        )
