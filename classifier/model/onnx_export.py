"""Compile the models into one ONNX graph, which runs without TensorFlow and scikit-learn.

Inputs: ``token_ids`` (`TokenIds`), ``mates_logs`` and ``mates_shares`` (`PackMateSummary`) and
``header`` (`HeaderMatrix`). Outputs: ``probabilities`` and ``name_logs``. Imported only to publish
a bundle; needs the ``[training]`` extra.
"""

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType

from classifier.categories import N_CATEGORIES
from classifier.model.forest import GRID_STEPS, MOST_DEVIATIONS
from classifier.model.header_features import N_HEADER_COLUMNS
from classifier.model.pooling import (
    CONFIDENT_LOG,
    CONTRADICTED_WEIGHT,
    MAJORITY_SHARE,
    MINORITY_SHARE,
    N_LSTMS,
    N_NAME_LOGS,
    PACK_MATES_WEIGHT,
    PROBABILITY_FLOOR,
)
from classifier.model.vocabulary import IDS_PER_TOKEN, PADDING_ID, SEQUENCE_LENGTH

if TYPE_CHECKING:
    from classifier.model.name_lstm import SequenceWeights

#: The oldest operator set with all operators used here, for the widest range of ONNX Runtimes.
_OPSET: Final = 18
_ML_OPSET: Final = 3
_IR_VERSION: Final = 8


_Constant: TypeAlias = NDArray[Any] | np.generic


class _Graph:
    """Nodes and constants under construction.

    Calling it adds a node and returns the name of its output. Inputs are names of values, or NumPy
    values, which become constants.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def __call__(
        self, operator: str, *inputs: str | _Constant, output: str = "", **attributes: Any
    ) -> str:
        output = output or f"{operator}_{len(self.nodes)}"
        names = [self.constant(value) if not isinstance(value, str) else value for value in inputs]
        self.nodes.append(helper.make_node(operator, names, [output], **attributes))
        return output

    def constant(self, value: _Constant, name: str = "") -> str:
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def compile_models(
    general: "SequenceWeights",
    learned: "SequenceWeights",
    scaler: Any,
    forest: Any,
    temperature: float,
) -> bytes:
    """Compile both LSTMs, scikit-learn's scaler and forest, and the calibration into one model."""
    graph = _Graph()
    names = _round_to_grid(graph, _add_names(graph, general, learned), np.float32)
    inputs = graph("Concat", names, *_add_header(graph, scaler), axis=1)
    _add_calibration(graph, _add_forest(graph, forest, inputs), temperature)
    shapes = {
        "token_ids": (TensorProto.INT64, SEQUENCE_LENGTH, IDS_PER_TOKEN),
        "mates_logs": (TensorProto.FLOAT, N_NAME_LOGS),
        "mates_shares": (TensorProto.FLOAT, N_CATEGORIES),
        "header": (TensorProto.FLOAT, N_HEADER_COLUMNS),
        "probabilities": (TensorProto.FLOAT, N_CATEGORIES),
        "name_logs": (TensorProto.FLOAT, N_NAME_LOGS),
    }
    values = [
        helper.make_tensor_value_info(name, dtype, ["n", *columns])
        for name, (dtype, *columns) in shapes.items()
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "cratesort", values[:4], values[4:], graph.constants),
        opset_imports=[
            helper.make_opsetid("", _OPSET),
            helper.make_opsetid("ai.onnx.ml", _ML_OPSET),
        ],
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _add_names(graph: _Graph, general: "SequenceWeights", learned: "SequenceWeights") -> str:
    """Add the computations of `pooling.name_logs` and `pooling.pooled`."""
    is_id = graph("Not", graph("Equal", "token_ids", np.int64(PADDING_ID)))
    stated = graph("Cast", is_id, to=TensorProto.FLOAT)
    n_ids = graph("Max", graph("ReduceSum", stated, _axis(2), keepdims=1), np.float32(1))
    is_token = graph("Gather", stated, np.int64(0), axis=2)
    n_tokens = graph("ReduceSum", is_token, _axis(1), keepdims=0)
    lengths = graph("Cast", n_tokens, to=TensorProto.INT32)
    by_lstm = [
        _add_lstm(graph, weights, name, n_ids, lengths)
        for name, weights in (("general", general), ("learned", learned))
    ]
    floored = graph("Add", graph("Concat", *by_lstm, axis=1), np.float32(PROBABILITY_FLOOR))
    graph("Log", floored, output="name_logs")

    weight = _add_pack_mate_weights(graph)
    mean_logs = graph("Where", graph("IsNaN", "mates_logs"), "name_logs", "mates_logs")
    own = graph("Mul", "name_logs", graph("Sub", np.float32(1), weight))
    logs = graph("Add", own, graph("Mul", mean_logs, weight))
    parts = graph("Reshape", logs, np.array([-1, N_LSTMS, N_CATEGORIES]))
    pooled = graph("Softmax", parts, axis=2)
    return graph("Reshape", pooled, np.array([-1, N_NAME_LOGS]))


