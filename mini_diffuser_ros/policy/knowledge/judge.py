"""The small network that judges a sentence from the states of its tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = (0, 1, 2, 6, 31)
"""A word has the level of the last of these that the number of taught templates with it reaches."""

NO_WORD = len(LEVELS)
"""The level of what is no word: punctuation, and the tokens that mark start and end."""

LEVELS_BY_TASK = NO_WORD**2 + 1
"""Levels where it is told, too, how well a word is known of one task; the last is that of no word."""


class Judge(nn.Module):
    """Attends over the tokens, pools them, and gives a logit: above 0 rather taught, below rather not.

    Args:
        width: of a token's state.
        vocabulary: words that have a number, from 1; all others have 0.
        channels: inside.
        dropout: while it learns.
        levels: how many levels of words there are, that of no word included.
    """

    def __init__(
        self, width: int, vocabulary: int, channels: int = 96, dropout: float = 0.2, levels: int = NO_WORD + 1
    ) -> None:
        super().__init__()
        self.inward = nn.Linear(width, channels)
        self.known = nn.Embedding(levels, channels)
        self.word = nn.Embedding(vocabulary + 1, channels)
        self.drop = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(channels, 4, 2 * channels, dropout, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.outward = nn.Sequential(
            nn.LayerNorm(2 * channels),
            nn.Linear(2 * channels, channels),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(channels, 1),
        )

    def forward(self, states: Tensor, levels: Tensor, words: Tensor, present: Tensor) -> Tensor:
        """Logits (B,).

        Args:
            states: (B, L, width) of the tokens.
            levels: (B, L) int64, how well each token's word is known.
            words: (B, L) int64, the number of each token's word.
            present: (B, L) bool, False for padding.
        """
        x = self.drop(self.inward(states) + self.known(levels) + self.word(words))
        x = self.layers(x, src_key_padding_mask=~present)
        there = present[..., None]
        mean = (x * there).sum(1) / there.sum(1)
        highest = x.masked_fill(~there, -torch.inf).amax(1)
        return self.outward(torch.cat([mean, highest], 1))[:, 0]
