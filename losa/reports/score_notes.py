"""Say that a score threshold hides everything there is, and what the best score is, instead of showing nothing."""

from collections.abc import Iterable, Mapping

from widgets.verdicts import precise, score_of

Number = int | float
LOWER, NAMED = "lower `min_score`", 3  # what to do, unless said; videos that are named


def find_best(records: Iterable[Mapping]) -> Number | None:
    """Return the highest score of the records; None where there is no record."""
    return max(map(score_of, records), default=None)


def describe_none_shown(best: Number | None, min_score: Number, advice: str = LOWER) -> str:
    """Return "nothing above 0.30; the best is 0.18: lower `min_score`"; empty where something reaches `min_score`.

    best: the highest score there is, None where nothing at all was found. advice: what lowers the threshold.
    """
    if best is None:
        return "nothing at all was found"
    if best >= min_score:
        return ""
    return f"nothing above {min_score:.2f}; the best is {precise(best)}: {advice}"


def describe_hidden(best: Mapping[str, Number | None], min_score: Number, advice: str = LOWER) -> str:
    """Return the same of several videos {name: best score}: of all of them, or of those that show nothing.

    Empty where every video shows something.
    """
    hidden = {name: score for name, score in best.items() if describe_none_shown(score, min_score)}
    found = [score for score in best.values() if score is not None]
    if len(hidden) == len(best):
        one = describe_none_shown(max(found, default=None), min_score, advice)
        return f"{one} ({len(best)} videos)" if len(best) > 1 else one
    if not hidden:
        return ""
    named = [f"{name} (best {precise(score)})" if score is not None else f"{name} (nothing at all)"
             for name, score in list(hidden.items())[:NAMED]]
    more = f" and {len(hidden) - NAMED} more" if len(hidden) > NAMED else ""
    return f"nothing above {min_score:.2f} in {len(hidden)} of {len(best)} videos: {', '.join(named)}{more}: {advice}"
