"""Learns item embeddings from generated shopping sessions and writes the recommender as ONNX.

    python guests/recommend/model/train.py

Input `session` int64 [L], item ids 0..9999 with the latest last; outputs `scores` float32 [100]
and `items` int64 [100], best first, the session's own items among them. A few cases checked
against ONNX Runtime go to tests/data/recommend/. Needs no more than tests/requirements.txt
(scipy and threadpoolctl come with scikit-learn).
"""

import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from scipy import sparse
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits

MODEL = Path(__file__).with_name("recommend.onnx")
CASES = Path(__file__).parents[3] / "tests" / "data" / "recommend"

SEED = 11
ITEMS = 10_000
THEMES = 30
DIMENSION = 32
SESSIONS = 60_000
HELD_OUT = 2_000
LENGTH_MIN, LENGTH_MAX = 3, 20
THEME_KEPT = 0.9
WINDOW = 4
DECAY_PER_STEP = 0.8
ANSWERS = 100

LIFT_MIN = 10
CASE_LENGTHS = (1, 2, 5, 12, 19)
# Closer neighbours than this could swap places on a runtime that sums in another order.
SCORE_GAP_MIN = 2e-6

Shelf = namedtuple("Shelf", "items cumulative")


def main():
    rng = np.random.default_rng(SEED)
    theme_of = rng.integers(THEMES, size=ITEMS)
    shelves = stock(theme_of, rng)
    sessions = [shop(shelves, rng) for _ in range(SESSIONS)]
    held_out, past = sessions[:HELD_OUT], sessions[HELD_OUT:]

    model = network(embeddings(past))
    onnx.checker.check_model(model, full_check=True)
    recommend = recommender(model)
    if not learnt(recommend, held_out, past, theme_of):
        sys.exit(f"less than {LIFT_MIN} times chance: nothing written")

    onnx.save(model, MODEL)
    save_cases(recommend, held_out)
    print(f"{MODEL.name}: {MODEL.stat().st_size} bytes")


def stock(theme_of, rng):
    """One shelf a theme; within it the popularity of items falls off as Zipf's law has it."""
    shelves = []
    for theme in range(THEMES):
        items = rng.permutation(np.flatnonzero(theme_of == theme))
        popularity = 1 / np.arange(3, 3 + len(items)) ** 0.8
        shelves.append(Shelf(items, np.cumsum(popularity) / popularity.sum()))
    return shelves


def shop(shelves, rng):
    """A shopper stays with one theme and now and then moves on to another."""
    theme = rng.integers(THEMES)
    session = []
    for _ in range(rng.integers(LENGTH_MIN, LENGTH_MAX + 1)):
        if rng.random() > THEME_KEPT:
            theme = rng.integers(THEMES)
        shelf = shelves[theme]
        session.append(shelf.items[np.searchsorted(shelf.cumulative, rng.random())])
    return np.array(session, np.int64)


def embeddings(sessions):
    """Unit vectors from a truncated SVD of positive pointwise mutual information.

    Levy and Goldberg, "Neural Word Embedding as Implicit Matrix Factorization", 2014.
    """
    # More threads sum in another order, and the file would differ from machine to machine.
    with threadpool_limits(1):
        left, sizes, _ = randomized_svd(mutual_information(sessions), DIMENSION, random_state=SEED)
    vectors = left * np.sqrt(sizes)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(norms, 1e-12)).astype(np.float32)


def mutual_information(sessions):
    """log(p(a,b) / p(a)p(b)) of items seen within WINDOW steps, where it is positive."""
    pairs = [
        np.stack((session[gap:], session[:-gap]))
        for session in sessions
        for gap in range(1, min(WINDOW, len(session) - 1) + 1)
    ]
    one, other = np.concatenate(pairs, axis=1)
    counts = sparse.coo_array((np.ones(len(one)), (one, other)), (ITEMS, ITEMS)).tocsr()
    counts = (counts + counts.T).tocoo()
    totals = counts.sum(1)
    values = np.log(counts.data * totals.sum() / (totals[counts.row] * totals[counts.col]))
    return sparse.coo_array((np.maximum(values, 0), (counts.row, counts.col)), counts.shape).tocsr()


