from bakeoff.commands import options
from bakeoff.components.package_optimizers import EXTRA, PACKAGE_PREFIX

ABOUT = f"""
State is counted for fp32 weights of large matrices, with momentum where it can be set. Weight decay
does not apply to norms and biases. You can also name any other optimizer of the package
pytorch_optimizer as "{PACKAGE_PREFIX}Name", and one of your own as "package.module:Name".
The packages pytorch_optimizer and schedulefree are installed by: pip install 'bakeoff[{EXTRA}]'
"""


def optimizers(as_json: options.Json = False) -> None:
    """List the optimizers with their default ranges and the sources of those.

    Example: study optimizers
    """
    from bakeoff.commands.catalog import print_with_parameters
    from bakeoff.components.compatibility import allowed_schedulers
    from bakeoff.components.optimizers import OPTIMIZERS, find_optimizer
    from bakeoff.components.package_ranges import ENTRIES
    from bakeoff.components.schedulers import SCHEDULERS

    rows: list[dict[str, object]] = []
    listed = [*OPTIMIZERS, *(find_optimizer(PACKAGE_PREFIX + name) for name in ENTRIES)]
    for spec in listed:
        allowed = allowed_schedulers(spec.name)
        rows.append(
            {
                "optimizer": spec.name,
                "description": spec.description,
                "weight decay": spec.weight_decay,
                "state bytes per weight": spec.state_bytes,
                "schedules": "all" if allowed == SCHEDULERS.names else ", ".join(allowed),
                "package": spec.package,
            }
        )
    print_with_parameters(rows, [one.parameters for one in listed], ABOUT, as_json=as_json)
