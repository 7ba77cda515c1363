"""Entities that are marked by a tag a token: B-Disease, I-Disease, O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def spans(tags: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """Return (kind, first token, last token + 1) of every entity, in order.

    Lenient IOB, as seqeval 1.2 reads it by default: an I- that goes on from no entity of its kind
    begins one. ``ValueError`` for another tag than O, B-kind, I-kind.
    """
    found: list[tuple[str, int, int]] = []
    before = ""
    for number, tag in enumerate(tags):
        place, _, kind = tag.partition("-")
        if tag != "O" and (place not in ("B", "I") or not kind):
            raise ValueError(f"tag {tag!r} is none of O, B-kind, I-kind")
        if place == "I" and kind == before:
            found[-1] = (kind, found[-1][1], number + 1)
        elif tag != "O":
            found.append((kind, number, number + 1))
        before = kind
    return tuple(found)


def entities(tokens: Sequence[str], tags: Sequence[str], kinds: bool = False) -> Iterator[str]:
    """Yield the marked strings in the order of the text, tokens joined by a blank.

    With ``kinds`` each as "kind: string". ``ValueError`` where tokens and tags differ in number.
    """
    if len(tokens) != len(tags):
        raise ValueError(f"{len(tokens)} tokens, {len(tags)} tags")
    for kind, start, end in spans(tags):
        text = " ".join(tokens[start:end])
        yield f"{kind}: {text}" if kinds else text
