"""A chat in Flask: each event of a socket is a request to one route. args and cookies are those of the handshake."""
from flask import Flask, jsonify, request

app = Flask(__name__)


@app.post('/ws/chat/<room>')
def chat(room):
    event, topic, name = request.headers['ce-type'], f'chat:{room}', request.args.get('name')
    if event == 'framegate.open':
        if not name:
            return 'expected ?name=', 400
        return effects({'user': name}, {'subscribe': [topic]})
    if event == 'framegate.message':
        text = request.get_data().decode('utf-8', 'replace')
        return effects({'publish': {'topic': topic, 'text': f'{name}: {text}'}})
    if event == 'framegate.close':
        return effects({'publish': {'topic': topic, 'text': f'{name} left'}})
    return '', 204


def effects(*items):
    answer = jsonify(effects=items)
    answer.content_type = 'application/vnd.framegate.effects+json'
    return answer
