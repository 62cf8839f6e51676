from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orgs", "0003_roles_and_switches")]

    operations = [
        migrations.AddField(
            model_name="organization",
            name="hosted_credentials",
            field=models.BooleanField(
                db_default=True,
                default=True,
                help_text="Its calls may use the installation's credentials, where it has none of its own for a model.",
                verbose_name="hosted credentials",
            ),
        ),
    ]
