"""A chosen configuration as PyTorch code that builds the optimizer and the schedule.

Everything here follows from the entries of `OPTIMIZERS` and `SCHEDULERS`: a schedule's code is the
source of the very function that trained.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, NamedTuple

from bakeoff.components.optimizers import OptimizerSpec, find_optimizer
from bakeoff.components.schedulers import SCHEDULERS, WARMUP_START, ChosenRun, SchedulerSpec
from bakeoff.errors import UsageError
from bakeoff.ranges import Params, ParamValue, owned_params
from bakeoff.records import DataConfig, FinetuneConfig, StudyRecord
from bakeoff.registry import is_reference
from bakeoff.report.figures.style import printable
from bakeoff.studyfile.arm_parameters import SHARED_OWNERS

PARAMETER_GROUPS = """\
# no weight decay on norms and biases
groups = [
    {"params": [p for p in model.parameters() if p.ndim >= 2]},
    {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
]"""

NO_DECAY = 'groups = [{"params": list(model.parameters()), "weight_decay": 0.0}]'
MAX_LINE = 88
"""Characters of a line of code that fit into a report, also on paper."""
Use = Callable[..., None]
"""Adds names to the imports of a program: `use(module, *names)`."""


class ChosenLines(NamedTuple):
    """The code of one configuration, in parts."""

    optimizer: str
    schedule: str
    each_step: str
    """The line that follows each optimizer step; empty if nothing is to be done."""
    each_epoch: str
    """The line that follows each epoch, after `score` was measured; empty likewise."""


def pytorch_code(params: Params, study: StudyRecord) -> str:
    """Lines that build the optimizer and the schedule; what cannot be built is a comment.

    They expect `torch`, `math`, `model`, and `total_steps`, the optimizer steps of the whole run.
    """
    lines = chosen_lines(params, study)
    parts = [lines.optimizer, lines.schedule]
    parts += [
        _comment(f"{owner}: {settings}")
        for owner in SHARED_OWNERS
        if (settings := owned_params(params, owner))
    ]
    return "\n\n".join(parts)


def chosen_lines(params: Params, study: StudyRecord, *, has_roles: bool = False) -> ChosenLines:
    """The optimizer, the schedule, and what moves the schedule; see `pytorch_code`.

    With `has_roles` they expect `roles` as well, the factors of the weights' learning rates.
    """
    name, scheduler = str(params.get("optimizer", "")), str(params.get("scheduler", ""))
    recorded = owned_params(params, name)
    complete: Params = {}
    is_split = False
    try:
        optimizer = find_optimizer(name)
        complete = optimizer.complete(recorded)
    except UsageError:
        built = _comment(f"optimizer {name or 'not recorded'}: {recorded}")
    else:
        is_split = optimizer.needs_hidden_weights or has_roles
        built = _optimizer_code(optimizer, recorded, complete, has_roles=has_roles)
    if is_reference(scheduler):
        own = _own_function_code(scheduler, owned_params(params, scheduler))
        return ChosenLines(built, own, "scheduler.step()", "")
    if scheduler not in SCHEDULERS:
        settings = owned_params(params, scheduler)
        unknown = _comment(f"schedule {scheduler or 'not recorded'}: {settings}")
        return ChosenLines(built, unknown, "", "")
    momentum = _number(complete.get("beta1", complete.get("momentum")), 0.0)
    run = ChosenRun(
        learning_rate=_number(complete.get("learning_rate"), 0.001),
        momentum=None if is_split else momentum,
        direction=study.objective.direction,
        epochs=study.epochs,
    )
    return _schedule_lines(built, SCHEDULERS[scheduler], owned_params(params, scheduler), run)


def _optimizer_code(
    optimizer: OptimizerSpec, recorded: Params, complete: Params, *, has_roles: bool
) -> str:
    """Build the class with what was searched or recorded, and leave the rest to its defaults."""
    if optimizer.needs_hidden_weights or has_roles:
        values = call("params = dict", [f"{name}={value!r}" for name, value in complete.items()])
        given = [repr(optimizer.name), "model", "params", "next(model.parameters()).device"]
        given += ["roles"] if has_roles else []
        built = call("optimizer = build_optimizer", given)
        return f"from bakeoff.training.build import build_optimizer\n\n{values}\n{built}"
    used = {
        name: value
        for name, value in complete.items()
        if optimizer.own or name in recorded or optimizer.parameters[name].searched
    }
    if not optimizer.own and not used.keys().isdisjoint({"beta1", "beta2"}):
        used |= {name: complete[name] for name in ("beta1", "beta2")}
    groups = PARAMETER_GROUPS
    if optimizer.weight_decay == "own" and used.get("weight_decay") == 0:
        del used["weight_decay"]  # not every class of the package has this argument
        groups = NO_DECAY
    elif optimizer.own and "weight_decay" in used:
        decay = f'"weight_decay": {used.pop("weight_decay")!r}}},'
        groups = groups.replace("p.ndim >= 2]},", f"p.ndim >= 2], {decay}")
    elif optimizer.own:
        groups = NO_DECAY
    given = [f"{name}={value!r}" for name, value in optimizer.arguments(used).items()]
    given += [f"{name}={value!r}" for name, value in optimizer.fixed.items()]
    module, _, class_name = optimizer.build.partition(":")
    lines = [groups, call(f"optimizer = {module}.{class_name}", ["groups", *given])]
    if optimizer.package != "torch":
        lines.insert(0, f"import {module}\n")
    if optimizer.averages:
        lines.append(
            "optimizer.train()  # call optimizer.eval() before each validation, then train() again"
        )
    return "\n".join(lines)


def call(function: str, given: Sequence[str]) -> str:
    """A call on one line, or with one argument on each line where one line is too long."""
    line = f"{function}({', '.join(given)})"
    if len(line) <= MAX_LINE:
        return line
    return "\n    ".join([f"{function}(", *(f"{one}," for one in given)]) + "\n)"


def arguments(config: DataConfig | FinetuneConfig) -> list[str]:
    """The fields that differ from their defaults, as arguments of a call."""
    values: list[tuple[str, Any, Any]] = [
        (one.name, getattr(config, one.name), one.default) for one in fields(config)
    ]
    return [
        f"{name}={value!r}"
        for name, value, default in values
        if default is MISSING or value != default
    ]


def _schedule_lines(
    optimizer: str, spec: SchedulerSpec, recorded: Params, run: ChosenRun
) -> ChosenLines:
    params = {
        name: _number(recorded.get(name), one.default) for name, one in spec.parameters.items()
    }
    if not spec.lowers_rate and not params["warmup_fraction"]:
        return ChosenLines(optimizer, "# the learning rate stays constant", "", "")
    code = None
    if spec.torch_code is not None:
        code = spec.torch_code(params, run)
    elif not spec.stateful and spec.momentum_drop is None:
        code = _factor_code(spec, params)
    if code is None:
        own = _own_schedule_code(spec, params, run)
        each_epoch = "scheduler.end_epoch(score)" if spec.stateful else ""
        return ChosenLines(optimizer, own, "scheduler.advance()", each_epoch)
    if spec.stateful:
        return ChosenLines(optimizer, code, "", "scheduler.step(score)")
    return ChosenLines(optimizer, code, "scheduler.step()", "")


def _own_function_code(reference: str, params: Params) -> str:
    """The user's own function of progress in a `LambdaLR`."""
    module, _, function = reference.partition(":")
    given = [f"{name}={value!r}" for name, value in params.items()]
    returned = call(f"return {module}.{function}", ["step / total_steps", *given])
    return (
        f"import {module}\n\n"
        f"def factor(step: int) -> float:\n{textwrap.indent(returned, '    ')}\n\n"
        "# step it after each optimizer step\n"
        "scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)"
    )


def _factor_code(spec: SchedulerSpec, params: Mapping[str, float]) -> str | None:
    """The factor as a function of the step; None if its source needs more than `math`."""
    source = textwrap.dedent(inspect.getsource(spec.factor))
    function = ast.parse(source).body[0]
    if not isinstance(function, ast.FunctionDef):
        return None
    body = function.body[1:] if ast.get_docstring(function) else function.body
    module = vars(inspect.getmodule(spec.factor))
    names = [node.id for one in body for node in ast.walk(one) if isinstance(node, ast.Name)]
    values = {name: module[name] for name in names if name in module and name != "math"}
    if not all(isinstance(value, (int, float)) for value in values.values()):
        return None
    own = inspect.signature(spec.factor).parameters
    values |= {name: value for name, value in params.items() if name in own}
    lines = ["def factor(step: int) -> float:", "    progress = step / total_steps"]
    warmup = 0.0 if spec.has_own_warmup else params["warmup_fraction"]
    if warmup:
        lines += [
            f"    if progress < {warmup}:",
            f"        return {WARMUP_START} + {1 - WARMUP_START} * progress / {warmup}",
            f"    progress = (progress - {warmup}) / (1 - {warmup})",
        ]
    lines += [f"    {name} = {value!r}" for name, value in values.items()]
    lines += source.splitlines()[body[0].lineno - 1 :]
    lines += [
        "",
        "# step it after each optimizer step",
        "scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)",
    ]
    return "\n".join(lines)


def _own_schedule_code(spec: SchedulerSpec, params: Mapping[str, float], run: ChosenRun) -> str:
    """The schedule that trained, from this package, where torch has none like it."""
    lines = [
        "from bakeoff.training.schedule import Schedule\n",
        "# call scheduler.advance() after each optimizer step",
    ]
    if spec.stateful:
        lines.append("# and scheduler.end_epoch(score) after each epoch, with the validation score")
    given = ["optimizer", f"{spec.name!r}", f"{params}", "total_steps=total_steps"]
    given += [f"epochs={run.epochs}", f"direction={run.direction!r}"]
    return "\n".join([*lines, call("scheduler = Schedule", given)])


def _number(value: object, default: ParamValue) -> float:
    """A recorded setting as a number; the default where it is missing or not a number."""
    return next(one for one in (value, default, 0.0) if isinstance(one, (int, float)))


def _comment(text: str) -> str:
    return f"# {printable(text)}"
