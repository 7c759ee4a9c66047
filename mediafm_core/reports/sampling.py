"""Thinning out what is too long to show."""


def even_sample(n: int, at_most: int) -> list[int]:
    """Evenly spaced indices into n things, in order: all of them where they are few, else the middles of equal parts.

    Args:
        n: how many things there are.
        at_most: how many indices to return at most, 1 or more.
    """
    if n <= at_most:
        return list(range(n))
    return [(2 * i + 1) * n // (2 * at_most) for i in range(at_most)]
