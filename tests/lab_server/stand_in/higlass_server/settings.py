"""Of higlass-server what our app meets, so that it is tested where the release cannot be had. What it
answers is held against what release 1.14.8 has answered (../../answers.json).
"""

import os

INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "tilesets"]
MIDDLEWARE = ["django.contrib.auth.middleware.AuthenticationMiddleware"]
MIDDLEWARE.insert(0, "django.contrib.sessions.middleware.SessionMiddleware")
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
SECRET_KEY = "of a test"
ROOT_URLCONF = "tilesets.urls"
MEDIA_ROOT = os.path.join(os.environ["HIGLASS_SERVER_BASE_DIR"], "media")
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
ALLOWED_HOSTS = ["*"]
