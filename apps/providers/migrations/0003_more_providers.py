from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orgs", "0001_initial"),
        ("providers", "0002_price_book"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="credential",
            name="providers_credential_provider",
        ),
        migrations.RemoveConstraint(
            model_name="providermodel",
            name="providers_model_provider",
        ),
        migrations.AlterField(
            model_name="credential",
            name="provider",
            field=models.CharField(
                choices=[
                    ("openai", "OpenAI"),
                    ("azure_openai", "Azure OpenAI"),
                    ("anthropic", "Anthropic"),
                    ("gemini", "Google Gemini"),
                    ("mistral", "Mistral"),
                    ("cohere", "Cohere"),
                    ("groq", "Groq"),
                    ("deepseek", "DeepSeek"),
                    ("xai", "xAI"),
                    ("together", "Together AI"),
                    ("fireworks", "Fireworks AI"),
                    ("openrouter", "OpenRouter"),
                    ("cerebras", "Cerebras"),
                    ("moonshot", "Moonshot AI"),
                    ("ollama", "Ollama"),
                    ("openai_compatible", "OpenAI-compatible"),
                    ("sandbox", "Sandbox"),
                ],
                max_length=32,
                verbose_name="provider",
            ),
        ),
        migrations.AlterField(
            model_name="providermodel",
            name="provider",
            field=models.CharField(
                choices=[
                    ("openai", "OpenAI"),
                    ("azure_openai", "Azure OpenAI"),
                    ("anthropic", "Anthropic"),
                    ("gemini", "Google Gemini"),
                    ("mistral", "Mistral"),
                    ("cohere", "Cohere"),
                    ("groq", "Groq"),
                    ("deepseek", "DeepSeek"),
                    ("xai", "xAI"),
                    ("together", "Together AI"),
                    ("fireworks", "Fireworks AI"),
                    ("openrouter", "OpenRouter"),
                    ("cerebras", "Cerebras"),
                    ("moonshot", "Moonshot AI"),
                    ("ollama", "Ollama"),
                    ("openai_compatible", "OpenAI-compatible"),
                    ("sandbox", "Sandbox"),
                ],
                max_length=32,
                verbose_name="provider",
            ),
        ),
        migrations.AddConstraint(
            model_name="credential",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "provider__in",
                        [
                            "openai",
                            "azure_openai",
                            "anthropic",
                            "gemini",
                            "mistral",
                            "cohere",
                            "groq",
                            "deepseek",
                            "xai",
                            "together",
                            "fireworks",
                            "openrouter",
                            "cerebras",
                            "moonshot",
                            "ollama",
                            "openai_compatible",
                            "sandbox",
                        ],
                    )
                ),
                name="providers_credential_provider",
            ),
        ),
        migrations.AddConstraint(
            model_name="providermodel",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "provider__in",
                        [
                            "openai",
                            "azure_openai",
                            "anthropic",
                            "gemini",
                            "mistral",
                            "cohere",
                            "groq",
                            "deepseek",
                            "xai",
                            "together",
                            "fireworks",
                            "openrouter",
                            "cerebras",
                            "moonshot",
                            "ollama",
                            "openai_compatible",
                            "sandbox",
                        ],
                    )
                ),
                name="providers_model_provider",
            ),
        ),
    ]