def network(catalogue):
    """A decayed sum of the session's vectors, set to length one, against every item's."""
    constants = {
        "catalogue": catalogue,
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "log_decay": np.array(np.log(DECAY_PER_STEP), np.float32),
        "norm_min": np.array(1e-12, np.float32),
        "row": np.array([0], np.int64),
        "column": np.array([DIMENSION, 1], np.int64),
        "flat": np.array([ITEMS], np.int64),
        "answers": np.array([ANSWERS], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Shape", ["session"], ["shape"]),
        node("Squeeze", ["shape", "row"], ["length"]),
        node("Sub", ["length", "one"], ["last"]),
        # Counted upwards and subtracted: tract 0.23 takes no Range with a negative step.
        node("Range", ["zero", "length", "one"], ["steps"]),
        node("Sub", ["last", "steps"], ["ages"]),
        node("Cast", ["ages"], ["ages_float"], to=TensorProto.FLOAT),
        node("Mul", ["ages_float", "log_decay"], ["log_weights"]),
        node("Exp", ["log_weights"], ["weights"]),
        node("Unsqueeze", ["weights", "row"], ["weights_row"]),
        node("Gather", ["catalogue", "session"], ["seen"], axis=0),
        node("MatMul", ["weights_row", "seen"], ["pooled"]),
        node("ReduceL2", ["pooled"], ["norm"], axes=[1], keepdims=1),
        node("Max", ["norm", "norm_min"], ["norm_safe"]),
        node("Div", ["pooled", "norm_safe"], ["taste"]),
        node("Reshape", ["taste", "column"], ["taste_column"]),
        node("MatMul", ["catalogue", "taste_column"], ["similarity"]),
        node("Reshape", ["similarity", "flat"], ["similarity_flat"]),
        node("TopK", ["similarity_flat", "answers"], ["scores", "items"], axis=0, largest=1, sorted=1),
    ]
    graph = helper.make_graph(
        nodes,
        "recommend",
        [helper.make_tensor_value_info("session", TensorProto.INT64, ["L"])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [ANSWERS]),
            helper.make_tensor_value_info("items", TensorProto.INT64, [ANSWERS]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def recommender(model):
    runtime = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda session: runtime.run(["scores", "items"], {"session": session})


def learnt(recommend, held_out, past, theme_of):
    """Prints how often the item a shopper took next, or its theme, was foreseen."""
    best_sellers = np.bincount(np.concatenate(past), minlength=ITEMS).argsort()[::-1]
    theme_share = np.bincount(theme_of) / ITEMS
    found = []
    for session in held_out:
        before, after = session[:-1], session[-1]
        offered = unseen(recommend(before)[1], before)
        theme = theme_of[after]
        found.append((
            (theme_of[offered[:10]] == theme).mean(),
            theme_share[theme],
            after in offered,
            after in unseen(best_sellers, before)[: len(offered)],
            len(offered) / ITEMS,
        ))
    theme_hit, theme_chance, item_hit, popular_hit, item_chance = np.mean(found, axis=0)
    print(f"next theme among 10: {theme_hit:.3f}, by chance {theme_chance:.3f}")
    print(f"next item among 100: {item_hit:.3f}, best sellers {popular_hit:.3f}, by chance {item_chance:.3f}")
    return theme_hit > LIFT_MIN * theme_chance and item_hit > LIFT_MIN * item_chance


def unseen(items, session):
    return items[~np.isin(items, session)]


def save_cases(recommend, held_out):
    CASES.mkdir(parents=True, exist_ok=True)
    for number, length in enumerate(CASE_LENGTHS):
        session, scores, items = clear_case(recommend, held_out, length)
        np.save(CASES / f"session_{number}.npy", session)
        np.save(CASES / f"scores_{number}.npy", scores)
        np.save(CASES / f"items_{number}.npy", items)


def clear_case(recommend, held_out, length):
    for session in held_out:
        if len(session) >= length:
            scores, items = recommend(session[-length:])
            if np.min(scores[:-1] - scores[1:]) > SCORE_GAP_MIN:
                return session[-length:], scores, items
    sys.exit(f"no session of {length} items ranks clearly")


if __name__ == "__main__":
    main()
