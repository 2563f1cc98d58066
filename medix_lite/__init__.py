"""medix_lite: open-ended medical reinforcement learning, small enough to read and real enough to run.

Five nouns, in the order data flows: Sample -> Response -> Verdict -> Reward -> Score.
Research and education only, not for clinical use.
"""

__version__ = "0.1.0"
