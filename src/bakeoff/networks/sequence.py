"""Networks that read samples in order. They are imported only if one is built.

Rows [N, T, F] are read as they are, and images [N, C, H, W] as H rows of C * W numbers; the network
gives one output for the sample. Tokens [N, L] are embedded. The network predicts the next token
after each of them, or, if it is built with a number of tokens, gives one output for the sample; the
token 0 at the end of a text is then left out.

This module imports nothing of bakeoff; see `plain`.
"""

from collections import OrderedDict
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

IMAGE_NDIM = 3


def build_lstm(
    input_shape: Sequence[int],
    num_outputs: int,
    width: int,
    depth: int,
    dropout: float,
    num_tokens: int = 0,
) -> nn.Module:
    """Build `depth` layers of `width` LSTM cells: [N, T, F] -> [N, K], [N, L] -> [N, L, K].

    With `num_tokens` it is [N, L] -> [N, K].
    """
    return Recurrent(nn.LSTM, input_shape, num_outputs, width, depth, dropout, num_tokens)


def build_gru(
    input_shape: Sequence[int],
    num_outputs: int,
    width: int,
    depth: int,
    dropout: float,
    num_tokens: int = 0,
) -> nn.Module:
    """Build `depth` layers of `width` GRU cells: [N, T, F] -> [N, K], [N, L] -> [N, L, K].

    With `num_tokens` it is [N, L] -> [N, K].
    """
    return Recurrent(nn.GRU, input_shape, num_outputs, width, depth, dropout, num_tokens)


def build_transformer(
    input_shape: Sequence[int],
    num_outputs: int,
    width: int,
    depth: int,
    heads: int,
    dropout: float,
    num_tokens: int = 0,
) -> nn.Module:
    """Build `depth` pre-norm blocks of `width`: [N, T, F] -> [N, K], [N, L] -> [N, L, K].

    With `num_tokens` it is [N, L] -> [N, K].

    Raises:
        ValueError: `width` is not a multiple of `heads`.
    """
    if width % heads:
        raise ValueError(f"model.width = {width} must be a multiple of model.heads = {heads}")
    return Transformer(input_shape, num_outputs, width, depth, heads, dropout, num_tokens)


def reads_tokens(input_shape: Sequence[int]) -> bool:
    """Whether samples of this shape are tokens; no other samples in order have one axis."""
    return len(input_shape) == 1


def as_rows(inputs: Tensor) -> Tensor:
    """Return rows [N, T, F] as they are, and images [N, C, H, W] as rows [N, H, C * W]."""
    return inputs if inputs.ndim == IMAGE_NDIM else inputs.transpose(1, 2).flatten(2)


def row_shape(input_shape: Sequence[int]) -> tuple[int, int]:
    """Return the number of rows of one sample, and of numbers in each: (T, F)."""
    if len(input_shape) == IMAGE_NDIM:
        channels, height, width = input_shape
        return height, channels * width
    return input_shape[0], prod(input_shape[1:])


def is_token(tokens: Tensor) -> Tensor:
    """Whether each of the tokens [N, L] is no padding; the first one of a text never is."""
    is_real = tokens != 0
    is_first = torch.arange(tokens.shape[1], device=tokens.device) == 0
    return is_real | is_first


