#!/usr/bin/env python3
"""A model that knows its answers: an OpenAI-compatible server for recording the cassette.

It listens on a free port of the loopback interface, prints the name that `--model` takes,
and answers POST /v1/chat/completions from recordings/answers.json by recognising which of
the documents in invoices/ is in the question. It stops by itself when nobody has asked for
a while, or when its standard input ends.

    python3 tools/answering_model.py
    http://127.0.0.1:41873/v1#reader
"""

import argparse
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parent.parent
BODY_BYTES_MAX = 4 << 20


class Answers:
    """The documents and what is to be said of each."""

    def __init__(self, invoices: Path, answers: Path):
        self.answers = json.loads(answers.read_text(encoding="utf-8"))
        self.documents = {
            name: " ".join((invoices / name).read_text(encoding="utf-8").split())
            for name in self.answers
        }

    def find(self, question: str):
        """The answer for the document in the question, whatever its line breaks became."""
        question = " ".join(question.split())
        for name, document in self.documents.items():
            if document in question:
                return json.dumps(self.answers[name], ensure_ascii=False)
        return None


def tokens(text: str) -> int:
    """About four characters make a token."""
    return len(text) // 4 + 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.asked = time.monotonic()
        length = int(self.headers.get("Content-Length", 0))
        if self.path != "/v1/chat/completions" or not 0 < length <= BODY_BYTES_MAX:
            self.reply(404, {"error": {"message": f"no such thing as {self.path}"}})
            return
        try:
            asked = json.loads(self.rfile.read(length))
            contents = [message["content"] for message in asked["messages"]]
        except (ValueError, KeyError, TypeError) as error:
            self.reply(400, {"error": {"message": f"not a chat request: {error}"}})
            return
        answer = self.server.answers.find(contents[-1])
        if answer is None:
            self.reply(422, {"error": {"message": "I know no such document"}})
            return
        used = {"prompt_tokens": sum(map(tokens, contents)), "completion_tokens": tokens(answer)}
        used["total_tokens"] = sum(used.values())
        message = {"role": "assistant", "content": answer}
        self.reply(200, {
            "id": "chatcmpl-recorded",
            "object": "chat.completion",
            "created": 0,
            "model": asked.get("model", "reader"),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": used,
        })

    def reply(self, status: int, body: dict):
        data = json.dumps(body, ensure_ascii=False).encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Quiet: the first line on standard output is for whoever starts it."""


def stop_when_idle(server, idle_seconds: float):
    while time.monotonic() - server.asked < idle_seconds:
        time.sleep(0.2)
    server.shutdown()


def stop_at_end_of_input(server):
    sys.stdin.read()
    server.shutdown()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--invoices", type=Path, default=EXAMPLE / "invoices")
    parser.add_argument("--answers", type=Path, default=EXAMPLE / "recordings" / "answers.json")
    parser.add_argument("--idle-seconds", type=float, default=60, help="stop after so long without a question")
    parser.add_argument("--until-stdin-ends", action="store_true", help="also stop when standard input ends")
    options = parser.parse_args()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers = Answers(options.invoices, options.answers)
    server.asked = time.monotonic()
    threading.Thread(target=stop_when_idle, args=(server, options.idle_seconds), daemon=True).start()
    if options.until_stdin_ends:
        threading.Thread(target=stop_at_end_of_input, args=(server,), daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}/v1#reader", flush=True)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
