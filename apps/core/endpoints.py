"""The gateway's endpoints by name: one word each in scopes, records, metrics and docs."""

CHAT_COMPLETIONS = "chat_completions"
RESPONSES = "responses"
EMBEDDINGS = "embeddings"
MESSAGES = "messages"
COMPLETIONS = "completions"
MODERATIONS = "moderations"
IMAGES = "image_generations"
SPEECH = "speech"
TRANSCRIPTIONS = "transcriptions"
AUDIO_TRANSLATIONS = "audio_translations"
IMAGE_EDITS = "image_edits"
IMAGE_VARIATIONS = "image_variations"
FILES = "files"
BATCHES = "batches"
STORED_RESPONSES = "stored_responses"
INPUT_TOKENS = "input_tokens"
COMPACTION = "compaction"
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
    IMAGE_EDITS,
    SPEECH,
    TRANSCRIPTIONS,
    FILES,
    BATCHES,
    RERANK,
    REALTIME,
    MODELS,
)

# Those whose answers hold nothing that a model wrote, and those that hold pictures, sound or what was heard instead.
OUTPUTLESS = frozenset({EMBEDDINGS, MODERATIONS, RERANK})
WORDLESS = frozenset(
    {IMAGES, IMAGE_EDITS, IMAGE_VARIATIONS, SPEECH, TRANSCRIPTIONS, AUDIO_TRANSLATIONS, FILES, BATCHES}
)

# Those whose requests are forms with files.
FORMS = frozenset({TRANSCRIPTIONS, AUDIO_TRANSLATIONS, IMAGE_EDITS, IMAGE_VARIATIONS})
# What is asked of an account for its own sake: the models' names play no part in where it leads.
OBJECTS = frozenset({FILES, BATCHES, STORED_RESPONSES})
