"""Contacts get keys of their own; who lowers a report's handling asks a second person; duties follow the journal."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('reports', '0002_no_row_takes_anothers_place'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ContactKey',
            fields=[
                ('report', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='contact_key', serialize=False, to='reports.report')),
                ('key_sealed', models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name='Followed',
            fields=[
                ('name', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('line', models.BigIntegerField()),
            ],
        ),
        migrations.AddField(
            model_name='delivery',
            name='sha256',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name='delivery',
            name='tries',
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name='item',
            name='kind_met',
            field=models.CharField(blank=True, max_length=16),
        ),
        migrations.CreateModel(
            name='HandlingProposal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sensitivity', models.IntegerField()),
                ('tlp', models.CharField(choices=[('red', 'red'), ('amber+strict', 'amber+strict'), ('amber', 'amber'), ('green', 'green'), ('clear', 'clear')], max_length=20)),
                ('reason', models.CharField(max_length=64)),
                ('asked_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(null=True)),
                ('is_confirmed', models.BooleanField(default=False)),
                ('asked_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('report', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='handling_proposals', to='reports.report')),
            ],
            options={
                'ordering': ('-id',),
                'constraints': [models.CheckConstraint(condition=models.Q(('is_confirmed', False), models.Q(('decided_by', models.F('asked_by')), _negated=True), _connector='OR'), name='a_second_person_lowers_handling'), models.UniqueConstraint(condition=models.Q(('decided_at__isnull', True)), fields=('report',), name='one_open_handling_of_a_report')],
            },
        ),
    ]
