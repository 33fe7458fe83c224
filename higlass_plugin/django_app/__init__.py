"""Predicted tilesets in higlass-server: add ``higlass_plugin.django_app.apps.OrcaConfig`` to
``INSTALLED_APPS``.
"""
