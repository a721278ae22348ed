"""Which files changed their numbers when they were saved, so that they can hold no class ids."""

from pathlib import Path

HEAD = 65536
"""Bytes that are enough to find how a stream was compressed."""
SOI, LOSSLESS_JPEG = b"\xff\xd8", {0xC3, 0xC7, 0xCB, 0xCF, 0xF7}
"""How a JPEG stream begins, and the marker of its frame where it is exact (lossless, JPEG-LS)."""
NO_FRAME = {0xC4, 0xC8, 0xCC}
"""Markers among those of frames that are none."""
CODING_STYLE = b"\xff\x52"
"""JPEG 2000's marker of how it transforms."""


def is_lossy(path: str) -> bool:
    """Tell a file, no TIFF, whose compression changes numbers: JPEG, most WebP, AVIF."""
    with open(path, "rb") as file:
        head = file.read(HEAD)
    if is_webp(head):
        return is_lossy_stream(Path(path).read_bytes())
    return is_lossy_stream(head)


def is_webp(data: bytes) -> bool:
    """Tell WebP by its first bytes."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def is_lossy_stream(data: bytes) -> bool:
    """Tell whether compressed pixels, which begin here, differ from those that were saved."""
    if data[:2] == SOI:
        return frame_of_jpeg(data) not in LOSSLESS_JPEG
    if is_webp(data):
        return b"VP8L" not in chunks_of_webp(data)
    if data[:4] == b"\xff\x4f\xff\x51" or data[4:8] == b"jP  ":
        at = data.find(CODING_STYLE)
        # the last byte of the coding style: 0 is the irreversible wavelet
        return at >= 0 and data[at + 13 : at + 14] == b"\0"
    return data[4:12] in (b"ftypavif", b"ftypavis")


def frame_of_jpeg(data: bytes) -> int | None:
    """Find the marker of a JPEG stream's frame, which names its process."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        is_frame = 0xC0 <= marker <= 0xCF and marker not in NO_FRAME
        if is_frame or marker == 0xF7:
            return marker
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def chunks_of_webp(data: bytes) -> set[bytes]:
    """List the kinds of the chunks of a WebP file; those of the frames of an animation, too."""
    found, at = set(), 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        found.add(kind)
        # a frame's header of 16 bytes is followed by its own chunks
        at += 8 + 16 if kind == b"ANMF" else 8 + size + size % 2
    return found
