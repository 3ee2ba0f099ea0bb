"""The LSTM that reads a name's tokens: the only module of a served model that imports TensorFlow.

A token's vector is the mean of its ids' embeddings; the LSTM reads the tokens in the name's order
(padding is masked); a softmax gives the twelve probabilities.
"""

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES
from classifier.model.arrays import Probabilities, TokenIds
from classifier.model.vocabulary import (
    FIRST_SUBWORD_ID,
    FIRST_WORD_ID,
    IDS_PER_TOKEN,
    N_IDS,
    PADDING_ID,
    SEQUENCE_LENGTH,
    UNKNOWN_ID,
)
from classifier.native_output import quiet

# TensorFlow reports its missing GPU at import, before its logging can be configured, and later.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with quiet():
    import keras
    import tensorflow as tf
    from keras import ops
# Its warnings about tracing would interrupt the progress display.
tf.get_logger().setLevel("ERROR")

EMBEDDING_SIZE: Final = 24
LSTM_UNITS: Final = 64

#: Half of the published method's 20 epochs, at 64 times its batch: a fit of the public corpus takes
#: 2 s instead of minutes, and the LSTM alone scores 0.944 / 0.85 on a random split (published:
#: 0.903 / 0.75). Batches of 32 or a rate of 0.02 score the same accuracy and lower macro F1.
EPOCHS: Final = 10
BATCH_SIZE: Final = 64
LEARNING_RATE: Final = 0.01

#: Dropout of a regularised model: the shares of a token's vector and of the LSTM's state that are
#: dropped, of tokens whose word is replaced by the unknown word, and of tokens that also lose their
#: sub-words.
_VECTOR_DROPOUT: Final = 0.2
_STATE_DROPOUT: Final = 0.3
_WORD_DROPOUT: Final = 0.1
_TOKEN_DROPOUT: Final = 0.05

# Rows of one inference step: bounds memory.
_INFERENCE_ROWS: Final = 1024


@dataclass(frozen=True)
class SequenceWeights:
    """The LSTM's weights in Keras's layout (gates in the order input, forget, cell, output)."""

    embedding: NDArray[np.float32]
    kernel: NDArray[np.float32]
    recurrent_kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    dense_kernel: NDArray[np.float32]
    dense_bias: NDArray[np.float32]


