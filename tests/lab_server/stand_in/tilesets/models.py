from django.contrib.auth.models import User
from django.db import models


class Tileset(models.Model):
    uuid = models.CharField(max_length=100, unique=True)
    datafile = models.FileField(upload_to="uploads")
    filetype = models.TextField()
    datatype = models.TextField(null=True)
    name = models.TextField()
    coordSystem = models.TextField()
    coordSystem2 = models.TextField(default="")
    private = models.BooleanField(default=False)
    owner = models.ForeignKey(User, null=True, on_delete=models.CASCADE)
