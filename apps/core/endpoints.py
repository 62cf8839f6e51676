"""The gateway's endpoints by name: one word each in scopes, records, metrics and docs."""

CHAT_COMPLETIONS = "chat_completions"
RESPONSES = "responses"
EMBEDDINGS = "embeddings"
MESSAGES = "messages"
COUNT_TOKENS = "count_tokens"
MODELS = "models"

# What a token may be limited to, in the order shown.
SCOPES = (CHAT_COMPLETIONS, RESPONSES, MESSAGES, EMBEDDINGS, MODELS)
