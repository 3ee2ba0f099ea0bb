"""Compiling the models into one ONNX graph, which runs without TensorFlow and scikit-learn.

Inputs: ``token_ids`` (`TokenIds`), ``mates_logs`` and ``mates_shares`` (`PackMateSummary`) and
``header`` (`HeaderMatrix`). Outputs: ``probabilities`` and ``name_logs``. Imported while publishing
only; needs the ``[training]`` extra.
"""

from typing import TYPE_CHECKING, Any, Final

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

#: The oldest operator set that has everything used here, for the widest range of ONNX Runtimes.
_OPSET: Final = 18
_ML_OPSET: Final = 3
_IR_VERSION: Final = 8


class _Graph:
    """Nodes and constants under construction; `add` names a node's output after what it holds."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: Any, dtype: Any) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(value, dtype=dtype), name)
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output


def compile_models(
    general: "SequenceWeights",
    learned: "SequenceWeights",
    scaler: Any,
    forest: Any,
    temperature: float,
) -> bytes:
    """Compile both LSTMs, scikit-learn's scaler and forest, and the calibration into one model."""
    graph = _Graph()
    names = _add_names(graph, general, learned)
    scaled, missing = _add_header(graph, scaler)
    inputs = graph.add(
        "Concat", [_on_grid(graph, names, np.float32), scaled, missing], "forest_inputs", axis=1
    )
    _add_forest(graph, forest, inputs)
    _add_calibration(graph, temperature)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "cratesort",
            [
                helper.make_tensor_value_info(
                    "token_ids", TensorProto.INT64, ["n", SEQUENCE_LENGTH, IDS_PER_TOKEN]
                ),
                helper.make_tensor_value_info("mates_logs", TensorProto.FLOAT, ["n", N_NAME_LOGS]),
                helper.make_tensor_value_info(
                    "mates_shares", TensorProto.FLOAT, ["n", N_CATEGORIES]
                ),
                helper.make_tensor_value_info("header", TensorProto.FLOAT, ["n", N_HEADER_COLUMNS]),
            ],
            [
                helper.make_tensor_value_info(
                    "probabilities", TensorProto.FLOAT, ["n", N_CATEGORIES]
                ),
                helper.make_tensor_value_info("name_logs", TensorProto.FLOAT, ["n", N_NAME_LOGS]),
            ],
            initializer=list(graph.constants.values()),
        ),
        opset_imports=[
            helper.make_opsetid("", _OPSET),
            helper.make_opsetid("ai.onnx.ml", _ML_OPSET),
        ],
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _add_names(graph: _Graph, general: "SequenceWeights", learned: "SequenceWeights") -> str:
    """Add what `pooling.name_logs` and `pooling.pooled` do."""
    graph.constant("padding", PADDING_ID, np.int64)
    graph.constant("one", 1.0, np.float32)
    for axis in (0, 1, 2):
        graph.constant(f"axis_{axis}", [axis], np.int64)
    graph.add("Equal", ["token_ids", "padding"], "is_padding")
    graph.add("Not", ["is_padding"], "is_stated")
    graph.add("Cast", ["is_stated"], "stated", to=TensorProto.FLOAT)
    graph.add("ReduceSum", ["stated", "axis_2"], "ids_stated", keepdims=1)
    graph.add("Max", ["ids_stated", "one"], "ids_stated_or_one")
    graph.constant("word_slot", 0, np.int64)
    graph.add("Gather", ["stated", "word_slot"], "is_token", axis=2)
    graph.add("ReduceSum", ["is_token", "axis_1"], "token_count", keepdims=0)
    graph.add("Cast", ["token_count"], "sequence_lengths", to=TensorProto.INT32)
    said = [
        _add_sequence(graph, weights, reader)
        for reader, weights in (("general", general), ("learned", learned))
    ]
    graph.add("Concat", said, "said", axis=1)
    graph.constant("smallest", PROBABILITY_FLOOR, np.float32)
    graph.add("Add", ["said", "smallest"], "said_at_least")
    graph.add("Log", ["said_at_least"], "name_logs")

    mates_weight = _add_mates_weights(graph)
    graph.add("Sub", ["one", mates_weight], "own_weight")
    graph.constant("by_reader", [-1, N_LSTMS, N_CATEGORIES], np.int64)
    graph.constant("joined", [-1, N_NAME_LOGS], np.int64)
    graph.add("IsNaN", ["mates_logs"], "mates_unknown")
    graph.add("Where", ["mates_unknown", "name_logs", "mates_logs"], "mates_or_own")
    graph.add("Mul", ["name_logs", "own_weight"], "own_share")
    graph.add("Mul", ["mates_or_own", mates_weight], "mates_share")
    graph.add("Add", ["own_share", "mates_share"], "pooled_logs")
    graph.add("Reshape", ["pooled_logs", "by_reader"], "pooled_by_reader")
    graph.add("Softmax", ["pooled_by_reader"], "pooled_parts", axis=2)
    return graph.add("Reshape", ["pooled_parts", "joined"], "pooled")