def _add_pack_mate_weights(graph: _Graph) -> str:
    """Add the computation of `pooling.pack_mate_weights`."""
    general = graph("Slice", "name_logs", np.array([0]), np.array([N_CATEGORIES]), _axis(1))
    top = graph("ReduceMax", general, _axis(1), keepdims=1)
    is_top = graph("Cast", graph("Equal", general, top), to=TensorProto.FLOAT)
    own_share = graph("ReduceMax", graph("Mul", "mates_shares", is_top), _axis(1), keepdims=1)
    largest_share = graph("ReduceMax", "mates_shares", _axis(1), keepdims=1)
    is_mixed = graph("Less", largest_share, np.float32(MAJORITY_SHARE))
    is_shared = graph("GreaterOrEqual", own_share, np.float32(MINORITY_SHARE))
    is_confident = graph("And", graph("Greater", top, CONFIDENT_LOG), is_shared)
    is_outvoted = graph("Less", own_share, np.float32(MAJORITY_SHARE))
    is_minority = graph("And", is_confident, is_outvoted)
    is_contradicted = graph("Or", is_mixed, is_minority)
    return graph(
        "Where", is_contradicted, np.float32(CONTRADICTED_WEIGHT), np.float32(PACK_MATES_WEIGHT)
    )


def _add_lstm(
    graph: _Graph, weights: "SequenceWeights", name: str, n_ids: str, lengths: str
) -> str:
    """Add an LSTM; the names of its constants begin with `name`."""
    n_units = weights.recurrent_kernel.shape[0]
    embedding = weights.embedding.copy()
    embedding[PADDING_ID] = 0.0  # the original masks padding
    vectors = graph("Gather", graph.constant(embedding, f"{name}_embedding"), "token_ids", axis=0)
    mean = graph("Div", graph("ReduceSum", vectors, _axis(2), keepdims=0), n_ids)
    # ONNX has two biases, for the input and for the state; Keras has only their sum.
    bias = np.concatenate([_onnx_gates(weights.bias[None])[:, 0], np.zeros(4 * n_units)])
    inputs = [
        graph("Transpose", mean, perm=[1, 0, 2]),
        graph.constant(_onnx_gates(weights.kernel)[None], f"{name}_kernel"),
        graph.constant(_onnx_gates(weights.recurrent_kernel)[None], f"{name}_recurrent"),
        graph.constant(bias[None].astype(np.float32), f"{name}_bias"),
        lengths,
    ]
    state = f"{name}_state"
    graph.nodes.append(helper.make_node("LSTM", inputs, ["", state], hidden_size=n_units))
    logits = graph(
        "Gemm",
        graph("Squeeze", state, _axis(0)),
        graph.constant(weights.dense_kernel, f"{name}_dense_kernel"),
        graph.constant(weights.dense_bias, f"{name}_dense_bias"),
    )
    return graph("Softmax", logits, axis=1)


def _onnx_gates(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Transpose a Keras kernel and put its gates (input, forget, cell, output) in ONNX's order."""
    input_gate, forget, cell, output = np.split(kernel, 4, axis=1)
    return np.concatenate([input_gate, output, forget, cell], axis=1).T


def _add_header(graph: _Graph, scaler: Any) -> tuple[str, str]:
    """Add the computation of `forest.forest_inputs` for the header, in float64 up to the grid."""
    is_missing = graph("IsNaN", "header")
    header = graph("Cast", "header", to=TensorProto.DOUBLE)
    centred = graph("Sub", header, np.asarray(scaler.mean_, np.float64))
    scaled = graph("Div", centred, np.asarray(scaler.scale_, np.float64))
    filled = graph("Where", is_missing, np.float64(0), scaled)
    bounded = graph("Clip", filled, np.float64(-MOST_DEVIATIONS), np.float64(MOST_DEVIATIONS))
    rounded = _round_to_grid(graph, bounded, np.float64)
    return (
        graph("Cast", rounded, to=TensorProto.FLOAT),
        graph("Cast", is_missing, to=TensorProto.FLOAT),
    )


def _round_to_grid(graph: _Graph, value: str, dtype: "type[np.floating[Any]]") -> str:
    """Round to the grid; ONNX's Round and NumPy's both take halves to the even neighbour."""
    steps = graph.constant(dtype(GRID_STEPS))
    return graph("Div", graph("Round", graph("Mul", value, steps)), steps)


def _add_forest(graph: _Graph, forest: Any, inputs: str) -> str:
    converted = convert_sklearn(
        forest,
        initial_types=[(inputs, FloatTensorType([None, forest.n_features_in_]))],
        options={id(forest): {"zipmap": False}},
        target_opset={"": _OPSET, "ai.onnx.ml": _ML_OPSET},
    )
    (trees,) = [n for n in converted.graph.node if n.op_type == "TreeEnsembleClassifier"]
    trees.input[:] = [inputs]
    trees.output[:] = ["forest_label", "forest_probabilities"]
    graph.nodes.append(trees)
    # One column per fitted class; the product moves each to its column in `CATEGORIES`.
    placement = np.zeros((len(forest.classes_), N_CATEGORIES), np.float32)
    placement[np.arange(len(forest.classes_)), forest.classes_] = 1.0
    return graph("MatMul", "forest_probabilities", placement)


def _add_calibration(graph: _Graph, uncalibrated: str, temperature: float) -> None:
    raised = graph("Pow", uncalibrated, np.float32(1.0 / temperature))
    total = graph("ReduceSum", raised, _axis(1), keepdims=1)
    graph("Div", raised, total, output="probabilities")


def _axis(axis: int) -> NDArray[np.int64]:
    return np.array([axis])
