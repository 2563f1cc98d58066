"""Training: group-based RL on a composite reward, over TRL's GRPOTrainer."""
