from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("providers", "0004_routing"),
    ]

    operations = [
        migrations.AddField(
            model_name="credential",
            name="refused_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="refused at"),
        ),
        migrations.AddField(
            model_name="credential",
            name="refused_model",
            field=models.CharField(blank=True, editable=False, max_length=255, verbose_name="refused for"),
        ),
        migrations.AddField(
            model_name="credential",
            name="refused_status",
            field=models.PositiveSmallIntegerField(blank=True, editable=False, null=True, verbose_name="refused with"),
        ),
    ]
