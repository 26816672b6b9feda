"""A chosen configuration as a whole training program, with everything that the study's runs used.

The optimizer, the schedule and the loop are plain PyTorch. The data, its split, registered networks
and whatever torch does not have (mixing, weighted sampling, the metrics) come from this package.
"""

import os
import textwrap
import tomllib
from collections.abc import Iterator, Sequence

from bakeoff.components.metrics import find_metric
from bakeoff.components.models import find_model
from bakeoff.components.optimizers import find_optimizer
from bakeoff.components.parameters import complete_params
from bakeoff.data.own_tokens import PATTERNS
from bakeoff.errors import BakeoffError
from bakeoff.own_source import code_files, folders_of
from bakeoff.ranges import Params, owned_params
from bakeoff.records import StudyConfig, StudyRecord
from bakeoff.registry import is_reference
from bakeoff.report.figures.style import printable
from bakeoff.report.finetuning_lines import has_roles, model_lines, source_lines
from bakeoff.report.loss_call import loss_call
from bakeoff.report.one_run_file import study_file_toml
from bakeoff.report.pytorch_code import MAX_LINE, arguments, call, chosen_lines
from bakeoff.seeding import derive_seed
from bakeoff.studyfile import resolve_stored
from bakeoff.studyfile.own_parts import own_modules

AUTOCAST = {"bf16": "torch.bfloat16", "fp16": "torch.float16"}
EVALUATED = 1024
"""Samples of a batch in evaluation."""
STATISTICS_BATCHES = 50
"""Batches on which batch normalisation is measured again for an optimizer that averages weights, as
in `bakeoff.training.evaluation`."""
OWN_MODULES = """\
import os
import sys

sys.path += [{folders}os.getcwd()]  # for modules of your own, as the study found them

"""
STEPPING = ("# step it ", "# call scheduler", "# and scheduler")
"""Comments on when to step a schedule, which the loop shows."""


def training_script(params: Params, study: StudyRecord, arm: str = "") -> str:
    """A program that trains one configuration as the study did; run or paste it as it is.

    It is empty where the study's file is not known, or names something that is not known here.

    Args:
        params: The configuration, by full parameter name.
        study: The study that found it.
        arm: The arm that it belongs to; it matters where the study names its arms.
    """
    if study.foreign or not study.study_file:
        return ""
    try:
        config = resolve_stored(tomllib.loads(study_file_toml(params, study.study_file, arm)))
        # A loop of the user's own is a program already.
        return "" if config.training.loop else _Script(params, study, config).text()
    except (BakeoffError, tomllib.TOMLDecodeError):
        return ""


