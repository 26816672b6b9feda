"""The lines of a training program that load pretrained weights, and freeze or slow some of them."""

from collections.abc import Iterator

from bakeoff.records import FinetuneConfig, StudyConfig
from bakeoff.report.pytorch_code import Use, arguments, call


def has_roles(finetune: FinetuneConfig) -> bool:
    """Whether weights are treated differently: frozen, or with factors of their own."""
    return finetune.freeze != "none" or finetune.scales_rates


def source_lines(config: StudyConfig, use: Use) -> Iterator[str]:
    """Find the weights, before the data is read, which may be normalised as they ask."""
    if config.finetune.pretrained:
        use("bakeoff.training.weights_source", "find_weights")
        yield f"weights = find_weights({config.model!r}, {config.finetune.pretrained!r})"


def model_lines(config: StudyConfig, use: Use) -> Iterator[str]:
    """Load the weights into `model`, and freeze what is never trained."""
    finetune = config.finetune
    if finetune.pretrained:
        use("bakeoff.training.pretrained", "load_pretrained")
        yield "fresh = load_pretrained(model, weights, data.num_outputs)"
    if has_roles(finetune):
        use("bakeoff.records", "FinetuneConfig")
        use("bakeoff.training.weight_roles", "Freezing", "find_roles")
        yield call("finetune = FinetuneConfig", arguments(finetune))
        given = ", fresh" if finetune.pretrained else ""
        yield f"roles = find_roles(model, finetune, data.num_outputs{given})"
        yield "freezing = Freezing(model, roles, finetune.unfreeze_epoch)"
