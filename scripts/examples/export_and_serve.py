"""From a trained model to a web service without fastnn: ONNX, preprocessing included.

A network learns rents from size, year, heating and district. It is exported to one ONNX file that takes rows
of a table. A server of the standard library, which listens on this machine only, answers JSON requests with
it by ONNX Runtime. The answers equal fastnn's, also for a missing year and an unknown district.

    python scripts/examples/export_and_serve.py
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import numpy as np
import onnxruntime
import pandas as pd
import typer

import fastnn
from fastnn.data import TableEncoder, Target
from fastnn.exchange import to_onnx


def make_rents(n: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return flats and their rents."""
    rng = np.random.default_rng(0)
    size, year = rng.lognormal(4.2, 0.4, n).round(), rng.integers(1880, 2025, n)
    district, heating = rng.integers(0, 50, n), rng.choice(["gas", "oil", "heat pump"], n)
    rent = size * (8 + rng.normal(0, 2, 50)[district] + abs(year - 1950) / 25 + (heating == "heat pump"))
    names = [f"district {number}" for number in district]
    gaps = np.where(rng.random(n) < 0.1, np.nan, year)
    return pd.DataFrame({"size": size, "year": gaps, "heating": heating, "district": names}), rent


def train(rows: pd.DataFrame, rent: np.ndarray, epochs: int) -> fastnn.Model:
    """Train a model of raw rows."""
    encoder, target = TableEncoder().fit(rows), Target("rent", "regression").fit(rent)
    x = encoder.transform(rows)
    net = fastnn.MLP([x.shape[1], 64, 64, 1], "silu", embeddings=encoder.embeddings, seed=0)
    trainer = fastnn.Trainer(net, loss="mse", schedule="one_cycle", seed=0)
    trainer.fit(x, target.encode(rent), epochs, verbose=0)
    return fastnn.Model(net, encoder, target)


def handler(session: onnxruntime.InferenceSession) -> type[BaseHTTPRequestHandler]:
    """Return a handler that answers rows with rents; it needs only JSON, NumPy and the session."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            rows = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            feed = {}
            for column in session.get_inputs():
                values = [[row[column.name]] for row in rows]
                is_number = column.type == "tensor(double)"
                feed[column.name] = np.array(values, float) if is_number else np.array(values, object)
            rents = session.run(["output"], feed)[0][:, 0]
            content = json.dumps(rents.tolist()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *message) -> None:
            pass

    return Handler


def main(small: bool = False) -> None:
    """Train, export, serve, send requests, and close."""
    rows, rent = make_rents(5_000)
    model = train(rows[:4000], rent[:4000], epochs=5 if small else 40)
    r2 = model.evaluate(rows[4000:], rent[4000:])["r2"]["value"]
    content = to_onnx(model)  # to_onnx(model, "rents.onnx") would write the file
    print(f"R² {r2:.3f} on other flats; as ONNX {len(content) / 1024:.0f} KiB")

    session = onnxruntime.InferenceSession(content)
    print("it takes", ", ".join(f"{column.name} {column.type}" for column in session.get_inputs()))
    asked = [
        {"size": 80, "year": 1905, "heating": "gas", "district": "district 3"},
        {"size": 45, "year": None, "heating": "heat pump", "district": "Atlantis"},
    ]
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(session)) as server:  # port 0: any that is free
        threading.Thread(target=server.serve_forever).start()
        try:
            request = Request(f"http://127.0.0.1:{server.server_port}", json.dumps(asked).encode())
            with urlopen(request, timeout=10) as reply:
                answers = json.load(reply)
        finally:
            server.shutdown()
    for row, answer in zip(asked, answers, strict=True):
        print(f"{answer:7.0f} for {row}")
    of_fastnn = model.predict(pd.DataFrame(asked))
    print("the answers agree with fastnn:", np.allclose(answers, of_fastnn, rtol=1e-5))


if __name__ == "__main__":
    typer.run(main)
