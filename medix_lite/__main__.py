"""`python -m medix_lite`, which is what `accelerate launch -m` needs."""

from .cli import main

main()
