"""Two web servers of the host's, each on a port of its own, for a minute at most. Prints the ports."""
import http.server
import signal
import sys
import threading


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"a page of the server on port {self.server.server_port}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


signal.alarm(60)
servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) for _ in range(2)]
print(*(server.server_port for server in servers), flush=True)
for server in servers:
    threading.Thread(target=server.serve_forever).start()
sys.stdout.close()
