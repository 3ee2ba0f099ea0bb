"""Bundles that cost no training."""

import io
import zipfile
from dataclasses import replace

from classifier.bundle.archive import pack
from classifier.bundle.load import read_manifest
from classifier.bundle.manifest import COMPILED, MANIFEST, MEMBERS, sha256
from classifier.bundle.starter import starter_bundle


def called(version: str, **changed: bytes) -> bytes:
    """Return a bundle that serves as the starter does, and calls itself otherwise.

    - `changed`: members in place of the starter's, by name without a suffix.
    """
    members = unpacked(starter_bundle())
    manifest = replace(read_manifest(starter_bundle()), version=version)
    for name in MEMBERS:
        members[name] = changed.get(name.partition(".")[0], members[name])
    hashes = {name: sha256(members[name]) for name in MEMBERS}
    manifest = replace(manifest, member_sha256=hashes)
    return pack({MANIFEST: manifest.to_json(), **{name: members[name] for name in MEMBERS}})


def endless(version: str) -> bytes:
    """Return a bundle with the right hashes, whose model computes for centuries."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load_from_string(unpacked(starter_bundle())[COMPILED])
    graph = model.graph
    for node in graph.node:
        for place, name in enumerate(node.output):
            node.output[place] = "once" if name == "probabilities" else name
    step = helper.make_graph(
        [helper.make_node("Identity", [name], [f"{name} on"]) for name in ("go", "value")],
        "step",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value on", TensorProto.FLOAT, None),
        ],
    )
    graph.initializer.append(helper.make_tensor("turns", TensorProto.INT64, [], [2**62]))
    graph.initializer.append(helper.make_tensor("at first", TensorProto.BOOL, [], [True]))
    graph.node.append(
        helper.make_node("Loop", ["turns", "at first", "once"], ["probabilities"], body=step)
    )
    return called(version, compiled=model.SerializeToString())


def unpacked(bundle: bytes) -> dict[str, bytes]:
    """Return the members of a bundle."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}
