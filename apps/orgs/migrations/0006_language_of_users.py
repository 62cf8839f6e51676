from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orgs", "0005_sign_up")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="language",
            field=models.CharField(
                blank=True, db_default="", default="", editable=False, max_length=8, verbose_name="language"
            ),
        ),
    ]
