"""Makes models as tools in use make them: quantisers, converters to FP16, optimisers, scikit-learn's and LightGBM's.

A tool takes the model that it starts from, where the result goes, and what draws inputs for a calibration.
"""

import numpy as np
import onnx


def dynamic(weights):
    def tool(source, target, _):
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(source, target, weight_type=getattr(QuantType, weights))

    return tool


def static(form, activations="QUInt8"):
    """Calibrated by one drawn input."""

    def tool(source, target, draw):
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

        class Once(CalibrationDataReader):
            def __init__(self):
                self.rest = iter([draw()])

            def get_next(self):
                return next(self.rest, None)

        form_, type_ = getattr(QuantFormat, form), getattr(QuantType, activations)
        weights = QuantType.QInt8 if "8" in activations else QuantType.QInt16
        quantize_static(source, target, Once(), quant_format=form_, activation_type=type_, weight_type=weights)

    return tool


def four_bits(form):
    def tool(source, target, _):
        from onnxruntime.quantization import QuantFormat
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        made = MatMulNBitsQuantizer(onnx.load(source), block_size=32, quant_format=getattr(QuantFormat, form))
        made.process()
        made.model.save_model_to_file(str(target))

    return tool


def half(keep_io_types):
    def tool(source, target, _):
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=keep_io_types), target)

    return tool


def optimised(level):
    """What ONNX Runtime saves after its own optimiser."""

    def tool(source, target, _):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
        options.optimized_model_filepath = str(target)
        onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])

    return tool


def table():
    """Numbers to learn from, the same each time."""
    random = np.random.RandomState(0)
    x = random.rand(120, 4).astype(np.float32)
    return x, (x[:, 0] * 3).astype(np.int64), (x @ np.arange(4)).astype(np.float32)


def learned(kind, classes=3, zipmap=False):
    """A model of scikit-learn."""

    def tool(_, target, __):
        from skl2onnx import to_onnx
        from sklearn.base import is_classifier
        from sklearn.utils import all_estimators

        x, labels, numbers = table()
        model = dict(all_estimators())[kind]()
        if "random_state" in model.get_params():
            model.set_params(random_state=0)
        classifies = is_classifier(model)
        model.fit(x, np.minimum(labels, classes - 1) if classifies else numbers)
        options = {id(model): {"zipmap": zipmap}} if classifies else None
        # 1.20 of the converter writes no higher ones for some.
        onnx.save(to_onnx(model, x[:1], options=options, target_opset={"": 17, "ai.onnx.ml": 3}), target)

    return tool


def boosted(kind):
    """A model of LightGBM."""

    def tool(_, target, __):
        import lightgbm
        from onnxmltools import convert_lightgbm
        from onnxmltools.convert.common.data_types import FloatTensorType

        x, labels, numbers = table()
        model = getattr(lightgbm, kind)(n_estimators=10, verbose=-1)
        model.fit(x, np.minimum(labels, 1) if kind == "LGBMClassifier" else numbers)
        types, plain = [("X", FloatTensorType([None, 4]))], {"zipmap": False} if kind == "LGBMClassifier" else {}
        onnx.save(convert_lightgbm(model, initial_types=types, target_opset=15, **plain), target)

    return tool


CLASSIFIERS = {
    "gbc": "GradientBoostingClassifier",
    "knn": "KNeighborsClassifier",
    "logreg": "LogisticRegression",
    "mlp": "MLPClassifier",
    "nb": "GaussianNB",
    "rf": "RandomForestClassifier",
    "svc": "SVC",
    "dt": "DecisionTreeClassifier",
}
REGRESSORS = {
    "et": "ExtraTreesRegressor",
    "gbr": "GradientBoostingRegressor",
    "gpr": "GaussianProcessRegressor",
    "kmeans": "KMeans",
    "svr": "SVR",
    "ridge": "Ridge",
}
TOOLS = {
    "dyn": dynamic("QInt8"),
    "dynu": dynamic("QUInt8"),
    "qs8": static("QDQ"),
    "qdq8": static("QDQ", "QInt8"),
    "qdq16": static("QDQ", "QUInt16"),
    "qop8": static("QOperator"),
    "nb4": four_bits("QOperator"),
    "qdq4": four_bits("QDQ"),
    "f16": half(True),
    "f16io": half(False),
    "ortbasic": optimised("BASIC"),
    "ortext": optimised("EXTENDED"),
    **{f"skl_{name}": learned(kind) for name, kind in {**CLASSIFIERS, **REGRESSORS}.items()},
    **{f"skl_{name}_zipmap": learned(kind, zipmap=True) for name, kind in CLASSIFIERS.items()},
    **{f"skl_{name}_binary": learned(CLASSIFIERS[name], classes=2) for name in ("gbc", "rf", "dt", "logreg", "svc")},
    "lgb_cls": boosted("LGBMClassifier"),
    "lgb_reg": boosted("LGBMRegressor"),
}
