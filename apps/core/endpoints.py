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
RERANK = "rerank"
REALTIME = "realtime"
REALTIME_RESPONSE = "realtime_response"
REALTIME_TRANSCRIPTION = "realtime_transcription"
REALTIME_SECRETS = "realtime_client_secrets"
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
    RERANK,
    REALTIME,
    MODELS,
)

# Those whose answers hold nothing that a model wrote, and those that hold pictures or sound instead.
OUTPUTLESS = frozenset({EMBEDDINGS, MODERATIONS, RERANK})
WORDLESS = frozenset({IMAGES, SPEECH})
