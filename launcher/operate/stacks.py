"""A traceback in; the same for a terminal, with the frames of libraries folded, out."""

from shared.stacks import Part, parse_stack


def folded(stack: str) -> str:
    """One's own frames and the errors in their order; `... 12 frames of libraries` where those stood."""
    return "".join(map(_line, parse_stack(stack).parts)).rstrip("\n")


def _line(part: Part) -> str:
    if part.kind != "library":
        return part.text
    margin, _, _ = part.text.partition("File")
    return f"{margin}... {part.frames} frame{'s' if part.frames != 1 else ''} of libraries\n"
