"""The two ways to run a bundle's models: compiled in ONNX Runtime, or the originals.

Both take the same arrays and return the same answer; `bundle.publish` refuses a bundle for which
they do not.
"""

import io
import os
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES
from classifier.model.forest import (
    calibrated,
    forest_inputs,
    forest_probabilities,
    is_steady,
    temperature_from_json,
)
from classifier.model.header_features import N_HEADER_COLUMNS
from classifier.model.pooling import N_NAME_LOGS, PackMateSummary, name_logs, pooled

# ONNX Runtime's own builds report to their maker by default since 1.29: at its import it writes a
# device id into the user's home, at a session's start it sends the model's name and hashes. This is
# read at import, so `disable_telemetry_events()` would come too late. Not setdefault: the
# libraries of a marketplace, and a producer's folder, are nobody else's business.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

if TYPE_CHECKING:
    from classifier.model.name_lstm import SequenceModel


EngineName = Literal["onnx", "keras"]

_NO_ANSWERS: Final = (
    np.zeros((0, N_CATEGORIES), dtype=np.float32),
    np.zeros((0, N_NAME_LOGS), dtype=np.float32),
)


class Engine(Protocol):
    """Anything that turns encoded names and header numbers into probabilities."""

    def name_logs(self, token_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the LSTMs' predictions for names.

        Parameters
        ----------
        token_ids : ndarray of shape (n_sounds, 8, 12), int64
            From `Vocabulary.encode`.

        Returns
        -------
        ndarray of shape (n_sounds, 24), float32
            As from `pooling.name_logs`.
        """
        ...

    def answers(
        self,
        token_ids: NDArray[np.int64],
        pack_mates: PackMateSummary,
        header_matrix: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the probability of each category, and the LSTMs' predictions for the names.

        Parameters
        ----------
        token_ids : ndarray of shape (n_sounds, 8, 12), int64
            From `Vocabulary.encode`.
        pack_mates : PackMateSummary
            From `encoder.NameEncoder.summaries`.
        header_matrix : ndarray of shape (n_sounds, 6), float32
            From `header_features.header_matrix`: unscaled, NaN where not stated.

        Returns
        -------
        probabilities : ndarray of shape (n_sounds, 12), float32
            In the order of `CATEGORIES`; every row sums to 1.
        name_logs : ndarray of shape (n_sounds, 24), float32
            As from `name_logs`.
        """
        ...


class OnnxEngine:
    """The compiled graph in ONNX Runtime: the default, with neither TensorFlow nor pickle.

    Parameters
    ----------
    model : bytes
        From `onnx_export.compile_models`.
    """

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        # Children of the worker are the parallelism; threads of theirs would fight for the cores.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # The arena keeps the largest batch ever seen resident; a batch needs a few MB.
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def name_logs(self, token_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Engine.name_logs`."""
        # The whole graph runs, forest included: a second session would hold the LSTMs twice.
        unknown = PackMateSummary.unknown(len(token_ids))
        headers = np.full((len(token_ids), N_HEADER_COLUMNS), np.nan, dtype=np.float32)
        return self.answers(token_ids, unknown, headers)[1]

    def answers(
        self,
        token_ids: NDArray[np.int64],
        pack_mates: PackMateSummary,
        header_matrix: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Engine.answers`."""
        if len(token_ids) == 0:
            return _NO_ANSWERS
        inputs = {
            "token_ids": token_ids,
            "mates_logs": pack_mates.logs,
            "mates_shares": pack_mates.shares,
            "header": header_matrix,
        }
        probabilities, logs = self._session.run(["probabilities", "name_logs"], inputs)
        return np.asarray(probabilities, np.float32), np.asarray(logs, np.float32)


class KerasEngine:
    """The originals: two Keras models, scikit-learn's scaler and forest. Needs ``[training]``.

    Parameters
    ----------
    temperature : float
        As `forest.calibrated` takes it.
    """

    def __init__(
        self,
        general: "SequenceModel",
        learned: "SequenceModel",
        scaler: Any,
        forest: Any,
        temperature: float,
    ) -> None:
        self.general: Final = general
        self.learned: Final = learned
        self.scaler: Final = scaler
        self.forest: Final = forest
        self.temperature: Final = temperature

    @classmethod
    def from_bytes(
        cls, general: bytes, learned: bytes, scaler: bytes, forest: bytes, calibration: bytes
    ) -> "KerasEngine":
        """Load the originals. Unpickles: the caller vouches for the bytes.

        Raises
        ------
        ValueError
            A calibration that is none.
        """
        import joblib

        from classifier.model.name_lstm import SequenceModel

        return cls(
            SequenceModel.from_bytes(general),
            SequenceModel.from_bytes(learned),
            joblib.load(io.BytesIO(scaler)),
            joblib.load(io.BytesIO(forest)),
            temperature_from_json(calibration),
        )

    def name_logs(self, token_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Engine.name_logs`."""
        return name_logs(
            self.general.probabilities(token_ids), self.learned.probabilities(token_ids)
        )

    def answers(
        self,
        token_ids: NDArray[np.int64],
        pack_mates: PackMateSummary,
        header_matrix: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Engine.answers`."""
        if len(token_ids) == 0:
            return _NO_ANSWERS
        logs = self.name_logs(token_ids)
        inputs = forest_inputs(pooled(logs, pack_mates), header_matrix, self.scaler)
        probabilities = forest_probabilities(self.forest, inputs)
        return calibrated(probabilities, self.temperature), logs

    def is_steady(
        self,
        token_ids: NDArray[np.int64],
        pack_mates: PackMateSummary,
        header_matrix: NDArray[np.float32],
    ) -> NDArray[np.bool_]:
        """Return which rows every machine must agree on: see `forest.is_steady`."""
        logs = self.name_logs(token_ids)
        return is_steady(logs, pooled(logs, pack_mates), header_matrix, self.scaler)
