"""TRL's `GRPOTrainer` and what it lacks. In: rows with id, prompt and images. Out: completions with rewards and advantages."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models.sharing import Pictures, completion_logits

Row = dict[str, Any]


def teaches(rewards: NDArray[np.floating[Any]], by: str) -> NDArray[np.bool_]:
    """Which groups are kept, since they can teach (DAPO, Yu et al. 2025).

    Args:
        rewards: shape (groups, group size), NaN where a completion could not be scored.
        by: `mean` keeps groups whose mean reward lies inside (0.01, 0.99), as MediX-R1 does; `std` those whose rewards differ.
            The two part where a group of equal rewards has neither all nor nothing: `mean` keeps it and it teaches nothing.

    Returns:
        shape (groups,); a group with fewer than two scored completions is never kept.

    >>> groups = np.array([[1.0, 1, 1], [0.1, 0.1, 0.1], [0.1, 0.9, np.nan], [0.5, np.nan, np.nan]])
    >>> teaches(groups, "mean").tolist(), teaches(groups, "std").tolist()
    ([False, True, True, False], [False, False, True, False])
    """
    scored = ~np.isnan(rewards)
    mean = np.where(scored, rewards, 0).sum(1) / np.maximum(scored.sum(1), 1)
    spread = np.where(scored, np.abs(rewards - mean[:, None]), 0).max(1)
    return (scored.sum(1) > 1) & ((mean > 0.01) & (mean < 0.99) if by == "mean" else spread > 1e-6)


def trainer_class(by: str | None = None, most: int = 1, *, share_prompts: bool = False) -> type:
    """TRL's `GRPOTrainer` with five things added.

    A batch may mix samples with and without pictures: TRL 1.14.2 hands the processor None for a prompt without a picture, which
    it refuses (an empty list is what it takes), and the vision tower an empty tensor in a pass without any. A server judges
    while log-probabilities are computed, not after (`overlaps`). The order of an epoch hangs on seed and epoch alone, where
    TRL's hangs on the epochs that this process has seen, so that a resumed run would see another. Groups that cannot teach are
    dropped and drawn anew, before any log-probability is computed for them. And the prompt of a group is read once for
    log-probabilities, not once for each completion (`share_prompts`).

    Args:
        by: which groups are kept, as for `teaches`; None keeps all.
        most: batches drawn at most; what is missing then is filled up with groups that were dropped.

    >>> trainer_class("std", 4).__mro__[1].__name__
    'GRPOTrainer'
    """
    import torch
    from trl import GRPOTrainer
    from trl.data_utils import prepare_multimodal_messages
    from trl.trainer.utils import RepeatSampler, selective_log_softmax, selective_log_softmax_and_entropy

    class EpochSampler(RepeatSampler):
        def set_epoch(self, epoch: int) -> None:
            self.generator.manual_seed(self.seed + epoch)

    class MedixGRPOTrainer(GRPOTrainer):
        def _get_train_sampler(self, dataset: Any = None) -> Any:
            theirs = super()._get_train_sampler(dataset)
            names = ("data_source", "mini_repeat_count", "batch_size", "repeat_count", "shuffle", "seed")
            return EpochSampler(**{name: getattr(theirs, name) for name in names})

        _drawn: tuple[tuple[Any, ...], Any] | None = None  # what `_generate` and `_calculate_rewards` yield, made already

        forget_pictures = staticmethod(lambda: None)  # those of the last step (`sharing.see_once`)

        def _generate_and_score_completions(self, inputs: list[Row]) -> dict[str, Any]:
            self.forget_pictures()
            if by and self.model.training:
                inputs = self._draw(inputs, by)
            self._ids = [row["id"] for row in inputs]
            return super()._generate_and_score_completions(inputs)

        def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
            if self._drawn:
                return self._drawn[0]
            *before, images, tool_images = super()._generate(prompts)
            for reward in self.reward_funcs:
                if getattr(reward, "overlaps", False):
                    reward.start(self._ids, before[3])
            return *before, images and [pictures or [] for pictures in images], tool_images

        def _calculate_rewards(self, inputs: list[Row], prompts: Any, completions: Any, completion_ids: Any) -> Any:
            if self._drawn:
                (_, rewards), self._drawn = self._drawn, None
                return rewards
            return super()._calculate_rewards(inputs, prompts, completions, completion_ids)

        def _get_per_token_logps_and_entropies(self, model: Any, ids: Any, mask: Any, kept: int, **known: Any) -> tuple[Any, ...]:
            """Pass by pass; in one without pictures TRL hands an empty tensor to the tower, which breaks it."""
            pictures = Pictures(**{k: known[k] for k in Pictures._fields}) if known.get("pixel_values") is not None else None
            kinds, rows = known.pop("mm_token_type_ids", None), known.pop("batch_size", None) or len(ids)
            made = []
            for start in range(0, len(ids), rows):
                part = slice(start, start + rows)
                own = pictures and pictures.of_rows(range(*part.indices(len(ids))))
                shown = own if own and own.pixel_values.numel() else None
                known |= shown._asdict() if shown else dict.fromkeys(Pictures._fields)
                known |= {"mm_token_type_ids": kinds[part] if shown else None}
                made.append(self._pass_logps(model, ids[part], mask[part], kept, shown, **known))
            join = lambda parts: None if parts[0] is None else torch.cat(parts)  # noqa: E731
            logps, entropies, losses = zip(*made, strict=True)
            return join(logps), join(entropies), None if losses[0] is None else torch.stack(losses).mean()

        def _pass_logps(self, model: Any, ids: Any, mask: Any, kept: int, shown: Pictures | None, **known: Any) -> tuple[Any, ...]:
            if not share_prompts or known.get("compute_aux_loss"):
                return super()._get_per_token_logps_and_entropies(model, ids, mask, kept, **known)
            logits = completion_logits(model, ids, mask, kept, known["mm_token_type_ids"], shown)
            how: dict[str, Any] = {"temperature": self.temperature, "row_mask": mask[:, -kept:]}
            if known.get("compute_entropy"):
                how |= {"entropy_requires_grad": self._entropy_bonus_enabled}
                return *selective_log_softmax_and_entropy(logits, ids[:, -kept:], **how), None
            return selective_log_softmax(logits, ids[:, -kept:], **how), None, None

        def _draw(self, inputs: list[Row], by: str) -> list[Row]:
            """Roll out batch after batch until enough groups are kept; returns their rows and leaves the rest in `_drawn`."""
            size, wanted = self.num_generations, len(inputs) // self.num_generations
            drawn, kept = list[tuple[list[Row], tuple[Any, ...], Any]](), np.array([], dtype=bool)
            rows = inputs
            while True:
                self._ids = [row["id"] for row in rows]
                prompts = [prepare_multimodal_messages(row["prompt"], images=row["images"]) for row in rows]
                made = self._generate(prompts)
                rewards = self._calculate_rewards(rows, prompts, made[3], made[1])
                drawn.append((rows, made, rewards))
                kept = np.append(kept, teaches(rewards[:, 0].double().cpu().numpy().reshape(-1, size), by))
                missing = wanted - int(kept.sum())
                if missing <= 0 or len(drawn) == most:
                    break
                # The same draws in a resumed run: they hang on seed, step and number only.
                rng = np.random.default_rng([self.args.seed, self.state.global_step, len(drawn)])
                chosen = rng.choice(len(self.train_dataset), min(missing, len(self.train_dataset)), replace=False)
                rows = [row for place in chosen.tolist() for row in [self.train_dataset[place]] * size]
            all_rows, all_rewards = [row for rows, *_ in drawn for row in rows], torch.cat([rewards for *_, rewards in drawn])
            if waits := self._pending_metrics.pop("reward_seconds", None):
                self._log_metric("reward_seconds", sum(waits))
            counts = {"dropped_groups": float(np.mean(~kept)), "draws": float(len(drawn)), "rollouts": float(len(all_rows))}
            for name, value in ({"drawn_reward": all_rewards.nanmean().item()} | counts).items():
                self._metrics["train"][name].append(value)
            groups = np.argsort(~kept, kind="stable")[:wanted]  # those kept, and then of the others what is missing
            places = [group * size + number for group in groups.tolist() for number in range(size)]

            def joined(part: int) -> list[Any] | None:
                everything = [value for rows, made, _ in drawn for value in made[part] or [None] * len(rows)]
                values = [everything[place] for place in places]
                return None if all(value is None for value in values) else [[] if value is None else value for value in values]

            # prompt ids, completion ids, tool mask, completions, log-probabilities; extra fields; images, images of tools
            made = *(joined(part) for part in range(5)), {}, joined(6), []
            self._drawn = made, all_rewards[places]
            return [all_rows[place] for place in places]

    return MedixGRPOTrainer
