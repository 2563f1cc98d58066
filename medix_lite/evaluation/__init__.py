"""Evaluation in three resumable stages: generate, judge, score."""
