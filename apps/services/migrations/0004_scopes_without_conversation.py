import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("services", "0003_gemini_scope"),
    ]

    operations = [
        migrations.AlterField(
            model_name="token",
            name="scopes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("chat_completions", "chat_completions"),
                        ("responses", "responses"),
                        ("messages", "messages"),
                        ("generate_content", "generate_content"),
                        ("completions", "completions"),
                        ("embeddings", "embeddings"),
                        ("moderations", "moderations"),
                        ("image_generations", "image_generations"),
                        ("speech", "speech"),
                        ("models", "models"),
                    ],
                    max_length=32,
                ),
                blank=True,
                default=list,
                help_text="Endpoints it may call; none: all.",
                size=None,
                verbose_name="scopes",
            ),
        ),
    ]
