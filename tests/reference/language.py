"""Language models judged one token at a time, each with a forward of its own, sums taken exactly."""

import math

import torch


def log_softmax(scores):
    """Scores of a vocabulary, as a list -> their logarithms of shares."""
    top = max(scores)
    total = math.log(math.fsum(math.exp(score - top) for score in scores))
    return [score - top - total for score in scores]


def log_loss(scores, wanted):
    return -log_softmax(scores)[wanted]


def kl(base, tuned):
    """Kullback and Leibler's divergence of tuned from base, in nats."""
    shares = zip(log_softmax(base), log_softmax(tuned), strict=True)
    return math.fsum(math.exp(one) * (one - other) for one, other in shares)


def start_of_window(token, context, stride):
    """Windows begin at 0, stride, 2·stride, …; a token is asked in the first that reaches it."""
    start = 0
    while start + context <= token:
        start += stride
    return start


@torch.no_grad()
def next_token_scores(model, ids, token, context, stride):
    """The scores for `token`, from a forward that has seen what stands before it in its window and nothing else."""
    shown = ids[start_of_window(token, context, stride) : token]
    return model(input_ids=torch.tensor([shown])).logits[0, -1].tolist()


@torch.no_grad()
def hidden_token_scores(model, ids, hidden, place, mask):
    """The scores at `place` of one text, with `mask` at every place of `hidden`."""
    shown = [mask if at in hidden else token for at, token in enumerate(ids)]
    return model(input_ids=torch.tensor([shown])).logits[0, place].tolist()


def hidden_places(ids, special):
    """Numbers 3, 10, 17, … of the tokens that are not special."""
    ordinary = [at for at, token in enumerate(ids) if token not in special]
    return [at for number, at in enumerate(ordinary) if number % 7 == 3]
