"""The WSGI entry point (`app.wsgi:app`): the only module that builds an application on import."""

from app import create_app

app = create_app()
