"""A torch data set as many have it: PNG files that are decoded, cropped and flipped one by one."""

import io
from typing import Any

from PIL import Image
from sklearn.datasets import load_digits
from torch.utils.data import Dataset
from torchvision.transforms import v2

PIXELS = 64


class Pictures(Dataset[Any]):
    """The digits of scikit-learn, enlarged, as PNG files in memory."""

    def __init__(self) -> None:
        images, self.targets = load_digits(return_X_y=True)
        self.files = [_png(image.reshape(8, 8)) for image in images]
        self.transform = v2.Compose(
            [v2.PILToTensor(), v2.RandomHorizontalFlip(), v2.RandomCrop(PIXELS, padding=4)]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> tuple[Any, int]:
        with Image.open(io.BytesIO(self.files[row])) as image:
            return self.transform(image), int(self.targets[row])


def _png(image: Any) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray((image * 15).astype("uint8")).convert("RGB")
    picture.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def build() -> Pictures:
    """What the study file names as `pictures:build`."""
    return Pictures()