class SequenceModel:
    """The Keras model of the LSTM.

    Building and tracing cost more than a fit, so one instance serves every fold of a training run:
    each `fit` starts from the initial weights.

    - `seed`: of the initial weights.
    - `regularised`: whether fits use dropout, for models that are trained further; it is not saved.
    """

    def __init__(self, seed: int, *, regularised: bool = False) -> None:
        # Otherwise threads sum some gradients in an order that varies from run to run.
        tf.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(seed)
        self._regularised = regularised
        self._attach(_build(regularised=regularised))
        self._optimizer = keras.optimizers.Adam(LEARNING_RATE)
        self._optimizer.build(self._model.trainable_variables)
        self._initial = [variable.numpy() for variable in self._variables()]
        self._loss = keras.losses.CategoricalCrossentropy(reduction="sum")
        self._step = tf.function(self._untraced_step)

    def _attach(self, model: Any) -> None:
        self._model = model
        # Trace once for any number of rows; otherwise every new batch size would cost a second.
        any_rows = tf.TensorSpec([None, SEQUENCE_LENGTH, IDS_PER_TOKEN], tf.int32)
        self._infer = tf.function(
            lambda ids: model(ids, training=False), input_signature=[any_rows]
        )

    def _variables(self) -> list[Any]:
        return [*self._model.variables, *self._optimizer.variables]

    def _untraced_step(self, ids: Any, targets: Any, weights: Any) -> None:
        with tf.GradientTape() as tape:
            probabilities = self._model(ids, training=True)
            loss = self._loss(targets, probabilities, sample_weight=weights) / BATCH_SIZE
        trainable = self._model.trainable_variables
        gradients = tape.gradient(loss, trainable)
        self._optimizer.apply_gradients(zip(gradients, trainable, strict=True))

    def fit(
        self,
        token_ids: TokenIds,
        targets: Probabilities,
        weights: NDArray[np.float64],
        *,
        seed: int,
        epochs: int = EPOCHS,
        learning_rate: float = LEARNING_RATE,
        on_epoch: Callable[[], None] = lambda: None,
    ) -> None:
        """Fit from the initial weights; the same seed and rows give the same model.

        Parameters
        ----------
        targets : Probabilities
            1 for the true category (`one_hot`), or the prediction of another model.
        weights : ndarray of shape (n_sounds,), float64
        seed : int
            Determines the order of the rows.
        learning_rate : float
            For the first epoch; it decreases linearly, almost to 0.
        """
        for variable, value in zip(self._variables(), self._initial, strict=True):
            variable.assign(value)
        ids, merged_targets, summed = _merged(token_ids, targets, weights)
        rng = np.random.default_rng(seed)
        for epoch in range(epochs):
            # The rate decreases because at a constant rate the last steps decided which rare
            # categories a fit lost.
            self._optimizer.learning_rate.assign(learning_rate * (1.0 - epoch / epochs))
            # Every step has the same shape: the last one is filled up with randomly drawn rows.
            order = np.concatenate(
                [rng.permutation(len(ids)), rng.choice(len(ids), -len(ids) % BATCH_SIZE)]
            )
            for rows in order.reshape(-1, BATCH_SIZE):
                step_ids = _with_dropped_words(ids[rows], rng) if self._regularised else ids[rows]
                self._step(
                    tf.constant(step_ids),
                    tf.constant(merged_targets[rows]),
                    tf.constant(summed[rows]),
                )
            on_epoch()

    def probabilities(self, token_ids: TokenIds) -> Probabilities:
        """Return the probability of each category."""
        probabilities = np.zeros((len(token_ids), N_CATEGORIES), dtype=np.float32)
        for start in range(0, len(token_ids), _INFERENCE_ROWS):
            rows = token_ids[start : start + _INFERENCE_ROWS].astype(np.int32)
            probabilities[start : start + len(rows)] = self._infer(tf.constant(rows)).numpy()
        return probabilities

    def state(self) -> tuple[NDArray[np.float32], ...]:
        """Return a copy of the fitted weights, for `start_from` of another instance."""
        return tuple(variable.numpy() for variable in self._model.variables)

    def start_from(self, state: tuple[NDArray[np.float32], ...]) -> None:
        """Make every later `fit` start from these weights instead of the seed's random ones."""
        self._initial = [*state, *self._initial[len(state) :]]

    def take(self, state: tuple[NDArray[np.float32], ...]) -> None:
        """Set the weights to the `state` of another instance."""
        for variable, value in zip(self._model.variables, state, strict=True):
            variable.assign(value)

    def forget_words(self, n_known: int) -> None:
        """Give every word but the first `n_known` of the vocabulary the vector of unknown words.

        This model was not trained on these words, and further training then starts from that
        vector.
        """
        embedding = self._model.get_layer("token_vectors").embedding
        vectors = embedding.numpy()
        vectors[FIRST_WORD_ID + n_known : FIRST_SUBWORD_ID] = vectors[UNKNOWN_ID]
        embedding.assign(vectors)

    def weights(self) -> SequenceWeights:
        """Return a copy of the fitted weights."""
        embedding = self._model.get_layer("token_vectors").get_weights()
        lstm = self._model.get_layer("lstm").get_weights()
        dense = self._model.get_layer("categories").get_weights()
        return SequenceWeights(*embedding, *lstm, *dense)

    def to_bytes(self) -> bytes:
        """Return the model as a ``.keras`` archive, the same bytes for the same weights."""
        with _scratch() as path:
            self._model.save(path)
            return _reproducible(path)

    @classmethod
    def from_bytes(cls, archive: bytes) -> "SequenceModel":
        """Load what `to_bytes` wrote, for inference; the caller has checked its hash."""
        loaded = cls.__new__(cls)
        loaded._regularised = False
        with _scratch() as path:
            with open(path, "wb") as file:
                file.write(archive)
            loaded._attach(keras.models.load_model(path, compile=False, safe_mode=True))
        return loaded


