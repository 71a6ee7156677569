"""A service that doesn't know of Countersign: it answers with the headers that came."""

import http.server


class Ledger(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        seen = {k: v for k, v in self.headers.items() if k.lower().startswith("x-countersign-")}
        body = "".join(f"  {k}: {v}\n" for k, v in sorted(seen.items())).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ledger)
print(server.server_port, flush=True)
server.serve_forever()
