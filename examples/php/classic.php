<?php
// What many sites have behind a page: it reads $_REQUEST and $_SERVER, and answers JSON. It knows nothing of sockets.
header('Content-Type: application/json');
$text = trim($_REQUEST['text'] ?? '');
echo json_encode([
    'ok' => $text !== '',
    'text' => strtoupper($text),
    'room' => $_REQUEST['room'] ?? null,
    'from' => $_SERVER['REMOTE_ADDR'],
]);