@keras.saving.register_keras_serializable(package="cratesort")
class TokenVectors(keras.layers.Layer):  # type: ignore[misc]  # keras publishes no types
    """Embeds tokens: the vector of each is the mean of the embeddings of its ids.

    This is a custom layer because separate operations get names and an order that differ from run
    to run, and the same models must give the same bytes of a bundle.
    """

    def build(self, input_shape: Any) -> None:  # noqa: ARG002  keras's signature
        """Create the embedding, one row per id."""
        self.embedding = self.add_weight(
            name="embedding", shape=(N_IDS, EMBEDDING_SIZE), initializer="uniform"
        )

    def call(self, token_ids: Any) -> Any:
        """Return the vectors, shape (n_sounds, 8, EMBEDDING_SIZE)."""
        stated = ops.cast(ops.not_equal(token_ids, PADDING_ID), "float32")[..., None]
        summed = ops.sum(ops.take(self.embedding, token_ids, axis=0) * stated, axis=2)
        return summed / ops.maximum(ops.sum(stated, axis=2), 1.0)

    def compute_mask(self, token_ids: Any, previous_mask: Any = None) -> Any:  # noqa: ARG002
        """Return the mask of the positions that hold a token, for the LSTM."""
        return ops.not_equal(token_ids[:, :, 0], PADDING_ID)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the vectors."""
        return (*input_shape[:2], EMBEDDING_SIZE)


def _build(*, regularised: bool) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SEQUENCE_LENGTH, IDS_PER_TOKEN), dtype="int32", name="token_ids"),
            TokenVectors(name="token_vectors"),
            *([layers.SpatialDropout1D(_VECTOR_DROPOUT)] if regularised else []),
            layers.LSTM(LSTM_UNITS, name="lstm"),
            *([layers.Dropout(_STATE_DROPOUT)] if regularised else []),
            layers.Dense(N_CATEGORIES, activation="softmax", name="categories"),
        ],
        name="sequence",
    )


def one_hot(category_indices: NDArray[np.int64]) -> Probabilities:
    """Return targets with probability 1 for these categories."""
    return np.eye(N_CATEGORIES, dtype=np.float32)[category_indices]


def _merged(
    token_ids: TokenIds, targets: Probabilities, weights: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    """Merge rows of equal tokens into one that carries their weight: 9,657 rows become 2,252.

    Numbered files of one pack have the same tokens; the sum of their gradients stays the same.
    """
    flat = token_ids.reshape(len(token_ids), -1)
    distinct, inverse = np.unique(flat, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    summed = np.bincount(inverse, weights=weights, minlength=len(distinct))
    by_category = [
        np.bincount(inverse, weights=weights * targets[:, category], minlength=len(distinct))
        for category in range(N_CATEGORIES)
    ]
    ids = distinct.reshape(-1, SEQUENCE_LENGTH, IDS_PER_TOKEN).astype(np.int32)
    mean_targets = np.stack(by_category, axis=1) / summed[:, None]
    return ids, mean_targets.astype(np.float32), (summed / summed.mean()).astype(np.float32)


def _with_dropped_words(ids: NDArray[np.int32], rng: np.random.Generator) -> NDArray[np.int32]:
    """Return the ids with some words replaced by the unknown word, some also without sub-words."""
    shown = ids.copy()
    drawn = np.where(ids[:, :, 0] == PADDING_ID, 1.0, rng.random(ids.shape[:2]))
    shown[drawn < _TOKEN_DROPOUT] = PADDING_ID
    shown[:, :, 0][drawn < _WORD_DROPOUT + _TOKEN_DROPOUT] = UNKNOWN_ID
    return shown


@contextmanager
def _scratch() -> Iterator[str]:
    # Keras saves and loads only paths with this extension.
    with tempfile.TemporaryDirectory(prefix="cratesort-") as folder:
        yield os.path.join(folder, "lstm.keras")


# Fields that differ between runs: a date, and memory addresses as identities.
_VOLATILE: Final = frozenset({"date_saved", "shared_object_id"})


def _reproducible(path: str) -> bytes:
    """Rewrite a ``.keras`` archive without run-specific fields, so equal models give equal bytes.

    Objects that shared an identity (initialisers, dtype policies) are loaded as separate equal
    ones.
    """
    rewritten = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(rewritten, "w") as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name.endswith(".json"):
                document = json.loads(content, object_hook=_without_volatile)
                content = json.dumps(document, sort_keys=True).encode()
            target.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return rewritten.getvalue()


def _without_volatile(entries: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if key not in _VOLATILE}
