"""A chat in FastAPI: each event of a socket is a request to one route."""
from typing import Optional

from fastapi import FastAPI, Header, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

app = FastAPI()


@app.post('/ws/chat/{room}')
async def chat(room: str, request: Request, ce_type: str = Header(), name: Optional[str] = None):
    topic = f'chat:{room}'
    if ce_type == 'framegate.open':
        if not name:
            return PlainTextResponse('expected ?name=', 400)
        return effects({'user': name}, {'subscribe': [topic]})
    if ce_type == 'framegate.message':
        text = (await request.body()).decode('utf-8', 'replace')
        return effects({'publish': {'topic': topic, 'text': f'{name}: {text}'}})
    if ce_type == 'framegate.close':
        return effects({'publish': {'topic': topic, 'text': f'{name} left'}})
    return Response(status_code=204)


def effects(*items):
    return JSONResponse({'effects': items}, media_type='application/vnd.framegate.effects+json')
