"""The augmentations: random changes of training images, drawn again for every sample and epoch."""

from dataclasses import dataclass

from bakeoff.registry import Registry


@dataclass(frozen=True, kw_only=True)
class AugmentationSpec:
    """One augmentation."""

    name: str
    description: str
    apply: str
    """Reference to a function of images [N, C, H, W] and draws [N, num_draws] from [0, 1)."""
    apply_to_masks: str | None
    """The same of masks [N, H, W], with the same draws; None if it moves no pixel."""
    num_draws: int
    """Random numbers per sample. They depend only on the seed, the epoch and the sample."""
    source: str


AUGMENTATIONS: Registry[AugmentationSpec] = Registry(
    "augmentation",
    (
        AugmentationSpec(
            name="flip",
            description="Mirrored left to right, for every second image",
            apply="bakeoff.training.augmentation_functions:flip",
            apply_to_masks="bakeoff.training.augmentation_functions:flip_masks",
            num_draws=1,
            source="He et al. 2015, arXiv:1512.03385, section 4.2",
        ),
        AugmentationSpec(
            name="translate",
            description="Shifted by up to an eighth of the side, zeros coming in"
            " (32 pixels padded by 4 and cropped)",
            apply="bakeoff.training.augmentation_functions:translate",
            apply_to_masks="bakeoff.training.augmentation_functions:translate_masks",
            num_draws=2,
            source="He et al. 2015, arXiv:1512.03385, section 4.2: 4 of 32 pixels",
        ),
        AugmentationSpec(
            name="crop",
            description="A part of at least half the area, somewhat stretched, as large as before",
            apply="bakeoff.training.augmentation_functions:crop",
            apply_to_masks="bakeoff.training.augmentation_functions:crop_masks",
            num_draws=4,
            source="Szegedy et al. 2015, arXiv:1409.4842, section 6; from 0.5 instead of 0.08 of"
            " the area, because small images have little content",
        ),
        AugmentationSpec(
            name="cutout",
            description="A square of half the side painted over with the image's mean",
            apply="bakeoff.training.augmentation_functions:cutout",
            apply_to_masks=None,
            num_draws=2,
            source="DeVries and Taylor 2017, arXiv:1708.04552: 16 of 32 pixels",
        ),
    ),
)
