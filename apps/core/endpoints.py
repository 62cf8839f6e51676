"""The gateway's endpoints by name: one word each in scopes, records, metrics and docs."""

CHAT_COMPLETIONS = "chat_completions"
RESPONSES = "responses"
EMBEDDINGS = "embeddings"
MESSAGES = "messages"
COUNT_TOKENS = "count_tokens"
GENERATE_CONTENT = "generate_content"
STREAM_GENERATE_CONTENT = "stream_generate_content"
COUNT_CONTENT = "count_content"
EMBED_CONTENT = "embed_content"
BATCH_EMBED_CONTENTS = "batch_embed_contents"
MODELS = "models"

# What a token may be limited to, in the order shown.
SCOPES = (CHAT_COMPLETIONS, RESPONSES, MESSAGES, GENERATE_CONTENT, EMBEDDINGS, MODELS)
