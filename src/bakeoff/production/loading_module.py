"""Writes the Python files of an export: a module with the network, and an example of its use."""

import re
import sys
from collections.abc import Iterable, Mapping
from string import Template
from typing import Any

from bakeoff.data.text_file import UNKNOWN
from bakeoff.production.network_source import OURS, network_source

IMPORTS = (
    "import json",
    "import torch",
    "from pathlib import Path",
    "from safetensors.torch import load_file",
)
MODULE = Template('''\
"""A network trained with bakeoff, the preparation of its inputs and the meaning of its outputs.

Needs $needs,
and the files $about and $weights next to this one. $example shows how to use it.
"""

$imports

FOLDER = Path(__file__).parent
ABOUT = json.loads((FOLDER / "$about").read_text(encoding="utf-8"))


def load_model():
    """The trained network: inputs [N, $inputs] as `prepare` gives them -> outputs [$outputs]."""
    model = $function(**ABOUT["arguments"])
$load
    return model.eval()

$restore
${encode}def prepare(samples):
    """Convert samples [N, $inputs] of the data set ($dtype) to inputs of the network."""
$prepare


def interpret(outputs):
    """$meaning"""
$interpret
$definitions''')

LOAD_WEIGHTS = """\
    model.load_state_dict(load_file(FOLDER / "$weights"))"""
LOAD_STATE = """\
    state = load_file(FOLDER / "$weights")
    for name, value in ABOUT["own_state"].items():
        state[name] = restore(value, state)
    model.load_state_dict(state)"""
RESTORE = '''\

def restore(value, tensors):
    """What a module of the network keeps besides weights, from its form in JSON."""
    if isinstance(value, list):
        return [restore(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "tensor":
        return tensors.pop(held)
    if kind == "float":
        return float(held)
    if kind == "tuple":
        return tuple(restore(one, tensors) for one in held)
    return {key: restore(one, tensors) for key, one in held}

'''
ENCODE_ROWS = '''\
def encode(rows):
    """Convert rows, mappings from column to cell as of csv.DictReader, to samples [N, $inputs]."""
    features = ABOUT["inputs"]["features"]
    return torch.tensor([[encode_cell(row, **feature) for feature in features] for row in rows])


def encode_cell(row, column, value, offset=0.0, levels=()):
    """The number in a column, the code of its text, or 1.0 if the column contains `value`."""
    # as in training: a byte order mark and spaces around a name are no part of it
    cells = {" ".join(name.lstrip("\\ufeff").split()): cell for name, cell in row.items()}
    if column not in cells:
        raise ValueError(f"no column {column!r} in {list(row)}")
    cell = str(cells[column])
    if levels:  # 0 stands for every text that training did not know
        return float(levels.index(cell.strip()) + 1) if cell.strip() in levels else 0.0
    if value is None:
        number = {"true": "1", "false": "0"}.get(cell.strip().lower(), cell).replace(",", ".")
        return float(number) - offset
    cell = cell.strip()
    known = [one["value"] for one in ABOUT["inputs"]["features"] if one["column"] == column]
    if cell not in known:
        raise ValueError(f"column {column!r} contains {cell!r}; known values: {known}")
    return float(cell == value)


'''
ENCODE_TEXTS = '''\
def encode(texts):
    """Convert texts of one length L to tokens [N, L]. Unknown characters become the token 0."""
    tokens = {character: token for token, character in enumerate(ABOUT["class_names"])}
    return torch.tensor([[tokens.get(character, 0) for character in text] for text in texts])


'''
ENCODE_LABELLED = '''\
def encode(texts):
    """Convert texts to tokens [N, $inputs], cut or filled up, as for training."""
    tokenizer = Tokenizer.from_str(ABOUT["inputs"]["tokenizer"])
    tokenizer.enable_truncation($inputs)
    tokenizer.enable_padding(length=$inputs, pad_id=ABOUT["inputs"]["pad_token"])
    return torch.tensor([one.ids for one in tokenizer.encode_batch(list(texts))])


'''
ENCODE_OWN = '''\
def encode(texts):
    """Convert texts to tokens [N, $inputs], cut or filled up, as for training."""
    numbers = {token: number for number, token in enumerate(ABOUT["inputs"]["vocabulary"])}
    samples = torch.zeros(len(texts), $inputs, dtype=torch.int32)
    for row, text in enumerate(texts):
        tokens = re.findall(ABOUT["inputs"]["pattern"], text.lower())[:$inputs]
        codes = [numbers.get(token, 1) for token in tokens]
        samples[row, : len(codes)] = torch.tensor(codes, dtype=torch.int32)
    return samples


'''
ENCODE_IMAGES = '''\
def encode(files):
    """Decode image files to samples [N, $inputs], as for training."""
    return torch.stack([encode_image(file) for file in files])


def encode_image(file):
    """Decode one image file to [$inputs] bytes."""
    with Image.open(file) as image:
$decode
    return torch.from_numpy(numpy.array(pixels))$axes


'''
DECODE_RESIZED = """\
        image.draft("$mode", ($double_width, $double_height))
        size, method = ($width, $height), Image.Resampling.BILINEAR
        upright = ImageOps.exif_transpose(image)
        pixels = ImageOps.fit(upright.convert("$mode"), size, method)"""
