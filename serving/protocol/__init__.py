"""The bodies that the endpoint reads and writes, one file a route.

What this endpoint cannot do is refused, never ignored: a field that is not named here is an error,
and a field that takes only one value says so.
"""

from serving.protocol.chat import (
    AnswerMessage,
    ChatChoice,
    ChatChunkChoice,
    ChatCompletion,
    ChatCompletionChunk,
    ChatCompletionRequest,
    ChatLogprobs,
    ChatMessage,
    ChatTokenLogprob,
    Delta,
    TokenLogprob,
)
from serving.protocol.common import FinishReason, Usage
from serving.protocol.completions import (
    Completion,
    CompletionChoice,
    CompletionLogprobs,
    CompletionRequest,
)
from serving.protocol.embeddings import Embedding, EmbeddingRequest, Embeddings, EmbeddingUsage
from serving.protocol.errors import ErrorBody, ErrorDetail, RequestError, error_body
from serving.protocol.guides import GuidedRequest
from serving.protocol.models import Health, ModelCard, ModelList
from serving.protocol.refused import NOT_SUPPORTED
from serving.protocol.scoring import OptionScore, Question, QuestionScore, ScoreRequest, Scores
from serving.protocol.tokens import (
    Detokenized,
    DetokenizeRequest,
    Tokenized,
    TokenizeRequest,
    TokenizerInfo,
)

__all__ = [
    "NOT_SUPPORTED",
    "AnswerMessage",
    "ChatChoice",
    "ChatChunkChoice",
    "ChatCompletion",
    "ChatCompletionChunk",
    "ChatCompletionRequest",
    "ChatLogprobs",
    "ChatMessage",
    "ChatTokenLogprob",
    "Completion",
    "CompletionChoice",
    "CompletionLogprobs",
    "CompletionRequest",
    "Delta",
    "DetokenizeRequest",
    "Detokenized",
    "Embedding",
    "EmbeddingRequest",
    "EmbeddingUsage",
    "Embeddings",
    "ErrorBody",
    "ErrorDetail",
    "FinishReason",
    "GuidedRequest",
    "Health",
    "ModelCard",
    "ModelList",
    "OptionScore",
    "Question",
    "QuestionScore",
    "RequestError",
    "ScoreRequest",
    "Scores",
    "TokenLogprob",
    "TokenizeRequest",
    "Tokenized",
    "TokenizerInfo",
    "Usage",
    "error_body",
]
