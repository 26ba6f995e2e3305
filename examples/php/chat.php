<?php
/** A chat: each event of a socket is a request to this script. $_GET and $_COOKIE are those of the handshake. */
declare(strict_types=1);

use Framegate\{Event, Reply};

require __DIR__ . '/framegate.php';

$event = Event::read();
if ($event === null) {
    http_response_code(404);
    exit;
}
$name = $_GET['name'] ?? '';
$topic = 'chat:' . basename($event->path);
$reply = new Reply();
switch ($event->type) {
    case 'open':
        if ($name === '') {
            Reply::refuse(400, 'expected ?name=');
            exit;
        }
        $reply->user($name)->subscribe($topic);
        break;
    case 'message':
        $reply->publish($topic, "$name: $event->data");
        break;
    case 'close':
        $reply->publish($topic, "$name left");
        break;
}
$reply->write();
