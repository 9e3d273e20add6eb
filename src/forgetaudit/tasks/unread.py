"""What of the examples a task did not read or could not ask: one gap a kind, so that every task says it alike."""

from forgetaudit.gaps import Gap
from forgetaudit.wording import counted

__all__ = ["ends_overlooked", "nothing_to_ask", "texts_cut"]


def texts_cut(
    n_cut: int, n_seen: int, limit: str, *, noun: str = "text", lost: str = "cut"
) -> tuple[Gap, ...]:
    """None where nothing was cut. `limit` is what they are longer than, `lost` what became of them."""
    if not n_cut:
        return ()
    return (
        Gap(
            ident="texts-cut",
            what=f"{n_cut:,} of {counted(n_seen, noun)} were longer than {limit}, and {lost}",
            advice="read the numbers as those of the part that is read, or pass shorter texts",
            holds="nothing",
            evidence={"n_cut": n_cut, "n_seen": n_seen},
        ),
    )


def nothing_to_ask(n_left: int, n_seen: int, fewest: int) -> tuple[Gap, ...]:
    """None where every text has at least the `fewest` tokens from which something can be asked."""
    if not n_left:
        return ()
    return (
        Gap(
            ident="nothing-to-ask",
            what=f"{n_left:,} of {counted(n_seen, 'text')} have fewer than {fewest} tokens: nothing to ask",
            advice="leave empty texts out of the data, or check that the right column was read",
            holds="nothing",
            evidence={"n_left": n_left, "n_seen": n_seen},
        ),
    )


def ends_overlooked(n_shortened: int, n_seen: int) -> tuple[Gap, ...]:
    """None where no text ends in the token that rows are padded with."""
    if not n_shortened:
        return ()
    return (
        Gap(
            ident="ends-overlooked",
            what=f"{n_shortened:,} of {counted(n_seen, 'text')} end in the token that rows are padded with: "
            "the network takes that end for padding",
            advice="set pad_token_id in base's config.json to a token that ends no text",
            holds="behaviour",
            evidence={"n_shortened": n_shortened, "n_seen": n_seen},
        ),
    )
