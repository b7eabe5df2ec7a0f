"""Einsum that sums axes away, down to one number, diagonals, and axes without letters, wherever they stand.

Reports: onnxruntime #7375 #18654.
"""

import numpy as np
from suite import case, node, normal

EQUATIONS = {
    "ij->": ((2, 3),),
    "i->": ((3,),),
    "ijk->": ((2, 3, 4),),
    "ij->i": ((2, 3),),
    "ij->j": ((2, 3),),
    "ijk->ik": ((2, 3, 4),),
    "ijk->j": ((2, 3, 4),),
    "ijk->ki": ((2, 3, 4),),
    "ii->": ((3, 3),),
    "ij,ij->": ((2, 3), (2, 3)),
    "ij,kl->": ((2, 3), (2, 2)),
    "ij,jk->k": ((2, 3), (3, 4)),
    "ij,k->ij": ((2, 3), (4,)),
    "ij,jk,kl->il": ((2, 3), (3, 4), (4, 2)),
    "ij,j->i": ((2, 3), (3,)),
    "...i->...": ((2, 3),),
    "i...->...": ((2, 3),),
    "ij->ji": ((2, 3),),
    "ij->ij": ((2, 3),),
    "ii->i": ((3, 3),),
    "iij->ij": ((3, 3, 2),),
    "i,i->i": ((3,), (3,)),
    "bij,bij->b": ((2, 3, 4), (2, 3, 4)),
    "b...d,d->b...": ((2, 3, 4, 5), (5,)),
    "b...d,bd->b...": ((2, 3, 4, 5), (2, 5)),
    "b...d->b...": ((2, 3, 4, 5),),
    "...d,d->...": ((2, 3, 5), (5,)),
    "...d,dk->...k": ((2, 3, 4), (4, 5)),
    "a...,...b->a...b": ((2, 3, 4), (3, 4, 5)),
    "i...,j->ij...": ((2, 3, 4), (5,)),
    "...ij,...jk->...ik": ((2, 3, 4), (2, 4, 5)),
    "...ij,...j->...i": ((2, 3, 4, 5), (2, 3, 5)),
    "...,...->...": ((2, 3), (2, 3)),
    "i...->i...": ((2, 3, 4),),
    "a...b->b...a": ((2, 3, 4, 5),),
    "...ii->...i": ((2, 3, 3),),
}


def cases():
    random = np.random.RandomState(0)
    for equation, shapes in EQUATIONS.items():
        given = {f"x{place}": normal(random, *shape) for place, shape in enumerate(shapes)}
        y = np.einsum(equation, *(x.astype(np.float64) for x in given.values())).astype(np.float32)
        nodes = [node("Einsum", list(given), ["y"], equation=equation)]
        name = equation.replace("...", "rest").replace("->", "_to_").replace(",", "_and_")
        yield case(name, nodes, given, {"y": y}, opset=12, rtol=1e-4, atol=1e-5)
