"""Sentences are encoded once, whichever training met them first; the cache gives back what the encoder would."""

from dataclasses import replace

import pytest
import torch

from mini_diffuser_ros.policy import MiniDiffuserConfig, sentence_encoder
from mini_diffuser_ros.policy.encoding import SentenceEncoder
from mini_diffuser_ros.training.sentences import encode_sentences
from tests.training.test_recoloring import demonstration

FIRST, SECOND, LAST = "wipe the red tray", "__metadata__", "turn the tray, \N{LATIN SMALL LETTER E WITH ACUTE}tienne!"


@pytest.fixture
def config():
    return MiniDiffuserConfig()


@pytest.fixture
def encoded(monkeypatch):
    """All that goes through the encoder from here on."""
    asked = []
    many = SentenceEncoder.many

    def noted(self, sentences, threads=1):
        asked.extend(sentences)
        return many(self, sentences, threads)

    monkeypatch.setattr(SentenceEncoder, "many", noted)
    return asked


def saying(*sentences):
    return replace(demonstration(["red"], sentences[0]), sentences=sentences)


def test_a_sentence_is_encoded_once_for_all_trainings_that_share_a_cache(config, encoded, tmp_path):
    encode_sentences([saying(FIRST, SECOND)], config, tmp_path, progress=False)
    second = encode_sentences([saying(SECOND, LAST)], config, tmp_path, progress=False)
    third = encode_sentences([saying(FIRST, SECOND), saying(LAST)], config, tmp_path, progress=False)
    assert sorted(encoded) == sorted([FIRST, SECOND, LAST])
    assert set(second) == {SECOND, LAST}
    alone = sentence_encoder(config)
    assert set(third) == {FIRST, SECOND, LAST}
    for sentence, states in third.items():
        torch.testing.assert_close(states, alone(sentence), atol=1e-5, rtol=1e-4)


def test_a_damaged_cache_is_built_anew(config, encoded, tmp_path):
    before = encode_sentences([saying(FIRST)], config, tmp_path, progress=False)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    after = encode_sentences([saying(FIRST)], config, tmp_path, progress=False)
    assert encoded == [FIRST, FIRST]
    assert torch.equal(before[FIRST], after[FIRST])
    assert torch.equal(encode_sentences([saying(FIRST)], config, tmp_path, progress=False)[FIRST], before[FIRST])
    assert encoded == [FIRST, FIRST]