DECODE_PLAIN = """\
        upright = ImageOps.exif_transpose(image)
        if upright.size != ($width, $height):
            raise ValueError(f"{file} is {upright.width}x{upright.height}, not ${width}x$height")
        pixels = upright.convert("$mode")"""
ENCODING_IMPORTS: Mapping[str, tuple[str, ...]] = {
    ENCODE_IMAGES: ("import numpy", "from PIL import Image, ImageOps"),
    ENCODE_LABELLED: ("from tokenizers import Tokenizer",),
    ENCODE_OWN: ("import re",),
}
"""What the template that encodes samples imports."""
NORMALISE = """\
    mean, scale = (torch.tensor(ABOUT["inputs"][name]) for name in ("mean", "scale"))
    return (torch.as_tensor(samples) - mean) * scale"""
TO_TOKENS = """\
    return torch.as_tensor(samples).long()"""
TO_NAMES = """\
    return [ABOUT["class_names"][best] for best in outputs.argmax(1)]"""
TO_LABELS = """\
    names = ABOUT["class_names"]
    return [[name for name, is_one in zip(names, row) if is_one] for row in outputs > 0]"""
TO_MASKS = """\
    return outputs.argmax(1)"""
TO_NEXT_TOKENS = """\
    return [ABOUT["class_names"][best] for best in outputs[:, -1].argmax(1)]"""
TO_TARGETS = """\
    return (outputs[:, 0] * ABOUT["targets"]["scale"] + ABOUT["targets"]["mean"]).tolist()"""
TO_NAMED_TARGETS = """\
    scale, mean = (torch.tensor(ABOUT["targets"][name]) for name in ("scale", "mean"))
    rows = (outputs * scale + mean).tolist()
    return [dict(zip(ABOUT["class_names"], row)) for row in rows]"""
SEVERAL_TARGETS = "regression of several targets"
USES: Mapping[str, tuple[str, str, str, str]] = {
    "classification": (NORMALISE, "Most likely class of each sample, by name.", TO_NAMES, "N, {}"),
    "multilabel": (NORMALISE, "Labels of each sample, by name.", TO_LABELS, "N, {}"),
    "segmentation": (
        NORMALISE, "Masks [N, H, W]: the most likely class of each pixel, by its number.",
        TO_MASKS, "N, {}, H, W",
    ),
    "regression": (
        NORMALISE, "Predicted target of each sample, in its original unit.", TO_TARGETS, "N, 1",
    ),
    SEVERAL_TARGETS: (
        NORMALISE, "Predicted targets of each sample by name, in their original units.",
        TO_NAMED_TARGETS, "N, {}",
    ),
    "language": (TO_TOKENS, "Most likely next token of each sample.", TO_NEXT_TOKENS, "N, L, {}"),
}  # fmt: skip
"""By task: preparation of inputs, meaning and interpretation of outputs, shape of outputs."""

EXAMPLE = Template('''\
"""Run the network in $weights; needs $needs."""
import torch
from $module import $names

model = load_model()
samples = $samples
with torch.no_grad():
    outputs = model(prepare(samples))
print(interpret(outputs))
''')
SAMPLES = {
    "": "torch.zeros(2, {shape})  # replace by {dtype} [N, {shape}], as in the data set",
    ENCODE_ROWS: 'encode([ABOUT["inputs"]["example"]])  # replace by encode(csv.DictReader(file))',
    ENCODE_IMAGES: "torch.zeros(2, {shape})  # replace by encode(['one.png', 'other.png'])",
    ENCODE_OWN: 'encode(["one text", "another text"])  # replace by texts',
    ENCODE_LABELLED: 'encode(["one text", "another text"])  # replace by texts',
    ENCODE_TEXTS: 'encode(["The "])  # replace by texts of one length',
}
"""Placeholders for samples in the example, by the template that encodes them."""


def module_name(stem: str) -> str:
    """The name of the module for weights called `stem`: `load_model` for `model`."""
    return "load_" + re.sub(r"\W", "_", stem)


