"""The published method's LSTM: its layers, its optimiser, and training steps of one row.

Only this module and `classifier.model.name_lstm` import TensorFlow; code that classifies in
production does not. With one row per step, as published, Keras's ``fit`` takes a quarter of an
hour, nearly all of it overhead between the 100,000 small steps. One compiled loop of the same steps
takes half a minute; a test compares the resulting weights.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.native_output import quiet

with quiet():
    import keras
    import tensorflow as tf
# Its warnings about tracing would interrupt the progress display of a run.
tf.get_logger().setLevel("ERROR")

#: Layer sizes as published.
EMBEDDING_SIZE: Final = 25
LSTM_UNITS: Final = 100

#: Keras's defaults for Adam, which the published method uses (Kingma and Ba 2015: epsilon 1e-8).
LEARNING_RATE: Final = 0.001
BETA_1: Final = 0.9
BETA_2: Final = 0.999
EPSILON: Final = 1e-7

#: Rows per call of the compiled loop. The size is fixed so that it is compiled only once.
_ROWS_A_CALL: Final = 1024

_INFERENCE_ROWS: Final = 4096


class ReferenceLstm:
    """A network of embedding, LSTM and softmax, for sequences of a fixed `length`."""

    def __init__(self, n_ids: int, length: int, n_categories: int, *, seed: int) -> None:
        tf.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(seed)
        layers = keras.layers
        self._length = length
        self._n_categories = n_categories
        self.model = keras.Sequential(
            [
                keras.Input((length,), dtype="int32"),
                layers.Embedding(n_ids, EMBEDDING_SIZE),
                layers.LSTM(LSTM_UNITS),
                layers.Dense(n_categories, activation="softmax"),
            ]
        )

    def fit(
        self,
        ids: NDArray[np.int32],
        categories: NDArray[np.int64],
        *,
        seed: int,
        batch_size: int = 1,
        epochs: int,
        on_epoch: Callable[[], None] = lambda: None,
    ) -> None:
        """Fit as Keras's ``fit`` would with Adam and sparse cross-entropy.

        `seed` determines the order of the rows, which differs in each epoch. The published batch
        size is 1; the last batch of an epoch may be smaller. `on_epoch` is called after each epoch;
        `probabilities` then uses the weights of that epoch.

        Parameters
        ----------
        ids : ndarray of shape (n_sounds, length), int32
        categories : ndarray of shape (n_sounds,), int64
        """
        rng = np.random.default_rng(seed)
        weights = tuple(tf.constant(value) for value in self.model.get_weights())
        zeros = tuple(tf.zeros_like(weight) for weight in weights)
        state = (tf.constant(0), weights, zeros, zeros)
        for _ in range(epochs):
            order = rng.permutation(len(ids))
            for call in _calls(ids[order], categories[order], batch_size):
                state = _steps(*call, *state)
            self.model.set_weights([weight.numpy() for weight in state[1]])
            on_epoch()

    def probabilities(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the probability of each category, shape (n_sounds, n_categories)."""
        parts = [
            self.model(tf.constant(ids[start : start + _INFERENCE_ROWS]), training=False).numpy()
            for start in range(0, len(ids), _INFERENCE_ROWS)
        ]
        empty = np.zeros((0, self._n_categories), dtype=np.float32)
        return np.concatenate([empty, *parts]).astype(np.float32)


def _calls(
    ids: NDArray[np.int32], categories: NDArray[np.int64], batch_size: int
) -> Iterator[tuple[Any, ...]]:
    """Yield an epoch as arguments of `_steps`: ids, true categories, row mask, number of steps."""
    n_batches = max(1, _ROWS_A_CALL // batch_size)
    n_rows = n_batches * batch_size
    for start in range(0, len(ids), n_rows):
        n_here = min(n_rows, len(ids) - start)
        padded_ids = np.zeros((n_rows, ids.shape[1]), dtype=np.int32)
        padded_ids[:n_here] = ids[start : start + n_here]
        truth = np.zeros(n_rows, dtype=np.int32)
        truth[:n_here] = categories[start : start + n_here]
        counts = (np.arange(n_rows) < n_here).astype(np.float32)
        yield (
            tf.constant(padded_ids.reshape(n_batches, batch_size, -1)),
            tf.constant(truth.reshape(n_batches, batch_size)),
            tf.constant(counts.reshape(n_batches, batch_size)),
            tf.constant(-(-n_here // batch_size)),
        )


# XLA compiles the loop's many small operations to machine code, once for each batch size.
@tf.function(jit_compile=True)  # type: ignore[untyped-decorator]  # TensorFlow publishes no types
def _steps(
    ids: Any,
    truth: Any,
    counts: Any,
    n_steps: Any,
    n_steps_taken: Any,
    weights: Any,
    m: Any,
    v: Any,
) -> Any:
    """Take one Adam step per batch; return the new `n_steps_taken`, `weights`, `m` and `v`.

    If an id occurs several times in a batch, its embedding gradients are summed before they are
    squared, as in the Adam paper and Keras 2. Keras 3 squares each of them and then sums.
    """

    def step(batch: Any, n_steps_taken: Any, weights: Any, m: Any, v: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                truth[batch], _logits(ids[batch], weights)
            )
            loss = tf.reduce_sum(losses * counts[batch]) / tf.reduce_sum(counts[batch])
        gradients = [tf.convert_to_tensor(gradient) for gradient in tape.gradient(loss, weights)]
        n_steps_taken += 1
        t = tf.cast(n_steps_taken, tf.float32)
        rate = LEARNING_RATE * tf.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        m = tuple(a + (1 - BETA_1) * (g - a) for a, g in zip(m, gradients, strict=True))
        v = tuple(a + (1 - BETA_2) * (g * g - a) for a, g in zip(v, gradients, strict=True))
        weights = tuple(
            w - rate * a / (tf.sqrt(b) + EPSILON) for w, a, b in zip(weights, m, v, strict=True)
        )
        return batch + 1, n_steps_taken, weights, m, v

    started = (tf.constant(0), n_steps_taken, weights, m, v)
    return tf.while_loop(lambda batch, *_: batch < n_steps, step, started)[1:]


def _logits(ids: Any, weights: Any) -> Any:
    """Return the network's outputs for a batch before the softmax."""
    embedding, kernel, recurrent_kernel, bias, dense_kernel, dense_bias = weights
    vectors = tf.gather(embedding, ids)
    hidden = cell = tf.zeros([ids.shape[0], LSTM_UNITS])
    for position in range(ids.shape[1]):
        gates = vectors[:, position] @ kernel + hidden @ recurrent_kernel + bias
        let_in, forget, candidate, let_out = tf.split(gates, 4, axis=1)  # Keras's order
        cell = tf.sigmoid(forget) * cell + tf.sigmoid(let_in) * tf.tanh(candidate)
        hidden = tf.sigmoid(let_out) * tf.tanh(cell)
    return hidden @ dense_kernel + dense_bias
