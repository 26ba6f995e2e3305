<?php
/** Pushes to a room of the chat, from a page or from cron: php push.php lobby 'it rains' */
declare(strict_types=1);

require __DIR__ . '/framegate.php';

$gateway = new Framegate\Gateway(); // CONTROL_SOCKET, or CONTROL_URL and CONTROL_TOKEN
['delivered' => $delivered] = $gateway->publish("chat:$argv[1]", $argv[2]);
echo "$delivered\n";
