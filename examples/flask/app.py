from flask import Flask
from prometheus_client import Counter

from prefork_metrics.flask import PreforkMetrics

app = Flask(__name__)
orders = Counter("shop_orders_total", "Orders taken.", ["kind"])


@app.post("/orders/<kind>")
def order(kind: str) -> tuple[str, int]:
    orders.labels("book" if kind == "book" else "other").inc()
    return "", 201


PreforkMetrics(app, path="/metrics", prefix="shop")
