"""Retrieval, slow and obvious: one query at a time, one document at a time, in float64."""

import math


def cosine(a, b):
    length = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(y * y for y in b))
    return dot(a, b) / length


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def ranked(query, documents, similarity):
    """The documents, the nearest first; of equally near ones the first."""
    found = [similarity(query, document) for document in documents]
    return sorted(range(len(documents)), key=lambda place: (-found[place], place)), found


def retrieve(queries, documents, right, similarity, scale, k):
    """By query: whether a right document comes first, ranks of the right ones, log loss, and the k nearest.

    `right[i]` are the right documents of query i. No two documents may be equally near.
    """
    answers = []
    for query, wanted in zip(queries, right, strict=True):
        order, found = ranked(query, documents, similarity)
        total = sum(math.exp(scale * value) for value in found)
        share = sum(math.exp(scale * found[place]) for place in wanted) / total
        answers.append(
            {
                "predicted": order[0],
                "correct": order[0] in wanted,
                "ranks": [order.index(place) + 1 for place in wanted],
                "nll": -math.log(share),
                "nearest": order[:k],
            }
        )
    return answers
