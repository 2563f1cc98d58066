"""From Verdict to Reward: four signals, each in [0, 1], and their weighted total."""