def _add_mates_weights(graph: _Graph) -> str:
    """Add what `pooling.pack_mate_weights` does."""
    for name, value in (
        ("sure_log", CONFIDENT_LOG),
        ("majority", MAJORITY_SHARE),
        ("minority", MINORITY_SHARE),
        ("mates_count", PACK_MATES_WEIGHT),
        ("others_count", CONTRADICTED_WEIGHT),
    ):
        graph.constant(name, value, np.float32)
    graph.constant("first", [0], np.int64)
    graph.constant("behind_general", [N_CATEGORIES], np.int64)
    graph.add("Slice", ["name_logs", "first", "behind_general", "axis_1"], "general_logs")
    graph.add("ReduceMax", ["general_logs", "axis_1"], "top_log", keepdims=1)
    graph.add("Equal", ["general_logs", "top_log"], "is_top")
    graph.add("Cast", ["is_top"], "top", to=TensorProto.FLOAT)
    graph.add("Mul", ["mates_shares", "top"], "top_shares")
    graph.add("ReduceMax", ["top_shares", "axis_1"], "own_share_of_sure", keepdims=1)
    graph.add("ReduceMax", ["mates_shares", "axis_1"], "largest_share", keepdims=1)
    graph.add("Less", ["largest_share", "majority"], "is_mixed")
    graph.add("Greater", ["top_log", "sure_log"], "is_sure")
    graph.add("GreaterOrEqual", ["own_share_of_sure", "minority"], "is_heard")
    graph.add("Less", ["own_share_of_sure", "majority"], "is_outvoted")
    graph.add("And", ["is_sure", "is_heard"], "is_sure_and_heard")
    graph.add("And", ["is_sure_and_heard", "is_outvoted"], "is_minority")
    graph.add("Or", ["is_mixed", "is_minority"], "is_own_voice")
    return graph.add("Where", ["is_own_voice", "others_count", "mates_count"], "mates_weight")


