"""The two engines that run a bundle's models: ONNX Runtime (compiled), or Keras (the originals).

Both take the same arrays and return the same predictions; `bundle.publish` refuses a bundle for
which the predictions differ.
"""

import io
import os
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from classifier.categories import N_CATEGORIES
from classifier.model.arrays import ByLstm, HeaderMatrix, Probabilities, TokenIds
from classifier.model.confidence import Calibration
from classifier.model.forest import (
    calibrated,
    forest_inputs,
    forest_probabilities,
    is_steady,
)
from classifier.model.header_features import N_HEADER_COLUMNS
from classifier.model.pooling import N_NAME_LOGS, PackMateSummary, name_logs, pooled

# Since 1.29 ONNX Runtime's own builds send telemetry by default: at import it writes a device id
# into the user's home, at a session's start it sends the model's name and hashes. The variable is
# read at import, so `disable_telemetry_events()` would come too late. It is set regardless of the
# environment.
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
    """Predicts probabilities from encoded names and header values."""

    def name_logs(self, token_ids: TokenIds) -> ByLstm:
        """Return the LSTMs' predictions for names, as from `pooling.name_logs`."""
        ...

    def predict(
        self, token_ids: TokenIds, pack_mates: PackMateSummary, header_matrix: HeaderMatrix
    ) -> tuple[Probabilities, ByLstm]:
        """Return the probabilities of the categories, and `name_logs` of the names."""
        ...


class OnnxEngine:
    """The graph of `onnx_export` in ONNX Runtime: the default, without TensorFlow and pickle."""

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        # Child processes of the worker run in parallel; additional threads would compete for the
        # cores.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # The arena would keep the memory of the largest batch allocated; a batch needs a few MB.
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model,
            options,
            providers=["CPUExecutionProvider"],
            # Constant folding would compute while the model is loaded, where it cannot be stopped.
            disabled_optimizers=["ConstantFolding"],
        )
        self._run_options = onnxruntime.RunOptions()
        self._run_options.log_severity_level = 4  # errors are raised, not logged

    def stop(self) -> None:
        """Make the run in progress and every later run fail; may be called from another thread."""
        self._run_options.terminate = True

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return bool(self._run_options.terminate)

    def name_logs(self, token_ids: TokenIds) -> ByLstm:
        """See `Engine.name_logs`."""
        # The whole graph runs, forest included: a second session would hold the LSTMs twice.
        unknown = PackMateSummary.unknown(len(token_ids))
        headers = np.full((len(token_ids), N_HEADER_COLUMNS), np.nan, dtype=np.float32)
        return self.predict(token_ids, unknown, headers)[1]

    def predict(
        self, token_ids: TokenIds, pack_mates: PackMateSummary, header_matrix: HeaderMatrix
    ) -> tuple[Probabilities, ByLstm]:
        """See `Engine.predict`."""
        if len(token_ids) == 0:
            return _NO_ANSWERS
        inputs = {
            "token_ids": token_ids,
            "mates_logs": pack_mates.logs,
            "mates_shares": pack_mates.shares,
            "header": header_matrix,
        }
        probabilities, logs = self._session.run(
            ["probabilities", "name_logs"], inputs, self._run_options
        )
        return np.asarray(probabilities, np.float32), np.asarray(logs, np.float32)


class KerasEngine:
    """The originals: two Keras models, scikit-learn's scaler and forest. Needs ``[training]``."""

    def __init__(
        self,
        general: "SequenceModel",
        learned: "SequenceModel",
        scaler: Any,
        forest: Any,
        calibration: Calibration,
    ) -> None:
        self.general: Final = general
        self.learned: Final = learned
        self.scaler: Final = scaler
        self.forest: Final = forest
        self.calibration: Final = calibration

    @classmethod
    def from_bytes(
        cls, general: bytes, learned: bytes, scaler: bytes, forest: bytes, calibration: bytes
    ) -> "KerasEngine":
        """Load the originals. This unpickles, so the caller must have checked the hashes."""
        import joblib

        from classifier.model.name_lstm import SequenceModel

        return cls(
            SequenceModel.from_bytes(general),
            SequenceModel.from_bytes(learned),
            joblib.load(io.BytesIO(scaler)),
            joblib.load(io.BytesIO(forest)),
            Calibration.from_json(calibration),
        )

    def name_logs(self, token_ids: TokenIds) -> ByLstm:
        """See `Engine.name_logs`."""
        return name_logs(
            self.general.probabilities(token_ids), self.learned.probabilities(token_ids)
        )

    def predict(
        self, token_ids: TokenIds, pack_mates: PackMateSummary, header_matrix: HeaderMatrix
    ) -> tuple[Probabilities, ByLstm]:
        """See `Engine.predict`."""
        if len(token_ids) == 0:
            return _NO_ANSWERS
        logs = self.name_logs(token_ids)
        inputs = forest_inputs(pooled(logs, pack_mates), header_matrix, self.scaler)
        probabilities = forest_probabilities(self.forest, inputs)
        return calibrated(probabilities, self.calibration.temperature), logs

    def is_steady(
        self, token_ids: TokenIds, pack_mates: PackMateSummary, header_matrix: HeaderMatrix
    ) -> NDArray[np.bool_]:
        """Return which rows must be equal on every machine: see `forest.is_steady`."""
        logs = self.name_logs(token_ids)
        return is_steady(logs, pooled(logs, pack_mates), header_matrix, self.scaler)
