"""The parts of a study that are the user's own code, by the key that names each."""

from collections.abc import Iterator

from bakeoff.components.package_models import find_package
from bakeoff.data.dataset_table import FUNCTION, find_source
from bakeoff.records import StudyConfig
from bakeoff.registry import is_reference


def own_parts(config: StudyConfig) -> Iterator[tuple[str, str]]:
    """The keys of a study file whose value refers to code of the user's, and the references.

    Raises:
        UsageError: The data set is unknown.
    """
    if is_reference(config.training.loss):
        yield "training.loss", config.training.loss
    if is_reference(config.model) and find_package(config.model) is None:
        yield "model.model", config.model
    if find_source(config.data.dataset) is FUNCTION:
        yield "data.dataset", config.data.dataset
