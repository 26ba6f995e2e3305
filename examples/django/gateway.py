"""Pushes from a view, a signal or a management command: publish('chat:lobby', 'hello'). It does not need Django."""
import http.client
import json
import os
import socket
from urllib.parse import quote

CONTROL_SOCKET = os.environ.get('CONTROL_SOCKET', '/srv/framegate/run/control/control.sock')


def publish(topic, text):
    """Sends a text frame to all subscribers of a topic, and returns how many sockets got it, and how many did not."""
    gateway = http.client.HTTPConnection('gateway')
    gateway.sock = socket.socket(socket.AF_UNIX)
    gateway.sock.connect(CONTROL_SOCKET)
    gateway.request('POST', f'/topics/{quote(topic, safe="")}', text.encode())
    return json.load(gateway.getresponse())