def _add_sequence(graph: _Graph, weights: "SequenceWeights", reader: str) -> str:
    """Add an LSTM; the names of its nodes begin with `reader`."""
    n_units = weights.recurrent_kernel.shape[0]
    embedding = weights.embedding.copy()
    embedding[PADDING_ID] = 0.0  # what the original masks away adds nothing here
    graph.constant(f"{reader}_embedding", embedding, np.float32)
    graph.add("Gather", [f"{reader}_embedding", "token_ids"], f"{reader}_id_vectors", axis=0)
    graph.add("ReduceSum", [f"{reader}_id_vectors", "axis_2"], f"{reader}_summed", keepdims=0)
    graph.add("Div", [f"{reader}_summed", "ids_stated_or_one"], f"{reader}_vectors")
    graph.add("Transpose", [f"{reader}_vectors"], f"{reader}_by_position", perm=[1, 0, 2])

    graph.constant(f"{reader}_kernel", _onnx_gates(weights.kernel)[None], np.float32)
    graph.constant(f"{reader}_recurrent", _onnx_gates(weights.recurrent_kernel)[None], np.float32)
    # ONNX keeps two biases, of the input and of the state; Keras only their sum.
    bias = np.concatenate([_onnx_gates(weights.bias[None])[:, 0], np.zeros(4 * n_units)])
    graph.constant(f"{reader}_bias", bias[None], np.float32)
    graph.nodes.append(
        helper.make_node(
            "LSTM",
            [f"{reader}_by_position", f"{reader}_kernel", f"{reader}_recurrent", f"{reader}_bias",
             "sequence_lengths"],
            ["", f"{reader}_lstm_state"],
            hidden_size=n_units,
        )
    )  # fmt: skip
    graph.add("Squeeze", [f"{reader}_lstm_state", "axis_0"], f"{reader}_state")
    graph.constant(f"{reader}_dense_kernel", weights.dense_kernel, np.float32)
    graph.constant(f"{reader}_dense_bias", weights.dense_bias, np.float32)
    dense = [f"{reader}_state", f"{reader}_dense_kernel", f"{reader}_dense_bias"]
    graph.add("Gemm", dense, f"{reader}_logits")
    return graph.add("Softmax", [f"{reader}_logits"], f"{reader}_said", axis=1)


def _onnx_gates(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Transpose a Keras kernel and put its gates (input, forget, cell, output) in ONNX's order."""
    input_gate, forget, cell, output = np.split(kernel, 4, axis=1)
    return np.concatenate([input_gate, output, forget, cell], axis=1).T


def _add_header(graph: _Graph, scaler: Any) -> tuple[str, str]:
    # In float64 from the first operation to the grid, exactly as `forest.forest_inputs`.
    graph.constant("mean", scaler.mean_, np.float64)
    graph.constant("scale", scaler.scale_, np.float64)
    graph.constant("zero", 0.0, np.float64)
    graph.constant("lowest", -MOST_DEVIATIONS, np.float64)
    graph.constant("highest", MOST_DEVIATIONS, np.float64)
    graph.add("IsNaN", ["header"], "is_missing")
    graph.add("Cast", ["is_missing"], "missing", to=TensorProto.FLOAT)
    graph.add("Cast", ["header"], "header_64", to=TensorProto.DOUBLE)
    graph.add("Sub", ["header_64", "mean"], "centred")
    graph.add("Div", ["centred", "scale"], "unbounded")
    graph.add("Where", ["is_missing", "zero", "unbounded"], "filled")
    graph.add("Clip", ["filled", "lowest", "highest"], "bounded")
    rounded = _on_grid(graph, "bounded", np.float64)
    return graph.add("Cast", [rounded], "scaled", to=TensorProto.FLOAT), "missing"


def _on_grid(graph: _Graph, value: str, dtype: Any) -> str:
    """Round to the grid; ONNX's Round and NumPy's both take halves to the even neighbour."""
    steps = graph.constant(f"{value}_steps", GRID_STEPS, dtype)
    graph.add("Mul", [value, steps], f"{value}_in_steps")
    graph.add("Round", [f"{value}_in_steps"], f"{value}_rounded")
    return graph.add("Div", [f"{value}_rounded", steps], f"{value}_on_grid")


def _add_forest(graph: _Graph, forest: Any, inputs: str) -> None:
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
    # One column per class it was fitted on; the product puts each where `CATEGORIES` has it.
    placement = np.zeros((len(forest.classes_), N_CATEGORIES))
    placement[np.arange(len(forest.classes_)), forest.classes_] = 1.0
    graph.constant("placement", placement, np.float32)
    graph.add("MatMul", ["forest_probabilities", "placement"], "uncalibrated")


def _add_calibration(graph: _Graph, temperature: float) -> None:
    graph.constant("sharpness", 1.0 / temperature, np.float32)
    graph.add("Pow", ["uncalibrated", "sharpness"], "raised")
    graph.add("ReduceSum", ["raised", "axis_1"], "raised_sum", keepdims=1)
    graph.add("Div", ["raised", "raised_sum"], "probabilities")
