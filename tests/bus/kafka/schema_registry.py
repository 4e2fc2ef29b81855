"""A small schema registry: what Confluent's serializers ask of one.

Every schema is accepted, but for topics that begin with `refused-`: there each contradicts another.  Under the path
`/another/` is a server that knows nothing of schemas, and wherever else nothing is, that is said in HTML.

Prints {"url": "http://127.0.0.1:..."} and stays until it is killed.
"""

import json
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LOCK = threading.Lock()
SCHEMAS: list[str] = []
SUBJECTS: dict[str, list[int]] = {}


def register(subject: str, schema: str) -> dict[str, object]:
    with LOCK:
        if schema not in SCHEMAS:
            SCHEMAS.append(schema)
        number = SCHEMAS.index(schema) + 1
        versions = SUBJECTS.setdefault(subject, [])
        if number not in versions:
            versions.append(number)
    return described(subject, number)


def described(subject: str, number: int) -> dict[str, object]:
    version = SUBJECTS[subject].index(number) + 1
    return {"subject": subject, "id": number, "version": version, "schema": SCHEMAS[number - 1], "schemaType": "AVRO"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def answer(self, content: object, status: int = 200) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path)
        schema = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["schema"]
        if path.startswith("/subjects/refused-"):
            return self.answer({"error_code": 409, "message": "Schema being registered is incompatible"}, 409)
        if match := re.fullmatch(r"/subjects/(.+)/versions", path):
            return self.answer(register(match[1], schema))
        match = re.fullmatch(r"/subjects/(.+)", path)
        if match and schema in SCHEMAS and SCHEMAS.index(schema) + 1 in SUBJECTS.get(match[1], []):
            return self.answer(described(match[1], SCHEMAS.index(schema) + 1))
        return self.answer({"error_code": 40403, "message": "Schema not found"}, 404)

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path == "/subjects":
            return self.answer(sorted(SUBJECTS))
        match = re.fullmatch(r"/schemas/ids/(\d+)", path)
        if match and 0 < int(match[1]) <= len(SCHEMAS):
            return self.answer({"schema": SCHEMAS[int(match[1]) - 1], "schemaType": "AVRO"})
        if match and int(match[1]) < 2**31:
            return self.answer({"error_code": 40403, "message": "Schema not found"}, 404)
        if path.startswith("/another/"):
            return self.answer({"status": "ok"})
        return self.send_error(404)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    say(json.dumps({"url": f"http://127.0.0.1:{server.server_port}"}))
    server.serve_forever()
