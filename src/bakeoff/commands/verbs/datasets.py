from bakeoff.commands import options
from bakeoff.commands.output import print_rows


def datasets(as_json: options.Json = False) -> None:
    """List the data sets, and the forms your own can have: npz, folder, csv, text, function.

    Example: study datasets
    """
    from bakeoff.data.dataset_table import DATASETS, FORMS, FUNCTION

    listed = [
        *((one, one.name, one.tasks[0]) for one in DATASETS),
        *((one, f"{one.name}:PATH", ", ".join(one.tasks)) for one in FORMS),
        (FUNCTION, FUNCTION.name, "any"),
    ]
    rows = [
        {
            "dataset": name,
            "task": task,
            "classes": len(one.class_names) or None,
            "description": one.description,
            "source": one.source,
            "licence": one.licence,
        }
        for one, name, task in listed
    ]
    print_rows(rows, as_json=as_json)
