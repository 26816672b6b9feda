"""The criterion of a pasted training program: the loss of a study as a call."""

from bakeoff.records import StudyConfig, TrainingConfig
from bakeoff.registry import is_reference
from bakeoff.report.pytorch_code import Use

TARGET_LOSSES = {
    "mse": "nn.MSELoss()",
    "l1": "nn.L1Loss()",
    "huber": "nn.HuberLoss(delta=HUBER_DELTA)",
}


def loss_call(config: StudyConfig, use: Use) -> str:
    """The criterion; each is a mean over the batch."""
    training, task = config.training, config.data.task
    module = "bakeoff.training.losses"
    if is_reference(training.loss):
        return _own_loss(config, use)
    if task == "multilabel":
        return _label_loss(training, use)
    if task == "regression":
        use("torch", "nn")
        use(module, "TargetLoss")
        if training.loss == "huber":
            use("bakeoff.data.targets", "HUBER_DELTA")
        return f"TargetLoss({TARGET_LOSSES[training.loss]})"
    smoothing = f"label_smoothing={training.label_smoothing!r}"
    smoothing = smoothing if training.label_smoothing else ""
    if task == "language":
        use(module, "TokenCrossEntropy")
        return f"TokenCrossEntropy({smoothing})"
    if task != "segmentation" and training.class_weights == "none" and not training.focal_gamma:
        use("torch", "nn")
        return f"nn.CrossEntropyLoss({smoothing})"
    function = "build_pixel_loss" if task == "segmentation" else "build_class_loss"
    use(module, function)
    use("bakeoff.records", "TrainingConfig")
    changed = [
        f"{name}={getattr(training, name)!r}"
        for name in ("class_weights", "focal_gamma", "label_smoothing")
        if getattr(training, name) != getattr(TrainingConfig(epochs=1), name)
    ]
    settings = f"TrainingConfig({', '.join(['epochs=epochs', *changed])})"
    return f"{function}({settings}, data.train, data.num_outputs)"


def _label_loss(training: TrainingConfig, use: Use) -> str:
    """Binary cross-entropy, with the positive weights of the study."""
    use("bakeoff.training.losses", "LabelLoss")
    if training.class_weights == "none":
        return "LabelLoss()"
    use("bakeoff.training.losses", "balanced_positives")
    return "LabelLoss(balanced_positives(data.train.labels[data.train.rows].cpu()))"


def _own_loss(config: StudyConfig, use: Use) -> str:
    """The user's loss, in the form in which the study called it."""
    use("bakeoff.training.own_loss", "build_own_loss")
    weights = ""
    if config.training.class_weights == "balanced":
        use("bakeoff.training.losses", "train_weights")
        weights = ", train_weights(data.train, data.num_outputs)"
    given = f"{config.training.loss!r}, {config.data.task!r}, data.num_outputs"
    return f"build_own_loss({given}{weights})"
