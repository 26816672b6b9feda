"""The augmentations: random changes of training images, drawn anew for every sample and epoch."""

from dataclasses import dataclass

from bakeoff.registry import Registry


@dataclass(frozen=True, kw_only=True)
class AugmentationSpec:
    """One augmentation."""

    name: str
    description: str
    apply: str
    """Reference to a function of images [N, C, H, W] and draws [N, num_draws] from [0, 1)."""
    num_draws: int
    """Random numbers that one sample needs. They depend only on seed, epoch and sample."""
    source: str


AUGMENTATIONS: Registry[AugmentationSpec] = Registry(
    "augmentation",
    (
        AugmentationSpec(
            name="flip",
            description="Mirrored left to right, for every second image",
            apply="bakeoff.components.augmentation_functions:flip",
            num_draws=1,
            source="He et al. 2015, arXiv:1512.03385, section 4.2",
        ),
        AugmentationSpec(
            name="translate",
            description="Shifted by up to an eighth of the side, zeros coming in",
            apply="bakeoff.components.augmentation_functions:translate",
            num_draws=2,
            source="He et al. 2015, arXiv:1512.03385, section 4.2: 4 of 32 pixels",
        ),
    ),
)
