"""The sixteen modality tags of MediX-R1 (the paper's list, in its order)."""

from .files import read_table

MODALITIES: tuple[str, ...] = tuple(read_table("modalities")["tags"])
