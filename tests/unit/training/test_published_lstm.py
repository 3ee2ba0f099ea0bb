"""The compiled loop takes the very steps that Keras's own ``fit`` takes, one row each."""

import logging

import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

#: The sizes and the batch of the studies' tests: compiled once for all of them.
N_IDS, LENGTH, N_CATEGORIES = 500, 6, 12
BATCH_SIZE = 8


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(7)
    ids = rng.integers(0, 30, (45, LENGTH)).astype(np.int32)
    ids[::2, 3:] = 0  # padding: the same id several times in a row
    return ids, rng.integers(0, N_CATEGORIES, 45)


def of_keras(weights, ids, categories, batch_size):
    """Return the weights after an epoch of Keras's fit from these.

    The embedding is a matrix product with one-hot vectors, which is the same by definition: Keras 3
    itself squares an embedding's gradient for each place of an id before it sums them (`_steps`).
    The sizes are the published ones, written out.
    """
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((LENGTH, N_IDS)),
            layers.Dense(25, use_bias=False),
            layers.LSTM(100),
            layers.Dense(N_CATEGORIES, activation="softmax"),
        ]
    )
    model.set_weights(weights)
    model.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy")
    one_hot = np.eye(N_IDS, dtype=np.float32)[ids]
    model.fit(one_hot, categories, batch_size=batch_size, epochs=1, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.mark.parametrize("batch_size", [pytest.param(1, marks=pytest.mark.release), BATCH_SIZE])
def test_an_epoch_gives_the_weights_that_keras_gives(rows, batch_size):
    from training.baselines.published_lstm import ReferenceLstm

    ids, categories = rows
    lstm = ReferenceLstm(N_IDS, LENGTH, N_CATEGORIES, seed=1)
    before = lstm.model.get_weights()
    lstm.fit(ids, categories, seed=5, batch_size=batch_size, epochs=1)
    order = np.random.default_rng(5).permutation(len(ids))
    expected = of_keras(before, ids[order], categories[order], batch_size)
    for ours, theirs, start in zip(lstm.model.get_weights(), expected, before, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)
        assert np.abs(ours - start).max() > 2e-3  # more than one step


def test_predictions_are_those_of_the_fitted_network(rows):
    from training.baselines.published_lstm import ReferenceLstm

    ids, categories = rows
    lstm = ReferenceLstm(N_IDS, LENGTH, N_CATEGORIES, seed=1)
    epochs = []
    lstm.fit(
        ids,
        categories,
        seed=5,
        batch_size=BATCH_SIZE,
        epochs=2,
        on_epoch=lambda: epochs.append(1),
    )
    probabilities = lstm.probabilities(ids)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(probabilities, lstm.model.predict(ids, verbose=0), atol=1e-6)
    assert lstm.probabilities(ids[:0]).shape == (0, N_CATEGORIES)
    assert len(epochs) == 2


def test_the_published_size_has_the_published_number_of_weights():
    from training.baselines.published_lstm import ReferenceLstm

    lstm = ReferenceLstm(500, 6, 12, seed=0)
    shapes = [weight.shape for weight in lstm.model.get_weights()]
    assert shapes == [(500, 25), (25, 400), (100, 400), (400,), (100, 12), (12,)]


def test_tensorflow_warnings_do_not_interrupt_the_progress():
    pytest.importorskip("training.baselines.published_lstm")
    assert not logging.getLogger("tensorflow").isEnabledFor(logging.WARNING)
