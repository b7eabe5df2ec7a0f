"""What a case is made of, and who tells the numbers that are expected."""

import re
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, DOUBLE, HALF = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16
INT64, INT32, INT8, UINT8, BOOL = (
    TensorProto.INT64,
    TensorProto.INT32,
    TensorProto.INT8,
    TensorProto.UINT8,
    TensorProto.BOOL,
)

node = helper.make_node
INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
FLOATS = (np.float16, np.float32, np.float64)


@dataclass
class Case:
    """A model, what it is given and what it has to answer."""

    name: str
    model: onnx.ModelProto
    inputs: dict
    # None where the model has to be refused.
    expected: dict | None
    rtol: float = 1e-5
    atol: float = 1e-6
    sign_of_zero: bool = False
    # More than a short test can bear.
    large: bool = False
    # What lies beside the model, by name.
    files: dict = field(default_factory=dict)

    def __post_init__(self):
        self.name = re.sub(r"[^\w.=+-]+", "_", self.name, flags=re.ASCII).strip("_")


@dataclass(frozen=True)
class Told:
    """Outputs whose numbers somebody else tells; nobody, where a refusal is right."""

    types: dict
    by: object = None


def onnxruntime(**types):
    """What ONNX Runtime gives without its optimisations."""
    return Told(types, run_onnxruntime)


def reference(**types):
    """What ONNX's reference gives."""
    return Told(types, run_reference)


def refused(**types):
    """Nothing: no number would be right."""
    return Told(types)


def case(name, nodes, inputs, expected, *, opset=17, ir=8, constants=(), **options):
    """A case of a graph of these nodes. `expected` are arrays by output, or `Told`; the rest goes to `of_model`."""
    told = expected.types if isinstance(expected, Told) else {key: kind(value) for key, value in expected.items()}
    domains = options.pop("domains", {})
    ports = [port(key, value, options.pop(f"extents_{key}", None)) for key, value in inputs.items()]
    if options.pop("open_extents", False):
        ports = [
            helper.make_tensor_value_info(key, kind(value), [None] * np.ndim(value)) for key, value in inputs.items()
        ]
    outputs = [helper.make_tensor_value_info(key, element, None) for key, element in told.items()]
    graph = helper.make_graph(
        nodes, "g", ports, outputs, [tensor(key, value) for key, value in dict(constants).items()]
    )
    return of_model(name, model(graph, opset, ir, domains), inputs, expected, **options)


def of_model(name, model, inputs, expected, **options):
    """A case of a model that is made already; `options` are fields of `Case`."""
    inputs = {key: np.asarray(value) for key, value in inputs.items()}
    if isinstance(expected, Told):
        answers = expected.by and expected.by(model, inputs)
        expected = answers and {key: answers[key] for key in expected.types}
    else:
        expected = {key: np.asarray(value) for key, value in expected.items()}
    return Case(name, model, inputs, expected, **options)


def model(graph, opset=13, ir=8, domains={}, functions=()):
    opsets = [helper.make_opsetid(domain, version) for domain, version in {"": opset, **domains}.items() if version]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir, functions=list(functions))


def port(name, value, extents=None):
    return helper.make_tensor_value_info(name, kind(value), list(np.shape(value)) if extents is None else extents)


def tensor(name, value):
    if isinstance(value, TensorProto):
        value.name = name
        return value
    return numpy_helper.from_array(np.asarray(value), name)


def kind(value):
    """The element type of an array as ONNX numbers it."""
    return helper.np_dtype_to_tensor_dtype(np.asarray(value).dtype)


def element(dtype):
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def label(dtype):
    return np.dtype(dtype).name


def f32(*values):
    return np.array(values, np.float32)


def i64(*values):
    return np.array(values, np.int64)


def normal(random, *shape):
    return np.asarray(random.randn(*shape), np.float32)


def in_double(function, *values):
    """A function in FP64 of numbers of a smaller type, rounded once."""
    wide = (np.asarray(value).astype(np.float64) for value in values)
    return np.asarray(function(*wide)).astype(np.asarray(values[0]).dtype)


def run_onnxruntime(model, inputs):
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, inputs)))


def run_reference(model, inputs):
    from onnx.reference import ReferenceEvaluator

    return dict(zip([output.name for output in model.graph.output], ReferenceEvaluator(model).run(None, inputs)))
