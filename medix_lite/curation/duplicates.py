"""Duplicates: fingerprints of texts, and which rows share one. In: a Sample's words; arrays of hashes. Out: who copies whom.

A text counts as reworded if, filler words and word order aside, at least four fifths of the words agree and everything that
turns an answer round is the same: the picture, the reference, the options, the numbers, the sides, the negation.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from datasketch import MinHash
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ..files import read_table
from ..samples import Sample
from ..text import is_negated, normalise, plain_units, quantities, sides

Keys = NDArray[np.uint64]
PERMUTATIONS, BANDS = 64, 16  # bands of 4: a pair that agrees in 0.8 is proposed with probability 0.9998
SAME_WORDS = 0.8  # Jaccard similarity, estimated by MinHash (standard error 0.05 at 0.8)
FILLERS = frozenset(read_table("curation")["fillers"].split())


def words_of(text: str) -> list[str]:
    """The words of a text in normal form: folded, units plain, without punctuation but inside numbers and grades.

    >>> words_of("A 1.2 cm nodule; stage T4:N1, Rh+!")
    ['a', '12', 'mm', 'nodule', 'stage', 't4:n1', 'rh+']
    """
    return re.findall(r"\w+(?:[.:/+-]\w+)*\+?", plain_units(normalise(text)))


def content_words(words: Iterable[str]) -> set[str]:
    """Words without fillers and endings.

    >>> sorted(content_words(words_of("Please tell me: are biopsies of the lungs needed?")))
    ['biops', 'lung', 'need']
    >>> content_words(["biopsy"]) == content_words(["biopsies"])
    True
    """
    return {re.sub(r"(?<=\w{3})(?:ies|ing|ed|es|s|y|e)$", "", word) for word in words if word not in FILLERS}


def hash_of(*parts: str) -> int:
    """A 64-bit hash of texts, never 0, which stands for "none".

    >>> hash_of("left lung", "yes") == hash_of("left lung yes")  # parts stay apart
    False
    """
    digest = hashlib.blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1


def fingerprint_of(sample: Sample) -> dict[str, Any]:
    """Hashes of a sample's texts: `asked` (question and options), `answers` (each accepted one), `turns` (what turns an
    answer round) and `words` (the MinHash of the question's content words, in hexadecimal).

    >>> asked = "Is fluid seen on the left?", "On the left, is fluid seen?", "On the right, is fluid seen?"
    >>> first, moved, turned = (fingerprint_of(Sample(id="a", question=question, reference="yes")) for question in asked)
    >>> [name for name in first if moved[name] != first[name]]  # the same words in another order
    ['asked']
    >>> turned["turns"] == moved["turns"]  # one word, and it is another question
    False
    """
    question = words_of(sample.question)
    options = sorted(map(words_joined, sample.options or ()))
    flat = plain_units(normalise(sample.question))
    reference = words_joined(sample.reference)
    turns = [str(sorted(quantities(flat))), str(sorted(sides(flat))), str(is_negated(flat)), reference, *options]
    signature = MinHash(num_perm=PERMUTATIONS, hashfunc=lambda word: hash_of(word) & 0xFFFFFFFF)
    signature.update_batch(sorted(content_words(question)))
    answers = [hash_of(answer) for answer in sorted(set(map(words_joined, sample.accepted())))]
    prints = {"asked": hash_of(" ".join(question), *options), "answers": answers, "reference": hash_of(reference)}
    return prints | {"turns": hash_of(*turns), "words": signature.hashvalues.astype("<u4").tobytes().hex()}


def words_joined(text: str) -> str:
    """A text in normal form, as one string.

    >>> words_joined("Is fluid seen, on the LEFT?")
    'is fluid seen on the left'
    """
    return " ".join(words_of(text))


def mix(*keys: Keys) -> Keys:
    """One key from several, row by row; 0 only where the first is 0.

    >>> asked, pictures = np.array([7, 7, 0], np.uint64), np.array([5, 6, 5], np.uint64)
    >>> keys = mix(asked, pictures)
    >>> bool(keys[0] == keys[1]), int(keys[2])
    (False, 0)
    """
    mixed = np.zeros_like(keys[0])
    for key in keys:
        mixed = (mixed ^ key) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return np.where(keys[0] == 0, np.uint64(0), np.maximum(mixed, np.uint64(1)))


def first_with_same(keys: Keys, order: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row the row that comes first in `order` with the same key; a row with key 0 has itself.

    >>> first_with_same(np.array([5, 0, 5, 0], np.uint64), np.arange(4)).tolist()
    [0, 1, 0, 3]
    """
    first = np.arange(len(keys))
    rows = order[keys[order] != 0]
    _, start, inverse = np.unique(keys[rows], return_index=True, return_inverse=True)
    first[rows] = rows[start[inverse]]
    return first


def reworded(bucket: Keys, signatures: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Pairs of rows, shape (pairs, 2), of one bucket whose words agree; bucket 0 takes no part.

    >>> asked = "Is fluid seen on the left?", "On the left, is fluid seen?", "Which nerve is cut?"
    >>> words = [fingerprint_of(Sample(id="a", question=question, reference="yes"))["words"] for question in asked]
    >>> reworded(np.ones(3, np.uint64), np.stack([np.frombuffer(bytes.fromhex(row), "<u4") for row in words])).tolist()
    [[0, 1]]
    """
    found = []
    rows = np.flatnonzero(bucket)
    for start in range(0, PERMUTATIONS, PERMUTATIONS // BANDS):
        part = np.ascontiguousarray(signatures[rows, start : start + PERMUTATIONS // BANDS]).view(np.uint64)
        keys = mix(bucket[rows], *part.T)
        order = rows[np.argsort(keys, kind="stable")]
        keys = np.sort(keys)
        pairs = np.stack([order[:-1], order[1:]], axis=1)[keys[1:] == keys[:-1]]
        found.append(pairs[(signatures[pairs[:, 0]] == signatures[pairs[:, 1]]).mean(axis=1) >= SAME_WORDS])
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def clusters(n: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cluster number of each of `n` things, joined by pairs of shape (pairs, 2).

    >>> clusters(4, np.array([[0, 2], [2, 3]])).tolist()
    [0, 1, 0, 0]
    """
    return connected_components(coo_matrix((np.ones(len(pairs), bool), pairs.T), shape=(n, n)), directed=False)[1]


def components(n: int, links: Sequence[tuple[NDArray[np.int64], Keys]]) -> NDArray[np.int64]:
    """Cluster number of each of `n` rows, joined where they share a key; each link is rows and their keys (0: none).

    >>> pictures, patients = np.array([5, 5, 6], np.uint64), np.array([0, 9, 9], np.uint64)
    >>> components(4, [(np.arange(3), pictures), (np.arange(3), patients)]).tolist()
    [0, 0, 0, 1]
    """
    pairs = [np.stack([rows, rows[first_with_same(keys, np.arange(len(keys)))]], axis=1) for rows, keys in links]
    return clusters(n, np.concatenate(pairs))


def contradictory(asked: Keys, answers: tuple[NDArray[np.int64], Keys]) -> NDArray[np.bool_]:
    """Rows that ask the same as another one (key `asked`, 0: takes no part) although no answer is accepted by all who ask it.

    Args:
        asked: a key for each row.
        answers: row numbers, and a key for each answer that the row accepts.

    >>> asked, yes, no = np.array([7, 7, 8], np.uint64), 1, 2
    >>> contradictory(asked, (np.arange(3), np.array([yes, no, yes], np.uint64))).tolist()
    [True, True, False]
    """
    rows, keys = answers
    questions, askers = np.unique(asked, return_counts=True)
    given, givers = np.unique(np.stack([asked[rows], keys], axis=1), axis=0, return_counts=True)
    agreed = given[givers == askers[np.searchsorted(questions, given[:, 0])], 0]
    return (asked != 0) & ~np.isin(asked, agreed)
