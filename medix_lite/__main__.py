"""`python -m medix_lite`, which is what `torchrun -m` needs."""

from .cli import main

main()