class _Script:
    """The parts of one program; each part collects the imports that it needs."""

    def __init__(self, params: Params, study: StudyRecord, config: StudyConfig) -> None:
        self.params, self.study, self.config = params, study, config
        self.training = config.training
        self.model = find_model(config.model)
        self.optimizer = find_optimizer(str(params["optimizer"]))
        self.metric = find_metric(config.objective, config.data.task, config.metrics)
        recorded = study.environment.get("precision", "").partition(":")[0]
        named = self.training.precision
        self.precision = recorded if named == "auto" else named
        self._has_roles = has_roles(config.finetune)
        self.lines = chosen_lines(params, study, has_roles=config.finetune.scales_rates)
        self.modules = {"torch"}
        self.names: dict[str, set[str]] = {}

    def text(self) -> str:
        """The whole program."""
        body = "\n\n".join(
            textwrap.indent("\n".join(part), "    ").rstrip()
            for part in (
                self._beginning(),
                self._chosen(),
                self._preparation(),
                self._evaluation(),
                [*self._epochs(), "return model"],
            )
        )
        trained = f"study {self.study.name}, {self.params['optimizer']}"
        names = printable(trained).replace("\\", "/").replace('"', "'")
        return (
            f'"""Trains a configuration of {names}."""\n\n'
            f"{self._own_modules()}{self._import_lines()}\n\n\ndef train():\n{body}\n\n\n"
            'if __name__ == "__main__":\n    model = train()\n'
        )

    def _own_modules(self) -> str:
        """Lets a program that is run from its file import what lies next to the study."""
        modules = own_modules(self.config)
        found = folders_of(modules, code_files(self.study.environment))
        folders = "".join(f"{one!r}, " for one in found if one != os.curdir)
        return OWN_MODULES.format(folders=folders) if modules else ""

    def _import_lines(self) -> str:
        """Standard library, torch, then the rest, each in alphabetical order."""
        groups: dict[int, list[str]] = {}
        for module in sorted(self.modules | self.names.keys()):
            place = {"math": 0, "itertools": 0, "copy": 0, "torch": 1}.get(module.split(".")[0], 2)
            lines = groups.setdefault(place, [])
            lines += [f"import {module}"] if module in self.modules else []
            if names := sorted(self.names.get(module, ())):
                line = f"from {module} import {', '.join(names)}"
                broken = "".join(f"    {name},\n" for name in names)
                is_short = len(line) <= MAX_LINE
                lines.append(line if is_short else f"from {module} import (\n{broken})")
        return "\n\n".join("\n".join(groups[place]) for place in sorted(groups))

    def _use(self, module: str, *names: str) -> None:
        self.names.setdefault(module, set()).update(names)

    def _beginning(self) -> Iterator[str]:
        """Device, data, network, and the length of the run."""
        self._use("bakeoff.records", "DataConfig")
        self._use("bakeoff.training.batches", "load_splits", "num_drawn", "steps_per_epoch")
        training = self.training
        yield 'device = torch.device("cuda" if torch.cuda.is_available() else "cpu")'
        if self.precision == "tf32":
            yield 'torch.set_float32_matmul_precision("high")'
            yield "torch.backends.cudnn.allow_tf32 = True"
        sizes = f"{training.epochs}, {training.batch_size}, {training.accumulation_steps}"
        yield f"epochs, batch_size, accumulation_steps = {sizes}"
        if training.devices_per_trial > 1:
            yield f"# the study trained on {training.devices_per_trial} devices, this does on one"
        yield "torch.manual_seed(0)"
        yield ""
        yield "# the study's own data: for other data, replace what is called `data` below"
        seed = derive_seed(self.config.seed, "split")
        given = ["config", f"split_seed={seed}", "device=device"]
        given += ["channels_last=True"] if self.model.channels_last else []
        yield from source_lines(self.config, self._use)
        given += ["scale=weights.scale"] if self.config.finetune.pretrained else []
        yield call("config = DataConfig", arguments(self.config.data))
        yield call("data = load_splits", given)
        yield from self._network()
        sizes = "len(data.train), batch_size, accumulation_steps"
        yield f"total_steps = epochs * steps_per_epoch({sizes})"

    def _network(self) -> Iterator[str]:
        module, _, function = self.model.build.partition(":")
        self._use(module, function.partition(".")[0])
        given = {**self.config.model_params, **owned_params(self.params, "model")}
        if self.model.parameters is not None:
            given = complete_params(f"model {self.model.name}", self.model.parameters, given)
        named = ["input_shape=data.input_shape", "num_outputs=data.num_outputs"]
        if self.config.data.tokenizer in PATTERNS:
            named.append("num_tokens=len(data.vocabulary)")
        named += ["categories=data.categories"] if self.config.data.categories else []
        named += [f"{key}={value!r}" for key, value in {**self.model.fixed, **given}.items()]
        yield call(f"model = {function}", named)
        yield from model_lines(self.config, self._use)
        layout = (
            "device, memory_format=torch.channels_last" if self.model.channels_last else "device"
        )
        yield f"model = model.to({layout})"
        if self.model.parameters is None and not self.model.channels_last:
            self._use("bakeoff.training.memory_layout", "store_channels_last")
            yield "store_channels_last(model, data.input_shape)"
        if self._has_roles and self.config.finetune.unfreeze_epoch is None:
            yield "freezing.begin(1)  # the optimizer never has what is frozen"

    def _chosen(self) -> Iterator[str]:
        """The optimizer and the schedule."""
        if "math." in self.lines.schedule:
            self.modules.add("math")
        for part in (self.lines.optimizer, "", self.lines.schedule):
            has_begun = not part
            for line in part.split("\n"):
                if line.startswith("import "):
                    self.modules.add(line.removeprefix("import "))
                elif line.startswith("from "):
                    module, _, names = line.removeprefix("from ").partition(" import ")
                    self._use(module, *names.split(", "))
                elif not line.startswith(STEPPING) and (line or has_begun):
                    has_begun = True
                    yield line

    def _preparation(self) -> Iterator[str]:
        """The loss, and what the loop keeps."""
        yield f"criterion = {loss_call(self.config, self._use)}.to(device)"
        if self.precision == "fp16":
            yield "scaler = torch.amp.GradScaler(device.type)"
        if self.training.ema_decay:
            self._use("bakeoff.training.averaging", "WeightAverage")
            yield f"average = WeightAverage(model, {self.training.ema_decay!r})"
        if self._keeps_best:
            self._use("copy", "deepcopy")
            worst = "-inf" if self.metric.info.sign > 0 else "inf"
            yield f'best_score, best_epoch = float("{worst}"), 0'
            yield "best_weights = deepcopy(model.state_dict())"

    @property
    def _keeps_best(self) -> bool:
        patience = self.training.early_stopping_patience
        return self.config.score_rule == "best_epoch" or patience is not None

    def _evaluation(self) -> Iterator[str]:
        if self.metric.name in self.config.metrics:
            function = "metric"
            yield from self._own_metric()
        else:
            module, _, function = self.metric.compute.partition(":")
            self._use(module, function)
        self._use("bakeoff.training.metric_functions", "no_predictions")
        task = self.config.data.task
        deviation = ", data.target_scale.error_unit" if task == "regression" else ""
        yield "def evaluate(split):"
        yield f'    """The study\'s objective, {self.metric.info.name}."""'
        yield "    model.eval()"
        yield f"    found = no_predictions({task!r}, criterion{deviation})"
        if self.metric.name in self.config.metrics:
            yield "    metric.follow(found)"
        yield f"    with {', '.join(['torch.no_grad()', *self._autocast()])}:"
        yield f"        for inputs, labels in split.batches({EVALUATED}):"
        yield "            found.add(model(inputs), labels)"
        yield f"    return {function}(found).item()"

    def _own_metric(self) -> Iterator[str]:
        """The user's metric, in the form in which the study called it."""
        self._use("bakeoff.training.own_metric", "build_own_metric")
        given = [repr(self.metric.name), repr(self.config.data.task), "data.num_outputs"]
        yield call("metric = build_own_metric", [*given, "data.target_scale"])
        yield ""

    def _autocast(self) -> list[str]:
        """The context of every forward pass; empty in full precision."""
        dtype = AUTOCAST.get(self.precision)
        return [f"torch.autocast(device.type, dtype={dtype})"] if dtype else []

    def _epochs(self) -> Iterator[str]:
        """The loop over epochs: train, evaluate, step what is stepped once an epoch."""
        yield "for epoch in range(1, epochs + 1):"
        yield from _indented(self._training_epoch())
        yield from _indented(self._end_of_epoch())
        if self.config.score_rule == "best_epoch":
            yield "model.load_state_dict(best_weights)"
        yield "# evaluate(data.test) once, when every choice has been made"

    def _training_epoch(self) -> Iterator[str]:
        yield "freezing.begin(epoch)" if self._has_roles else "model.train()"
        if self.optimizer.averages:
            yield "optimizer.train()"
        if self.training.ema_decay:
            yield "average.swap_out()"
        yield from self._batches()
        if self.training.accumulation_steps == 1:
            yield "for inputs, labels in batches:"
            yield from _indented(self._backward(""))
        else:
            self._use("itertools", "islice")
            yield "while group := list(islice(batches, accumulation_steps)):"
            yield "    num_samples = sum(len(labels) for _, labels in group)"
            yield "    for inputs, labels in group:"
            yield from _indented(_indented(self._backward(" * (len(labels) / num_samples)")))
        yield from _indented(self._step())

    def _batches(self) -> Iterator[str]:
        """Batches in a new random order; a last batch of one sample is left out."""
        training, augment = self.training, self.config.data.augment
        sent = ["batch_size", "order"]
        yield "num_samples = num_drawn(len(data.train), batch_size)"
        if training.sampling == "weighted":
            self._use("bakeoff.training.epoch_batches", "weighted_order")
            yield "order = weighted_order(data.train, num_samples, 0, epoch).to(device)"
        else:
            yield "order = torch.randperm(len(data.train))[:num_samples].to(device)"
        if augment:
            self._use("bakeoff.training.build", "build_augment")
            given = [repr(augment), "num_samples=len(data.train)", "seed=0", "epoch=epoch"]
            given += ["device=device"]
            given += ["batch_size=batch_size"] if any(map(is_reference, augment)) else []
            yield call("augment = build_augment", given)
            sent += ["augment", "draws=torch.arange(len(order), device=device)"]
            if self.config.data.task == "segmentation":
                self._use("bakeoff.training.build", "build_mask_augment")
                yield call("mask_augment = build_mask_augment", given)
                sent += ["mask_augment=mask_augment"]
        yield f"batches = data.train.batches({', '.join([*sent, 'seed=epoch'])})"
        if training.mixup_alpha or training.cutmix_alpha:
            self._use("bakeoff.training.epoch_batches", "MixDraws")
            self._use("bakeoff.training.epoch_batches", "mix_batches")
            self._use("bakeoff.records", "TrainingConfig")
            alphas = [
                f"{name}={getattr(training, name)!r}" for name in ("mixup_alpha", "cutmix_alpha")
            ]
            yield f"mixing = TrainingConfig(epochs=epochs, {', '.join(alphas)})"
            yield "draws = MixDraws(mixing, seed=0, epoch=epoch)"
            yield call(
                "batches = mix_batches", ["batches", "draws", "num_classes=data.num_outputs"]
            )

    def _backward(self, share: str) -> Iterator[str]:
        """The gradient of one batch, times its share of the step."""
        loss = f"batch_loss = criterion(model(inputs), labels){share}"
        contexts = self._autocast()
        if contexts:
            yield f"with {contexts[0]}:"
        yield f"{'    ' if contexts else ''}{loss}"
        scaled = "scaler.scale(batch_loss)" if self.precision == "fp16" else "batch_loss"
        yield f"{scaled}.backward()"

    def _step(self) -> Iterator[str]:
        """Clip, step, and advance what follows each step."""
        training = self.training
        scaled = self.precision == "fp16"
        if scaled:
            yield "scaler.unscale_(optimizer)"
        utils = "torch.nn.utils"
        if training.clip_grad_norm is not None:
            yield f"{utils}.clip_grad_norm_(model.parameters(), {training.clip_grad_norm!r})"
        if training.clip_grad_value is not None:
            yield f"{utils}.clip_grad_value_(model.parameters(), {training.clip_grad_value!r})"
        if scaled:
            yield "scaler.step(optimizer)"
            yield "scaler.update()"
        else:
            yield "optimizer.step()"
        yield "optimizer.zero_grad()"
        if self.lines.each_step:
            yield self.lines.each_step
        if training.ema_decay:
            yield "average.update()"

    def _end_of_epoch(self) -> Iterator[str]:
        """Evaluate, keep the best weights, step a schedule that follows the score, stop early."""
        if self.training.ema_decay:
            yield "average.swap_in()"
        if self.optimizer.averages:
            yield from self._averaged_weights()
        yield "score = evaluate(data.validation)"
        if line := self.lines.each_epoch:
            yield line
        name = self.metric.info.name
        yield f'print(f"epoch {{epoch}} of {{epochs}}: validation {name} {{score:.4g}}")'
        if not self._keeps_best:
            return
        sign = ">" if self.metric.info.sign > 0 else "<"
        yield f"if score {sign} best_score:"
        yield "    best_score, best_epoch = score, epoch"
        yield "    best_weights = deepcopy(model.state_dict())"
        if (patience := self.training.early_stopping_patience) is not None:
            yield f"elif epoch - best_epoch >= {patience}:"
            yield "    break"

    def _averaged_weights(self) -> Iterator[str]:
        """Move to the averaged weights, and measure batch normalisation's statistics at them."""
        self._use("bakeoff.training.averaging", "find_batch_norms", "measuring_statistics")
        yield "optimizer.eval()"
        yield "model.eval()"
        first = f"order[: {STATISTICS_BATCHES} * batch_size]"
        norms = "find_batch_norms(model)"
        norms = f"freezing.without_frozen({norms})" if self._has_roles else norms
        contexts = [f"measuring_statistics({norms})", "torch.no_grad()"]
        yield f"with {', '.join([*contexts, *self._autocast()])}:"
        yield f"    for inputs, _ in data.train.batches(batch_size, {first}):"
        yield "        model(inputs)"


def _indented(lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)
