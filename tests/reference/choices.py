"""Multiple choice as the words say it: every choice after its own context, one text at a time, in float64."""

import copy

import torch


def likelihood(model, context_ids, ending_ids, longest):
    """The sum of the log-likelihoods of the ending's tokens, of the last tokens that the model can read."""
    text = (list(context_ids) + list(ending_ids))[-(longest + 1) :]
    n_ending = len(ending_ids)
    with torch.no_grad():
        scores = model(input_ids=torch.tensor([text[:-1]])).logits[0].double()
    logs = scores - torch.logsumexp(scores, dim=1, keepdim=True)
    places = range(len(text) - 1 - n_ending, len(text) - 1)
    return sum(float(logs[place, text[place + 1]]) for place in places)


def context_features(model, layer, context_ids):
    """What a layer returns for a context alone, averaged over its tokens."""
    seen = []
    handle = model.get_submodule(layer).register_forward_hook(
        lambda module, args, output: seen.append(output[0] if isinstance(output, tuple) else output)
    )
    with torch.no_grad():
        model(input_ids=torch.tensor([list(context_ids)]))
    handle.remove()
    return seen[0].reshape(len(context_ids), -1).double().mean(dim=0)


def in_double(model):
    """The same network in float64."""
    return copy.deepcopy(model).double().eval()
