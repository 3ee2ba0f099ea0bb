"""Small tables of labelled sounds: vendors who name their sounds each in their own way."""

from collections.abc import Sequence
from pathlib import Path

COLUMNS = (
    "category,file_path,file_size,duration,sample_rate,channels,frame_count,sample_type,vendor"
)

WORDS = {"drum": ["kick", "snare"], "synth": ["pad", "lead"], "vocal": ["vox", "choir"]}


def rows(
    vendors: Sequence[str] = ("ann", "bob", "cyd"),
    categories: Sequence[str] = tuple(WORDS),
    of_each: int = 4,
) -> list[str]:
    """Return lines of a table; `of_each` sounds of each vendor's categories."""
    lines = []
    for vendor in vendors:
        for category in categories:
            for number in range(of_each):
                word = WORDS[category][number % 2]
                frames = 13_230 if category == "drum" else 176_400
                header = f"{frames * 2},{frames / 44_100},44100,1,{frames},PCM_16"
                quoted = vendor.replace('"', '""')
                lines.append(f'{category},{vendor[:3]}_{word}_{number:02}.wav,{header},"{quoted}"')
    return lines


def write(path: Path, lines: Sequence[str], columns: str = COLUMNS) -> Path:
    """Write a table of these lines."""
    path.write_text("\n".join([columns, *lines, ""]), encoding="utf-8")
    return path