def render_module(about: Mapping[str, Any], *, about_name: str, weights: str, example: str) -> str:
    """The source of the module: network, preparation of inputs, meaning of outputs."""
    source = network_source(about["build"])
    is_several = about["task"] == "regression" and about["class_names"]
    prepare, meaning, interpret, outputs = USES[SEVERAL_TARGETS if is_several else about["task"]]
    shape, encoding = ", ".join(map(str, about["inputs"]["shape"])), _encoding(about)
    imports = {*IMPORTS, *source.imports.splitlines(), *ENCODING_IMPORTS.get(encoding, ())}
    if encoding in (ENCODE_LABELLED, ENCODE_OWN):
        prepare = TO_TOKENS
    return MODULE.substitute(
        needs=_needs(about),
        imports=_sorted_imports(imports),
        function=source.function,
        about=about_name,
        weights=weights,
        example=example,
        load=Template(LOAD_STATE if about.get("own_state") else LOAD_WEIGHTS).substitute(
            weights=weights
        ),
        restore=RESTORE if about.get("own_state") else "",
        inputs="L" if about["task"] == "language" else shape,
        dtype=about["inputs"]["dtype"],
        encode=_render_encoding(about, shape),
        prepare=prepare,
        meaning=meaning,
        interpret=interpret,
        outputs=outputs.format(about["arguments"]["num_outputs"]),
        definitions=f"\n\n{source.definitions}\n" if source.definitions else "",
    )


def render_example(about: Mapping[str, Any], *, module: str, weights: str) -> str:
    """The source of an example that loads the network and runs it on a placeholder."""
    encoding = _encoding(about)
    names = ["encode"] * bool(encoding) + ["interpret", "load_model", "prepare"]
    shape, dtype = ", ".join(map(str, about["inputs"]["shape"])), about["inputs"]["dtype"]
    return EXAMPLE.substitute(
        module=module,
        weights=weights,
        needs=_needs(about),
        names=", ".join(["ABOUT"] * (encoding == ENCODE_ROWS) + names),
        samples=SAMPLES[encoding].format(shape=shape, dtype=dtype),
    )


def _encoding(about: Mapping[str, Any]) -> str:
    """The template that encodes rows, texts or files as samples; empty for arrays."""
    if about["inputs"].get("features"):
        return ENCODE_ROWS
    if _is_image_folder(about):
        return ENCODE_IMAGES
    if about["inputs"].get("tokenizer"):
        return ENCODE_LABELLED
    if about["inputs"].get("vocabulary"):
        return ENCODE_OWN
    is_text = about["task"] == "language" and about["class_names"][0] == UNKNOWN
    return ENCODE_TEXTS if is_text else ""


def _render_encoding(about: Mapping[str, Any], shape: str) -> str:
    template = Template(_encoding(about))
    if not _is_image_folder(about):
        return template.substitute(inputs=shape)
    channels, height, width = about["inputs"]["shape"]
    axes = "[None]" if channels == 1 else ".permute(2, 0, 1)"
    is_resized = about["configuration"]["data"]["image_size"] is not None
    decode = Template(DECODE_RESIZED if is_resized else DECODE_PLAIN).substitute(
        mode="L" if channels == 1 else "RGB",
        height=height,
        width=width,
        double_height=2 * height,
        double_width=2 * width,
    )
    return template.substitute(inputs=shape, decode=decode, axes=axes)


def _is_image_folder(about: Mapping[str, Any]) -> bool:
    return str(about["configuration"]["data"]["dataset"]).startswith("folder:")


def _needs(about: Mapping[str, Any]) -> str:
    """The packages that must be installed: `torch, safetensors and timm`."""
    module, _, function = about["build"].partition(":")
    packages = {
        "build_torchvision": "torchvision",
        "build_timm": "timm",
        "build_huggingface": "transformers",
    }
    own = packages.get(function) if module.startswith(OURS) else f"your own `{module}`"
    names = ["torch", *(["Pillow"] if _is_image_folder(about) else []), "safetensors"]
    names += ["tokenizers"] if about["inputs"].get("tokenizer") else []
    *first, last = [*names, *([own] if own else [])]
    return f"{', '.join(first)} and {last}"


def _sorted_imports(statements: Iterable[str]) -> str:
    """Imports of the standard library, then the others."""
    by_module = sorted(statements, key=lambda one: (one.startswith("from"), one.split()[1]))
    groups: dict[bool, list[str]] = {True: [], False: []}
    for statement in by_module:
        package = statement.split()[1].partition(".")[0]
        groups[package in sys.stdlib_module_names].append(statement)
    return "\n\n".join("\n".join(group) for group in groups.values())
