from bakeoff.commands import options
from bakeoff.commands.output import print_rows

YOUR_FUNCTION = (
    "a function of yours that returns arrays by the names of npz:PATH, or a torch Dataset, a pair "
    "of them or a mapping with the keys train and test"
)


def datasets(as_json: options.Json = False) -> None:
    """List the data sets, and the forms your own can have: npz, folder, csv, text, function.

    Example: study datasets
    """
    from bakeoff.data.dataset_table import DATASETS, FORMS

    rows: list[dict[str, object]] = [
        {
            "dataset": spec.name,
            "task": spec.tasks[0],
            "classes": len(spec.class_names) or None,
            "description": spec.description,
            "source": spec.source,
            "licence": spec.licence,
        }
        for spec in DATASETS
    ]
    own = [(f"{form.name}:PATH", ", ".join(form.tasks), form.description) for form in FORMS]
    for name, task, description in (*own, ("package.module:function", "any", YOUR_FUNCTION)):
        rows.append(
            {
                "dataset": name,
                "task": task,
                "classes": None,
                "description": description,
                "source": "your own",
                "licence": "your own",
            }
        )
    print_rows(rows, as_json=as_json)
