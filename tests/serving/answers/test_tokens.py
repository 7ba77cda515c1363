"""/tokenize, /detokenize and /tokenizer_info, as lm-eval's remote tokenizer asks them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from table_engine import TableEndpoint

MESSAGES = [{"role": "user", "content": "What is fever?"}]


def test_the_requests_of_lm_evals_remote_tokenizer(endpoint: TableEndpoint) -> None:
    info = endpoint.ask("GET", "/tokenizer_info").json()
    assert (info["eos_token"], info["bos_token"], info["pad_token"]) == ("<end>", None, "<pad>")
    assert "Assistant:" in info["chat_template"]
    body = {"prompt": "fièvre élevée", "add_special_tokens": False}  # no model: the base
    answer = endpoint.ask("POST", "/tokenize", json=body).json()
    tokens = endpoint.tokenizer.encode("fièvre élevée")
    assert (answer["tokens"], answer["count"]) == (tokens, len(tokens))
    assert answer["max_model_len"] == 512
    answer = endpoint.ask("POST", "/detokenize", json={"tokens": tokens}).json()
    assert answer == {"prompt": "fièvre élevée"}
    # lm-eval takes the first token of "<end>" for the end token's id.
    [end] = endpoint.post("/tokenize", prompt="<end>")["tokens"]
    assert end == endpoint.tokenizer.eos_token_id


@settings(deadline=None, max_examples=50)
@given(text=st.text("aé患🩺 .\n<end>", max_size=20))
def test_a_text_comes_back(small_endpoint: TableEndpoint, text: str) -> None:
    tokens = small_endpoint.post("/tokenize", prompt=text)["tokens"]
    assert small_endpoint.post("/detokenize", tokens=tokens)["prompt"] == text


def test_names_of_tokens_join_to_the_text(endpoint: TableEndpoint) -> None:
    answer = endpoint.post("/tokenize", prompt="a fever", return_token_strs=True)
    assert "".join(answer["token_strs"]) == "a fever"
    assert endpoint.post("/tokenize", prompt="a")["token_strs"] is None


def test_messages_are_tokenised_as_chat_reads_them(endpoint: TableEndpoint) -> None:
    answer = endpoint.post("/tokenize", messages=MESSAGES)
    endpoint.post("/v1/chat/completions", messages=MESSAGES, max_tokens=1)
    assert answer["tokens"] == endpoint.engine.jobs[0].prompt
    bare = endpoint.post("/tokenize", messages=MESSAGES, add_generation_prompt=False)
    text = endpoint.post("/detokenize", tokens=bare["tokens"])["prompt"]
    assert text == "User: What is fever?\n"


def test_wrong_requests_are_named(endpoint: TableEndpoint) -> None:
    status, error = endpoint.refused("/detokenize", tokens=[400])
    assert (status, error["param"]) == (400, "tokens")
    assert endpoint.refused("/tokenize", prompt="a", model="x")[0] == 404
    assert endpoint.refused("/tokenize", prompt="a", messages=MESSAGES)[0] == 400
    assert endpoint.refused("/tokenize")[0] == 400