class Recurrent(nn.Module):
    """Recurrent layers, then a linear layer on the last step, or on every token's step.

    The last step of a labelled text is that of its last token before the padding.
    """

    def __init__(
        self,
        layers: type[nn.LSTM | nn.GRU],
        input_shape: Sequence[int],
        num_outputs: int,
        width: int,
        depth: int,
        dropout: float,
        num_tokens: int,
    ) -> None:
        super().__init__()
        self.is_labelled_text = num_tokens > 0
        num_embedded = num_tokens or num_outputs
        self.embedding = nn.Embedding(num_embedded, width) if reads_tokens(input_shape) else None
        self.layers = layers(
            width if self.embedding else row_shape(input_shape)[1],
            width,
            num_layers=depth,
            batch_first=True,
            dropout=dropout if depth > 1 else 0.0,
        )
        self.dropout = _dropout(dropout)
        self.output = nn.Linear(width, num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, T, F] or [N, C, H, W] -> [N, K]; tokens [N, L] -> [N, L, K], labelled ones [N, K]."""
        if self.embedding is not None:
            states, _ = self.layers(self.embedding(inputs))
            if self.is_labelled_text:
                places = torch.arange(inputs.shape[1], device=inputs.device)
                last = (is_token(inputs) * places).argmax(1)
                states = states[torch.arange(len(states), device=states.device), last]
        else:
            states, _ = self.layers(as_rows(inputs))
            states = states[:, -1]
        logits: Tensor = self.output(self.dropout(states))
        return logits


class Transformer(nn.Module):
    """Pre-norm blocks over learned positions: causal over tokens, otherwise averaged over the rows.

    Labelled texts are averaged over their tokens, which do not see the padding.

    Source: Radford et al. 2019 (GPT-2) for the blocks, and for smaller initial weights in deeper
    networks where they end in the residual stream. LeCun et al. 1998 for initial weights whose
    standard deviation is one over the root of the number of inputs: GPT-2's 0.02 suits a width of
    768 and learns slowly at 32.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_outputs: int,
        width: int,
        depth: int,
        heads: int,
        dropout: float,
        num_tokens: int,
    ) -> None:
        super().__init__()
        self.is_labelled_text = num_tokens > 0
        self.is_causal = reads_tokens(input_shape) and not self.is_labelled_text
        length, num_features = row_shape(input_shape)
        self.embedding: nn.Module = (
            nn.Embedding(num_tokens or num_outputs, width)
            if reads_tokens(input_shape)
            else nn.Linear(num_features, width)
        )
        self.positions = nn.Embedding(length, width)
        self.dropout = _dropout(dropout)
        self.blocks = nn.Sequential(
            *(Block(width, heads, dropout, is_causal=self.is_causal) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, num_outputs)
        self.apply(_initialise)
        with torch.no_grad():
            for name, weights in self.named_parameters():
                if name.endswith("into_stream.weight"):
                    weights.div_((2 * depth) ** 0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, T, F] or [N, C, H, W] -> [N, K]; tokens [N, L], L at most as built -> [N, L, K].

        Labelled tokens [N, L] -> [N, K].
        """
        if self.is_labelled_text:
            return self._of_texts(inputs)
        states = self.embedding(inputs if self.is_causal else as_rows(inputs))
        states = states + self.positions.weight[: states.shape[1]]
        states = self.norm(self.blocks(self.dropout(states)))
        logits: Tensor = self.output(states if self.is_causal else states.mean(1))
        return logits

    def _of_texts(self, tokens: Tensor) -> Tensor:
        is_real = is_token(tokens)
        states = self.dropout(self.embedding(tokens) + self.positions.weight[: tokens.shape[1]])
        for block in self.blocks:
            states = block(states, is_real[:, None, None])
        share = is_real / is_real.sum(1, keepdim=True)
        pooled = (self.norm(states) * share[:, :, None]).sum(1)
        logits: Tensor = self.output(pooled)
        return logits


class Block(nn.Module):
    """Attention, then two linear layers four times as wide inside; each is added to its input."""

    def __init__(self, width: int, heads: int, dropout: float, *, is_causal: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout, is_causal=is_causal)
        self.feed_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            OrderedDict(
                inside=nn.Linear(width, 4 * width),
                activation=nn.GELU(),
                into_stream=nn.Linear(4 * width, width),
            )
        )
        self.dropout = _dropout(dropout)

    def forward(self, states: Tensor, is_seen: Tensor | None = None) -> Tensor:
        """[N, L, D] -> [N, L, D]; places that are not seen, [N, 1, 1, L], change no other."""
        states = states + self.dropout(self.attention(self.norm(states), is_seen))
        result: Tensor = states + self.dropout(self.feed_forward(self.feed_norm(states)))
        return result


class Attention(nn.Module):
    """Self-attention of several heads by torch's `scaled_dot_product_attention`."""

    def __init__(self, width: int, heads: int, dropout: float, *, is_causal: bool) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.is_causal = is_causal
        self.projections = nn.Linear(width, 3 * width)
        self.into_stream = nn.Linear(width, width)

    def forward(self, states: Tensor, is_seen: Tensor | None = None) -> Tensor:
        """[N, L, D] -> [N, L, D]; see `Block`."""
        num, length, width = states.shape
        parts = self.projections(states).view(num, length, 3, self.heads, width // self.heads)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        mixed = scaled_dot_product_attention(
            queries,
            keys,
            values,
            attn_mask=is_seen,
            dropout_p=dropout,
            is_causal=self.is_causal,
        )
        result: Tensor = self.into_stream(mixed.transpose(1, 2).reshape(num, length, width))
        return result


def _dropout(probability: float) -> nn.Module:
    return nn.Dropout(probability) if probability > 0 else nn.Identity()


def _initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=module.weight.shape[1] ** -0.5)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
