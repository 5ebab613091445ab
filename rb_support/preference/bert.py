"""BERT classifier (RouteLLM sec. 4.2, eq. 13): a fine-tuned encoder with a logistic head."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

from rb_support.cache import known_digest
from rb_support.embed import BUNDLED, EmbeddingError, bundled_folder, quiet
from rb_support.preference.text_model import PromptShares, TextModel

Pooling = Literal["cls", "mean"]


@dataclass(kw_only=True, eq=False)
class BertClassifier(TextModel):
    """Win model ``P = sigmoid(W h_CLS + b)`` over the state of the classification token.

    All weights are trained, as in the paper. The paper takes BERT-base, 2,000 steps, 512 tokens and a
    learning rate of 1e-5; the defaults are what a laptop CPU does in some minutes, with the small encoder
    that is bundled and the larger rate that fewer steps ask for. The first prediction is the share of wins in
    the battles: training only departs from it.

    A few low layers learn in a fraction of the time, but their classification token has hardly seen the
    prompt yet; read the mean of all tokens' states then (``pooling="mean"``, as the bundled encoder was
    trained to be read), and leave the word vectors, most of the weights, as they are.

    Parameters
    ----------
    encoder : "minilm" (the bundled six-layer BERT, no network), a folder or a Hub name of a BERT-like model.
    strong, weak : names that `win_rate` is about; battles between others are not learnt from.
    layers : layers of the encoder that are kept, the lowest; None: all.
    pooling : state that is read: of the classification token ("cls"), or the mean over all tokens ("mean").
    train_words : train the word vectors too.
    max_length : tokens of a prompt that are read; the rest is cut off. The encoder sets the limit, often 512.
    steps, batch : optimizer steps at most, and prompts per step.
    learning_rate, weight_decay : of AdamW.
    warmup, decay : share of the steps in which the rate climbs, and whether it falls to 0 afterwards.
    validation_share : part of the prompts kept to pick the best weights.
    validate_every, patience : steps between two looks at them; looks without a better loss before the end.
    seed : of the split, the order of prompts and dropout.
    device : where to compute, such as "cpu" or "cuda".
    progress : show bars while training, and while many prompts are scored.
    """

    encoder: str = field(default=BUNDLED, kw_only=False)
    layers: int | None = None
    pooling: Pooling = "cls"
    train_words: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers is not None and self.layers < 1:
            raise ValueError(f"layers must be at least 1, got {self.layers}")
        if self.pooling not in get_args(Pooling):
            raise ValueError(f"pooling must be one of cls and mean, got {self.pooling!r}")

    network: _Classifier = field(init=False, repr=False)

    @property
    def foundation(self) -> str:
        """Sha256 of the encoder's weights where they lie in a folder."""
        weights = _folder(self.encoder) / "model.safetensors"
        return known_digest(weights) if weights.is_file() else ""

    def _build(self, prompts: PromptShares | None = None, **record: Any) -> None:
        """Set tokenizer and network with the encoder's own weights, and a head that says the share of wins.

        Raises
        ------
        EmbeddingError : if the encoder cannot be had, or lacks weights.
        ValueError : if it reads fewer tokens than `max_length`.
        """
        from transformers import AutoModel, AutoTokenizer  # takes a second or two

        folder, Model = str(_folder(self.encoder)), cast("Any", AutoModel)
        options: dict[str, Any] = {"dtype": self._precision, "output_loading_info": True}
        if self.layers is not None:
            options["num_hidden_layers"] = self.layers
        try:
            with quiet():
                tokenizer = AutoTokenizer.from_pretrained(folder).backend_tokenizer
                encoder, loaded = Model.from_pretrained(folder, **options)
        except (OSError, ValueError) as error:
            raise EmbeddingError(
                f"cannot load the encoder {self.encoder!r}: {str(error).splitlines()[0]} It must be a folder "
                f"or a Hub name, reachable or downloaded before. With no network use encoder='{BUNDLED}'."
            ) from error
        absent = sorted(name for name in loaded["missing_keys"] if not name.startswith("pooler."))
        if absent:  # the library would draw them at random
            raise EmbeddingError(
                f"the encoder {self.encoder!r} has no weights {absent[0]!r}: it has fewer than {self.layers} "
                "layers, or is no BERT-like model; give fewer layers or another encoder"
            )
        limit = encoder.config.max_position_embeddings
        if self.max_length > limit:
            raise ValueError(f"{self.encoder!r} reads at most {limit} tokens, not {self.max_length}")
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_length)
        encoder.embeddings.requires_grad_(self.train_words)
        self.tokenizer, self.network = tokenizer, _Classifier(encoder, self.pooling)

        if prompts is not None:
            share = np.clip(np.average(prompts.strong, weights=prompts.weight), 0.01, 0.99)
            self.network.head.bias.data.fill_(float(np.log(share / (1 - share))))

    def _losses(self, output: Tensor, shares: Tensor) -> Tensor:
        target = shares[:, 0] + shares[:, 1] / 2
        return nn.functional.binary_cross_entropy_with_logits(output[:, 0], target, reduction="none")

    def _rates(self, output: Tensor) -> Tensor:
        return torch.sigmoid(output.double()[:, 0])


class _Classifier(nn.Module):
    """An encoder without its pooler, and a logistic head on the state of its first token or of their mean."""

    def __init__(self, encoder: Any, pooling: Pooling) -> None:
        super().__init__()
        self.pooling = pooling
        encoder.pooler = None
        self.encoder: Any = encoder
        self.head = nn.Linear(encoder.config.hidden_size, 1, dtype=encoder.dtype)
        nn.init.zeros_(self.head.weight)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        mask = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        states = self.encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        if self.pooling == "cls":
            state = states[:, 0]
        else:
            state = (states * mask[..., None]).sum(dim=1) / lengths[:, None]
        output: Tensor = self.head(state)
        return output


def _folder(encoder: str) -> Path:
    return bundled_folder() if encoder == BUNDLED else Path(encoder)
