"""From Response to Verdict: deterministic tiers first, then a judge model; a failure is UNSCORED, never a NO."""
