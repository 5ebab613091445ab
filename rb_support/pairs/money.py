"""Shares of strong calls as money (RouteLLM sec. 5.4, App. D). Prices are USD per million tokens."""

from __future__ import annotations


def average_price(price_in: float, price_out: float, tokens_in: float, tokens_out: float) -> float:
    """Price of a token, be it read or written (RouteLLM App. D).

    Parameters
    ----------
    price_in, price_out : USD per million input and output tokens.
    tokens_in, tokens_out : mean length of a prompt and of an answer.

    Returns
    -------
    USD per million tokens.

    Raises
    ------
    ValueError
        If a value is negative or there is no token.

    >>> round(average_price(10, 30, 95, 264), 1)
    24.7
    """
    _refuse_negative(price_in=price_in, price_out=price_out, tokens_in=tokens_in, tokens_out=tokens_out)
    if tokens_in + tokens_out == 0:
        raise ValueError("tokens_in and tokens_out are both 0; give the mean lengths of prompt and answer")
    return (price_in * tokens_in + price_out * tokens_out) / (tokens_in + tokens_out)


def mixed_price(share: float, strong_price: float, weak_price: float) -> float:
    """USD per million tokens, a share of which goes to the strong model.

    Parameters
    ----------
    share : share of strong calls in [0, 1].
    strong_price, weak_price : USD per million tokens, as `average_price` gives them.

    Raises
    ------
    ValueError
        If the share is outside [0, 1] or a price is negative.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}; give a fraction in [0, 1]")
    _refuse_negative(strong_price=strong_price, weak_price=weak_price)
    return share * strong_price + (1 - share) * weak_price


def cost_saving(cpt: float | None, target: float) -> float | None:
    """How many times fewer strong calls than the random router's recover the same gap (RouteLLM Table 6).

    Parameters
    ----------
    cpt : the router's CPT(target), a share of strong calls; None if the target is never reached.
    target : recovered share of the gap, which is the random router's expected share of strong calls. The
        paper divides the share of one random router that it drew (49.03 % for 50 % on MT-Bench); give that
        to repeat its ratios.

    Returns
    -------
    Ratio, above 1 for a router better than random; None if the target is never reached.

    Raises
    ------
    ValueError
        If the share or the target is not above 0.
    """
    return cost_saving_full(cpt, target, 1.0, 0.0)


def cost_saving_full(
    cpt: float | None, target: float, strong_price: float, weak_price: float
) -> float | None:
    """Cost of the random router over the router's at the same recovered gap, the weak model's cost included.

    Parameters
    ----------
    cpt, target : as in `cost_saving`.
    strong_price, weak_price : USD per million tokens.

    Returns
    -------
    Ratio, nearer 1 than `cost_saving`; None if the target is never reached.

    Raises
    ------
    ValueError
        If the share or the target is not above 0, or a price is negative.
    """
    if cpt is None:
        return None
    for name, value in (("cpt", cpt), ("target", target)):
        if not value > 0:
            raise ValueError(f"{name} is {value}; give a share above 0")
    return mixed_price(target, strong_price, weak_price) / mixed_price(cpt, strong_price, weak_price)


def _refuse_negative(**values: float) -> None:
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"{name} is {value}; give a number from 0 on")
