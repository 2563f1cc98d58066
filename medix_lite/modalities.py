"""The sixteen modality tags of MediX-R1 (the paper's list, in its order)."""

from .files import InputError

MODALITIES = (
    "X_RAY",
    "MICROSCOPY",
    "CLINICAL_PHOTOGRAPHY",
    "CT_SCAN",
    "GRAPHICS",
    "ANGIOGRAPHY",
    "PET_SCAN",
    "ULTRASOUND",
    "MRI_SCAN",
    "FUNDUS_PHOTOGRAPHY",
    "OCT_SCAN",
    "ENDOSCOPY",
    "MAMMOGRAPHY",
    "FLUOROSCOPY",
    "OTHER",
    "SPECT",
)


def check_modality(name: str) -> str:
    """`name` if it is one of the sixteen tags.

    Raises:
        InputError: it is not; the message lists the tags.
    """
    if name not in MODALITIES:
        raise InputError(f"unknown modality {name!r}; use one of {', '.join(MODALITIES)}, or null for text only")
    return name
