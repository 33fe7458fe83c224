from django.urls import path

from tilesets import views

urlpatterns = [
    path("api/v1/tiles/", views.tiles),
    path("api/v1/tileset_info/", views.tileset_info),
    path("api/v1/chrom-sizes/", views.sizes),
    path("api/v1/register_url/", views.register_url),
]
