"""Operators of ai.onnx.ml as skl2onnx, onnxmltools and their like write them: trees, scalers, linear models.

What is right is what ONNX Runtime gives, but for the labels of trees: there it and ONNX's reference agree.
"""

import itertools

import numpy as np
from suite import FLOAT, INT64, case, f32, node, onnxruntime, tensor

X = f32([1, 2, 3], [4, 5, 6])
SUPPORT = dict(kernel_type="RBF", kernel_params=[0.5, 0.0, 3.0], support_vectors=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
LABELS = {"label": INT64, "p": FLOAT}


def cases():
    yield from scalers()
    yield from encoders()
    yield from linear()
    yield from supported()
    yield from regressors()
    yield from binary_trees()
    yield from tree_modes()


def one(name, op, inputs, told, version=3, constants={}, opset=18, **attributes):
    outputs = list(told.types if hasattr(told, "types") else told)
    nodes = [node(op, [*inputs, *constants], outputs, domain="ai.onnx.ml", **attributes)]
    how = dict(constants=constants, domains={"ai.onnx.ml": version}, opset=opset, ir=10 if opset > 20 else 8)
    open_too = {f"extents_{key}": ["n", np.shape(value)[1]] for key, value in inputs.items()}
    return case(name, nodes, inputs, told, rtol=1e-3, atol=1e-3, **open_too, **how)


def scalers():
    told, x = onnxruntime(y=FLOAT), {"x": X}
    yield one("Scaler", "Scaler", x, told, offset=[1.0, 2.0, 3.0], scale=[0.5] * 3)
    for norm in ("L1", "L2", "MAX"):
        yield one(f"Normalizer_{norm}", "Normalizer", x, told, norm=norm)
    yield one("Binarizer", "Binarizer", x, told, threshold=3.0)
    yield one("Imputer", "Imputer", x, told, imputed_value_floats=[9.0], replaced_value_float=5.0)
    missing = {"x": f32([np.nan, 2, 3], [4, np.nan, 6])}
    how = dict(imputed_value_floats=[7.0, 8.0, 9.0], replaced_value_float=np.nan)
    yield one("Imputer_nan", "Imputer", missing, told, **how)
    yield one("FeatureVectorizer", "FeatureVectorizer", x, told, inputdimensions=[3])
    places = {"i": np.array([2, 0])}
    yield one("ArrayFeatureExtractor", "ArrayFeatureExtractor", x, told, constants=places)


def encoders():
    x = {"x": X.astype(np.int64)}
    yield one("OneHotEncoder", "OneHotEncoder", x, onnxruntime(y=FLOAT), cats_int64s=[1, 2, 3], zeros=1)
    how = dict(keys_int64s=[1, 2], values_int64s=[10, 20], default_int64=-1)
    yield one("LabelEncoder", "LabelEncoder", x, onnxruntime(y=INT64), **how)
    how = dict(keys_int64s=[1, 5], values_floats=[0.5, 2.5], default_float=-1.0)
    yield one("LabelEncoder_to_floats", "LabelEncoder", x, onnxruntime(y=FLOAT), **how)


def linear():
    x = {"x": X}
    how = dict(coefficients=[1.0, 2.0, 3.0], intercepts=[0.5], targets=1)
    yield one("LinearRegressor", "LinearRegressor", x, onnxruntime(y=FLOAT), **how)
    for after in ("NONE", "SOFTMAX", "LOGISTIC"):
        how = dict(coefficients=[1.0, 2.0, 3.0, -1.0, -2.0, -3.0], intercepts=[0.1, 0.2], classlabels_ints=[0, 1])
        yield one(
            f"LinearClassifier_{after}", "LinearClassifier", x, onnxruntime(**LABELS), **how, post_transform=after
        )


def supported():
    how = dict(**SUPPORT, coefficients=[1.0, -1.0], rho=[0.1], post_transform="NONE")
    yield one("SVMRegressor", "SVMRegressor", {"x": X}, onnxruntime(y=FLOAT), n_supports=2, **how)
    how |= dict(vectors_per_class=[1, 1], classlabels_ints=[0, 1])
    yield one("SVMClassifier", "SVMClassifier", {"x": X}, onnxruntime(**LABELS), **how)


STUMP = dict(
    nodes_falsenodeids=[2, 0, 0],
    nodes_featureids=[0, 0, 0],
    nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
    nodes_nodeids=[0, 1, 2],
    nodes_treeids=[0] * 3,
    nodes_truenodeids=[1, 0, 0],
)


def regressors():
    x, told, leaves = (
        {"x": X},
        onnxruntime(y=FLOAT),
        dict(target_ids=[0, 0], target_nodeids=[1, 2], target_treeids=[0, 0]),
    )
    for aggregate in ("SUM", "AVERAGE", "MIN", "MAX"):
        how = dict(**STUMP, **leaves, nodes_values=[2.5, 0.0, 0.0], target_weights=[7.0, 8.0], n_targets=1)
        name = f"TreeEnsembleRegressor_{aggregate}"
        yield one(name, "TreeEnsembleRegressor", x, told, aggregate_function=aggregate, base_values=[0.5], **how)
    how = dict(
        nodes_modes=tensor("", np.uint8([0])),
        nodes_splits=tensor("", f32(2.5)),
        leaf_weights=tensor("", f32(7, 8)),
        nodes_featureids=[0],
        nodes_truenodeids=[0],
        nodes_trueleafs=[1],
        nodes_falsenodeids=[1],
        nodes_falseleafs=[1],
        leaf_targetids=[0, 0],
        tree_roots=[0],
    )
    how |= dict(n_targets=1, aggregate_function=1, post_transform=0)
    yield one("TreeEnsemble", "TreeEnsemble", x, told, version=5, opset=21, **how)


def classifier(name, x, weights, told, **how):
    leaves = dict(class_ids=[0, 0], class_nodeids=[1, 2], class_treeids=[0, 0], class_weights=weights)
    options = {"classlabels_int64s": [0, 1], "post_transform": "NONE", **STUMP, **leaves, **how}
    return one(name, "TreeEnsembleClassifier", {"x": x}, told, version=1, nodes_values=[0.5, 0.0, 0.0], **options)


def binary_trees():
    """Two classes, and weights for one, as gradient boosting is exported."""
    x = f32([0], [1], [0], [1])
    expected = {"label": np.array([0, 1, 0, 1]), "p": f32([0.8, 0.2], [0.1, 0.9], [0.8, 0.2], [0.1, 0.9])}
    yield classifier("binary_probabilities", x, [0.2, 0.9], expected)
    for weights, after in itertools.product(((0.3, 0.8), (-0.7, 0.8)), ("NONE", "LOGISTIC")):
        name = f"binary_{weights}_{after}"
        yield classifier(name, x, weights, onnxruntime(**LABELS), post_transform=after)
        name = f"binary_{weights}_{after}_labels"
        told = onnxruntime(**LABELS)
        yield classifier(name, x, weights, told, post_transform=after, classlabels_int64s=[7, 3])
    both = dict(class_ids=[0, 1, 0, 1], class_nodeids=[1, 1, 2, 2], class_treeids=[0] * 4)
    yield classifier("binary_weights_for_both", x, [0.8, 0.2, 0.1, 0.9], onnxruntime(**LABELS), **both)
    told = onnxruntime(**LABELS)
    yield classifier("binary_two_base_values", x, [0.8, 0.2, 0.1, 0.9], told, **both, base_values=[0.1, 0.2])


def tree_modes():
    x = f32([0], [0.5], [1], [np.nan])
    three = dict(class_ids=[0, 1, 2], class_nodeids=[1, 2, 2], class_treeids=[0] * 3, classlabels_int64s=[0, 1, 2])
    for mode in ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ"):
        modes = dict(nodes_modes=[f"BRANCH_{mode}", "LEAF", "LEAF"])
        yield classifier(f"branch_{mode}", x, [0.3, 0.8, 0.2], onnxruntime(**LABELS), **three, **modes)
