from bakeoff.commands import options

ABOUT = """
Tokens are the input of language models. You can also name a classifier of the packages torchvision
and timm as "torchvision:NAME" or "timm:NAME"; it takes the package's own parameters (timm is
installed by: pip install 'bakeoff[timm]') and has fresh weights, or trained ones with [finetune].
"hf:NAME" is a classifier of images or texts of the Hugging Face hub (pip install 'bakeoff[hf]').
A model of your own is "package.module:function"; the function is called with input_shape= and
num_outputs=, with categories= where categories = "codes" under [data] makes codes of texts, and
with num_tokens= where text = "column" makes words or characters of them.
"""


def models(as_json: options.Json = False) -> None:
    """List the models; a model of your own is package.module:function.

    Example: study models
    """
    from bakeoff.commands.catalog import print_with_parameters
    from bakeoff.components.models import MODELS
    from bakeoff.data.inputs import describe_kinds

    rows: list[dict[str, object]] = [
        {"model": spec.name, "takes": describe_kinds(spec.inputs), "description": spec.description}
        for spec in MODELS
    ]
    print_with_parameters(rows, [spec.parameters for spec in MODELS], ABOUT, as_json=as_json)
