"""Names by which others say what MLflow's span attributes say: type, input, output, tokens, model and provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from ropewalk.traces.span import SPAN_TYPE, Span
from ropewalk.traces.values import dumped, loaded

INPUTS = "mlflow.spanInputs"
OUTPUTS = "mlflow.spanOutputs"
USAGE = "mlflow.chat.tokenUsage"
COST = "mlflow.llm.cost"
MODEL = "mlflow.llm.model"
PROVIDER = "mlflow.llm.provider"
TOOLS = "mlflow.chat.tools"
UNKNOWN = "UNKNOWN"
TOKENS = ("input_tokens", "output_tokens", "total_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """Attribute names of one house's spans.

    Attributes:
        kind: the attribute that says what a span does.
        kinds: MLflow's span type by what it says.
        inputs: attributes with what went in, best first.
        outputs: attributes with what came out, best first.
        tokens: attributes with counts, in the order of `TOKENS`.
        models: attributes with the model's name, best first.
        provider: attributes with who runs the model.
        tools: attributes with the tools offered to the model.
    """

    kind: str = ""
    kinds: Mapping[str, str]
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    tokens: tuple[tuple[str, ...], ...] = ()
    models: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


# Sources: OpenInference's, OpenTelemetry's GenAI, OpenLLMetry's, Vercel's, Langfuse's and Laminar's published names.
CONVENTIONS = (
    Convention(
        kind="openinference.span.kind",
        kinds={
            name: name
            for name in (
                "TOOL CHAIN LLM RETRIEVER EMBEDDING AGENT RERANKER UNKNOWN GUARDRAIL EVALUATOR".split()  # noqa: SIM905
            )
        },
        inputs=("input.value",),
        outputs=("output.value",),
        tokens=(
            ("llm.token_count.prompt",),
            ("llm.token_count.completion",),
            ("llm.token_count.total",),
            ("llm.token_count.prompt_details.cache_read",),
            ("llm.token_count.prompt_details.cache_write",),
        ),
        models=("llm.response.model_name", "llm.model_name", "llm.request.model_name", "embedding.model_name"),
        provider=("llm.provider",),
    ),
    Convention(
        kind="gen_ai.operation.name",
        kinds={
            "chat": "CHAT_MODEL",
            "create_agent": "AGENT",
            "embeddings": "EMBEDDING",
            "execute_tool": "TOOL",
            "generate_content": "LLM",
            "invoke_agent": "AGENT",
            "text_completion": "LLM",
            "response": "LLM",
        },
        inputs=("gen_ai.input.messages", "gen_ai.tool.call.arguments"),
        outputs=("gen_ai.output.messages", "gen_ai.tool.call.result"),
        tokens=(
            ("gen_ai.usage.input_tokens",),
            ("gen_ai.usage.output_tokens",),
            (),
            ("gen_ai.usage.cache_read.input_tokens",),
            ("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
        ),
        models=("gen_ai.response.model", "gen_ai.request.model"),
        provider=("gen_ai.provider.name",),
        tools=("gen_ai.tool.definitions",),
    ),
    Convention(
        kind="traceloop.span.kind",
        kinds={"workflow": "WORKFLOW", "task": "TASK", "agent": "AGENT", "tool": "TOOL", "unknown": UNKNOWN},
        inputs=("traceloop.entity.input", "gen_ai.prompt.0.content"),
        outputs=("traceloop.entity.output", "gen_ai.completion.0.content"),
        tokens=(("gen_ai.usage.prompt_tokens",), ("gen_ai.usage.completion_tokens",), ("llm.usage.total_tokens",)),
        provider=("gen_ai.system",),
    ),
    Convention(
        kind="ai.operationId",
        kinds={
            **{f"ai.{name}": "LLM" for name in ("generateText", "streamText", "generateObject", "streamObject")},
            "ai.generateText.doGenerate": "LLM",
            "ai.streamText.doStream": "LLM",
            "ai.generateObject.doGenerate": "LLM",
            "ai.streamObject.doStream": "LLM",
            "ai.toolCall": "TOOL",
            "ai.embed": "EMBEDDING",
            "ai.embed.doEmbed": "EMBEDDING",
            "ai.embedMany": "EMBEDDING",
            "ai.embedMany.doEmbed": "EMBEDDING",
        },
        inputs=("ai.prompt.messages", "ai.prompt", "ai.toolCall.args", "ai.value", "ai.values"),
        outputs=("ai.response.text", "ai.toolCall.result", "ai.response.object", "ai.embedding", "ai.embeddings"),
    ),
    Convention(
        kind="langfuse.observation.type",
        kinds={
            "generation": "LLM",
            "embedding": "EMBEDDING",
            "tool": "TOOL",
            "retriever": "RETRIEVER",
            "agent": "AGENT",
            "chain": "CHAIN",
            "evaluator": "EVALUATOR",
            "guardrail": "GUARDRAIL",
            "span": UNKNOWN,
        },
        inputs=("langfuse.observation.input",),
        outputs=("langfuse.observation.output",),
    ),
    Convention(
        kind="lmnr.span.type",
        kinds={
            "LLM": "LLM",
            "TOOL": "TOOL",
            "DEFAULT": "CHAIN",
            "PIPELINE": "CHAIN",
            "EXECUTOR": "AGENT",
            "EVALUATOR": "EVALUATOR",
            "HUMAN_EVALUATOR": "EVALUATOR",
            "EVALUATION": "EVALUATOR",
            "CACHED": "LLM",
        },
        inputs=("lmnr.span.input",),
        outputs=("lmnr.span.output",),
    ),
    Convention(
        kinds={},
        inputs=("gcp.vertex.agent.llm_request", "gcp.vertex.agent.tool_call_args"),
        outputs=("gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_response"),
    ),
)


def translated(span: Span) -> Span:
    """Return a span with MLflow's attributes added where another house's names say the same; none is changed."""
    told = span.attributes
    added: dict[str, str] = {}
    if span.attribute(SPAN_TYPE) in (None, UNKNOWN) and (kind := _kind(told)):
        added[SPAN_TYPE] = dumped(kind)
    for name, wanted in _TEXTS:
        if name not in told and (text := _first(told, wanted)):
            added[name] = text
    if USAGE not in told and (usage := _usage(told)):
        added[USAGE] = dumped(usage)
    if MODEL not in told and (model := _model({**told, **added})):
        added[MODEL] = dumped(model)
    return replace(span, attributes={**told, **added}) if added else span


_TEXTS = (
    (INPUTS, tuple(name for one in CONVENTIONS for name in one.inputs)),
    (OUTPUTS, tuple(name for one in CONVENTIONS for name in one.outputs)),
    (TOOLS, tuple(name for one in CONVENTIONS for name in one.tools)),
    (PROVIDER, tuple(name for one in CONVENTIONS for name in one.provider)),
)
_MODELS = tuple(name for one in CONVENTIONS for name in one.models)


def _kind(told: Mapping[str, str]) -> str | None:
    for one in CONVENTIONS:
        if one.kind in told:
            said = loaded(told[one.kind])
            found = one.kinds.get(said) if isinstance(said, str) else None
            if found:
                return found
    return None


def _first(told: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """Return the first text that says something."""
    return next((told[name] for name in names if name in told and loaded(told[name])), None)


def _usage(told: Mapping[str, str]) -> dict[str, int]:
    for one in CONVENTIONS:
        found: dict[str, int] = {}
        for name, keys in zip(TOKENS, one.tokens, strict=False):
            count = next((count for key in keys if (count := whole(loaded(told.get(key, "null")))) is not None), None)
            if count is not None:
                found[name] = count
        if found.keys() & set(TOKENS[:3]):
            if "total_tokens" not in found and {"input_tokens", "output_tokens"} <= found.keys():
                found["total_tokens"] = found["input_tokens"] + found["output_tokens"]
            return {name: found[name] for name in TOKENS if name in found}
    return {}


def whole(value: object) -> int | None:
    """Return a count that came as a number or a text; None for what is none or has more than 63 bits."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:  # noqa: PLR2004 - digits of 64 bits
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and abs(value) < 1 << 63 else None


def _model(told: Mapping[str, str]) -> str | None:
    said = _first(told, _MODELS)
    if said is not None:
        value = loaded(said)
        return value if isinstance(value, str) else None
    for name in (INPUTS, OUTPUTS):
        value = loaded(told[name]) if name in told else None
        model: Any = cast("dict[str, Any]", value).get("model") if isinstance(value, dict) else None
        if isinstance(model, str) and model:
            return model
    return None
