"""A chat in Django: each event of a socket is a request to this view. Cookies come with it, so request.user works."""
from django.http import HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST


@csrf_exempt  # the gateway refuses handshakes from pages of other hosts itself
@require_POST
def chat(request, room):
    event, topic, name = request.headers.get('ce-type'), f'chat:{room}', request.user.get_username()
    if event == 'framegate.open':
        if not request.user.is_authenticated:
            return HttpResponse('log in first', status=403)
        return effects({'user': name}, {'subscribe': [topic]})
    if event == 'framegate.message':
        text = request.body.decode('utf-8', 'replace')
        return effects({'publish': {'topic': topic, 'text': f'{name}: {text}'}})
    if event == 'framegate.close':
        return effects({'publish': {'topic': topic, 'text': f'{name} left'}})
    return HttpResponse(status=204)


def effects(*items):
    return JsonResponse({'effects': items}, content_type='application/vnd.framegate.effects+json')


urlpatterns = [path('ws/chat/<str:room>', chat)]
