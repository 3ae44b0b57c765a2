"""A flame graph: the time of many spans added up by who called whom, as boxes below each other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dashcam.model.traces import Span, Trace
from dashcam.model.tree import Tree, self_times

NARROWEST = 0.0015
"""The share of the width below which a box is not drawn."""
MOST, DEEPEST = 400, 60
"""Boxes and rows of one drawing."""
ROW = 22


@dataclass(slots=True)
class Frame:
    """All spans of one operation that were called by the same chain. Times in microseconds.

    `own` is the time in which none of a span's children ran; `whole` adds that of all below it. What runs
    side by side is added up, so the whole can be more than a clock would have shown.
    """

    service: str
    operation: str
    key: str
    parent: Frame | None = None
    spans: int = 0
    errors: int = 0
    own: int = 0
    whole: int = 0
    below: dict[tuple[str, str], Frame] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Box:
    """A frame at its place: `x` and `width` in percent of the drawing, `y` in pixels."""

    frame: Frame
    x: float
    width: float
    y: int
    share: float


@dataclass(frozen=True)
class Flame:
    """The drawing of `top` with the chain that leads to it; `hidden` boxes were too narrow or too deep."""

    top: Frame
    boxes: Sequence[Box]
    height: int
    hidden: int
    frames: Sequence[Frame]


def grow(traces: Iterable[Trace], service: str = "", operation: str = "") -> Frame:
    """Add up the traces; of an operation, only what lies below its outermost spans."""
    root = Frame("", "", "")
    for trace in traces:
        tree = Tree(trace)
        alone = self_times(trace, tree)
        stack = [(span, root) for span in _tops(trace, tree, service, operation)]
        while stack:
            span, above = stack.pop()
            frame = _frame(above, span)
            frame.spans += 1
            frame.errors += span.failed
            frame.own += alone[span.span_id]
            stack.extend((child, frame) for child in tree.children(span))
    for frame in reversed(list(_every(root))):
        frame.whole += frame.own
        if frame.parent is not None:
            frame.parent.whole += frame.whole
    root.spans = sum(frame.spans for frame in root.below.values())
    return root


def draw(root: Frame, key: str = "") -> Flame:
    """Place the boxes of the frame with this key, or of all of them; above it, those that lead to it."""
    frames = [frame for frame in _every(root) if frame is not root]
    top = next((frame for frame in frames if frame.key == key), root)
    chain = list(_chain(top))
    boxes = [Box(frame, 0.0, 100.0, row * ROW, _share(frame, root)) for row, frame in enumerate(chain)]
    hidden = 0
    level = [(frame, x) for frame, x in _side_by_side(top, 0.0, 1.0, top.whole)]
    for row in range(len(chain), DEEPEST):
        after: list[tuple[Frame, float]] = []
        for frame, x in level:
            width = frame.whole / max(1, top.whole)
            if width < NARROWEST or len(boxes) >= MOST:
                hidden += 1
                continue
            boxes.append(Box(frame, 100 * x, 100 * width, row * ROW, _share(frame, root)))
            after.extend(_side_by_side(frame, x, width, top.whole))
        level = after
    hidden += len(level)
    heaviest = sorted(frames, key=lambda frame: -frame.own)
    return Flame(top, boxes, max((box.y for box in boxes), default=0) + ROW, hidden, heaviest)


def _side_by_side(frame: Frame, x: float, width: float, whole: int) -> Iterator[tuple[Frame, float]]:
    """The frames below one from the left, the heaviest first."""
    for child in sorted(frame.below.values(), key=lambda one: (-one.whole, one.service, one.operation)):
        yield child, x
        x += child.whole / max(1, whole)


def _tops(trace: Trace, tree: Tree, service: str, operation: str) -> list[Span]:
    if not operation:
        return list(tree.roots)
    found, stack = [], list(tree.roots)
    while stack:
        span = stack.pop()
        if span.operation == operation and span.service == service:
            found.append(span)
        else:
            stack.extend(tree.children(span))
    return found


def _frame(above: Frame, span: Span) -> Frame:
    name = span.service, span.operation
    if name not in above.below:
        text = f"{above.key}\0{name[0]}\0{name[1]}".encode(errors="replace")
        key = hashlib.blake2s(text, digest_size=6).hexdigest()
        above.below[name] = Frame(*name, key, above)
    return above.below[name]


def _every(root: Frame) -> Iterator[Frame]:
    """Every frame, each before those below it."""
    stack = [root]
    while stack:
        frame = stack.pop()
        yield frame
        stack.extend(frame.below.values())


def _chain(frame: Frame) -> Iterator[Frame]:
    """The frames from the outermost to this one; nothing for the root of all."""
    found = []
    current: Frame | None = frame
    while current is not None and current.key:
        found.append(current)
        current = current.parent
    return reversed(found)


def _share(frame: Frame, root: Frame) -> float:
    return frame.whole / max(1, root.whole)
