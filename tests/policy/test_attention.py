"""Attention: a mask as a channel leaves out the same keys as a mask."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from mini_diffuser_ros.policy.network.attention import attend_masked_by_channel


def test_a_masking_channel_leaves_out_the_same_keys() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 9, 18), torch.randn(3, 2, 7, 18), torch.randn(3, 2, 7, 18)
    valid = torch.rand(3, 1, 1, 7) > 0.4
    valid[..., 0] = True
    expected = F.scaled_dot_product_attention(query, key, value, attn_mask=valid)
    torch.testing.assert_close(attend_masked_by_channel(query, key, value, valid), expected)
    changed = torch.where(valid.transpose(-1, -2), value, torch.randn(()))
    torch.testing.assert_close(attend_masked_by_channel(query, key, changed, valid), expected)
