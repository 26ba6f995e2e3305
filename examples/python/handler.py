"""The smallest handler: it sends each message back. Only the standard library of Python."""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'  # connections stay open, each has a thread
    wbufsize = -1                  # headers and body leave in one piece

    def do_POST(self):
        frame = self.rfile.read(int(self.headers['content-length']))
        is_message = self.headers['ce-type'] == 'framegate.message'
        answer = b'you said: ' + frame if is_message else b''
        self.send_response(200)
        if is_message:             # with a content type even an empty answer is a frame
            self.send_header('content-type', self.headers.get('content-type', 'text/plain'))  # text or binary, as it came
        self.send_header('content-length', str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


ThreadingHTTPServer(('127.0.0.1', 9000), Handler).serve_forever()
