"""The gateway's endpoints by name: one word each in scopes, records, metrics and docs."""

CHAT_COMPLETIONS = "chat_completions"
RESPONSES = "responses"
EMBEDDINGS = "embeddings"
MESSAGES = "messages"
COMPLETIONS = "completions"
MODERATIONS = "moderations"
IMAGES = "image_generations"
SPEECH = "speech"
COUNT_TOKENS = "count_tokens"
GENERATE_CONTENT = "generate_content"
STREAM_GENERATE_CONTENT = "stream_generate_content"
COUNT_CONTENT = "count_content"
EMBED_CONTENT = "embed_content"
BATCH_EMBED_CONTENTS = "batch_embed_contents"
MODELS = "models"

# What a token may be limited to, in the order shown.
SCOPES = (
    CHAT_COMPLETIONS,
    RESPONSES,
    MESSAGES,
    GENERATE_CONTENT,
    COMPLETIONS,
    EMBEDDINGS,
    MODERATIONS,
    IMAGES,
    SPEECH,
    MODELS,
)

# Those whose answers hold nothing that a model wrote, and those that hold pictures or sound instead.
OUTPUTLESS = frozenset({EMBEDDINGS, MODERATIONS})
WORDLESS = frozenset({IMAGES, SPEECH})
