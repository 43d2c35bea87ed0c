"""What runs in gunicorn's workers. Flask, werkzeug and gunicorn are imported here only."""
