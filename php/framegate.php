<?php
/**
 * framegate for PHP 8: reads the event of a request, writes the effects of its answer, and pushes to open sockets.
 * One file without dependencies: copy it. docs/protocol.md of framegate describes what goes over the wire.
 */
declare(strict_types=1);

namespace Framegate;

/** One event of a socket, read from the request that this script answers. */
final class Event
{
    private function __construct(
        /** open, message, alarm, close or timer; with sessions also detach and resume. */
        public readonly string $type,
        /** The same when the event is sent again. */
        public readonly string $id,
        /** The id of the socket, for pushes to it. */
        public readonly string $connection,
        /** 0 is open; null in the close event of a socket whose worker was killed. */
        public readonly ?int $number,
        /** What the script last set with Reply::state. */
        public readonly ?string $state,
        /** What the script last named with Reply::user. */
        public readonly ?string $user,
        /** The path of the handshake, percent-decoded, without its query, which is in $_GET. */
        public readonly string $path,
        /** The frame, as bytes. */
        public readonly string $data,
        public readonly bool $isBinary,
        /** Of a close event. */
        public readonly ?int $closeCode,
        public readonly string $closeReason,
        /** Of a close event: how long the socket existed, in seconds. */
        public readonly ?float $duration,
    ) {
    }

    /** Reads the event, or gives null if the request is none: a page of a browser, for example. */
    public static function read(): ?self
    {
        $type = $_SERVER['HTTP_CE_TYPE'] ?? '';
        if (!str_starts_with($type, 'framegate.')) {
            return null;
        }
        return new self(
            substr($type, strlen('framegate.')),
            $_SERVER['HTTP_CE_ID'],
            $_SERVER['HTTP_CE_CONNECTIONID'] ?? '',
            isset($_SERVER['HTTP_CE_EVENTNUMBER']) ? (int) $_SERVER['HTTP_CE_EVENTNUMBER'] : null,
            isset($_SERVER['HTTP_CE_STATE']) ? rawurldecode($_SERVER['HTTP_CE_STATE']) : null,
            isset($_SERVER['HTTP_CE_USER']) ? rawurldecode($_SERVER['HTTP_CE_USER']) : null,
            rawurldecode(explode('?', $_SERVER['REQUEST_URI'])[0]),
            (string) file_get_contents('php://input'),
            ($_SERVER['CONTENT_TYPE'] ?? '') === 'application/octet-stream',
            isset($_SERVER['HTTP_CE_CLOSECODE']) ? (int) $_SERVER['HTTP_CE_CLOSECODE'] : null,
            rawurldecode($_SERVER['HTTP_CE_CLOSEREASON'] ?? ''),
            isset($_SERVER['HTTP_CE_DURATION']) ? $_SERVER['HTTP_CE_DURATION'] / 1000 : null,
        );
    }

    /**
     * Whether the gateway has signed this request at most five minutes ago: method, path, headers of the event, and body.
     * docs/signed-events.md describes how. If not, answer with Reply::refuse(401, '…') and do nothing else.
     * It is false, too, if $_GET was made from another query than that of REQUEST_URI, which is signed.
     * @param string $secrets the HANDLER_SECRET of the gateway; during a rotation both secrets, with a comma between them
     */
    public static function isSigned(string $secrets): bool
    {
        $id = $_SERVER['HTTP_WEBHOOK_ID'] ?? '';
        $time = $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '';
        $lines = [];
        foreach ($_SERVER as $name => $value) {
            if (str_starts_with($name, 'HTTP_CE_')) {
                $lines[] = strtolower(strtr(substr($name, strlen('HTTP_')), '_', '-')) . ": $value";
            }
        }
        sort($lines);
        if (($_SERVER['CONTENT_TYPE'] ?? '') !== '') {
            $lines[] = "content-type: $_SERVER[CONTENT_TYPE]";
        }
        array_unshift($lines, "$_SERVER[REQUEST_METHOD] $_SERVER[REQUEST_URI]");
        $context = implode("\n", $lines);
        $body = (string) file_get_contents('php://input');
        return preg_grep('/[\r\n]/', $lines) === [] // FastCGI, unlike HTTP, can carry a value that looks like several lines
            && ($_SERVER['QUERY_STRING'] ?? '') === (explode('?', $_SERVER['REQUEST_URI'], 2)[1] ?? '')
            && abs(time() - (int) $time) <= 300
            && self::matches($secrets, $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '', "$id.$time.$body")
            && self::matches($secrets, $_SERVER['HTTP_FRAMEGATE_SIGNATURE'] ?? '', "$id/context.$time.$context");
    }

    private static function matches(string $secrets, string $signatures, string $message): bool
    {
        foreach (preg_split('/[\s,]+/', $secrets, -1, PREG_SPLIT_NO_EMPTY) as $secret) {
            $key = (string) base64_decode(substr($secret, strlen('whsec_')), true);
            $expected = 'v1,' . base64_encode(hash_hmac('sha256', $message, $key, true));
            foreach (explode(' ', $signatures) as $signature) {
                if (strlen($key) >= 24 && hash_equals($expected, $signature)) {
                    return true;
                }
            }
        }
        return false;
    }

    /**
     * The frame as JSON; objects are arrays.
     * @throws \JsonException
     */
    public function json(): mixed
    {
        return json_decode($this->data, true, flags: JSON_THROW_ON_ERROR);
    }
}

/** The answer to an event: effects, in this order. Nothing is sent before write(). */
final class Reply
{
    private array $effects = [];

    /** Sends a frame to the socket: a string as text, anything else as JSON. */
    public function send(mixed $data): self
    {
        return $this->add('send', text($data));
    }

    /** Sends a binary frame. */
    public function sendBytes(string $bytes): self
    {
        return $this->add('send', ['base64' => base64_encode($bytes)]);
    }

    /** Sends a frame to all subscribers of a topic; with $exceptSelf not to this socket. */
    public function publish(string $topic, mixed $data, bool $exceptSelf = false): self
    {
        return $this->add('publish', ['topic' => $topic] + text($data) + ($exceptSelf ? ['except' => 'self'] : []));
    }

    public function subscribe(string ...$topics): self
    {
        return $this->add('subscribe', $topics);
    }

    public function unsubscribe(string ...$topics): self
    {
        return $this->add('unsubscribe', $topics);
    }

    /** Stores up to 4 KB with the socket; Event::$state has it from now on. An empty text removes it. */
    public function state(string $state): self
    {
        return $this->add('state', $state);
    }

    /** Names the user of the socket, for Gateway::user; Event::$user has it from now on. */
    public function user(string $name): self
    {
        return $this->add('user', $name);
    }

    /** Asks for an alarm event after this time; 0 takes it away. */
    public function alarm(float $seconds): self
    {
        return $this->add('alarm', $seconds);
    }

    /** Closes the socket after what was sent: 1000 or 3000 to 4999. */
    public function close(int $code = 1000, string $reason = ''): self
    {
        return $this->add('close', ['code' => $code, 'reason' => $reason]);
    }

    /** Writes the answer. Without effects it is empty, and the client gets nothing. */
    public function write(): void
    {
        if ($this->effects === []) {
            http_response_code(204);
            return;
        }
        header('content-type: application/vnd.framegate.effects+json');
        echo encode(['effects' => $this->effects]);
    }

    /** Refuses the socket, in the answer to open: the client gets this HTTP answer. */
    public static function refuse(int $status, string $message): void
    {
        http_response_code($status);
        header('content-type: text/plain; charset=utf-8');
        echo $message;
    }

    private function add(string $name, mixed $value): self
    {
        $this->effects[] = [$name => $value];
        return $this;
    }
}

/** The gateway did not do what it was asked for. The code is the HTTP status; 0 if there is no answer. */
final class GatewayException extends \RuntimeException
{
}

/** Pushes to open sockets from anywhere: a page, a queue, a cron job. */
final class Gateway
{
    private readonly string $url;
    private readonly string $token;

    /**
     * @param ?string $url unix:/path/to/control.sock, or http://host:port with a token. Default: CONTROL_URL, CONTROL_SOCKET
     * @param ?string $token the CONTROL_TOKEN of the gateway. Default: CONTROL_TOKEN
     * @param float $timeout seconds
     */
    public function __construct(?string $url = null, ?string $token = null, private readonly float $timeout = 10)
    {
        $socket = getenv('CONTROL_SOCKET') ?: 'run/control/control.sock';
        $this->url = $url ?? (getenv('CONTROL_URL') ?: "unix:$socket");
        $this->token = $token ?? (getenv('CONTROL_TOKEN') ?: '');
    }

    /** One frame to one socket; Event::$connection is its id. Code 410: it is gone. 429: it is too slow. */
    public function send(string $connection, mixed $data): array
    {
        return $this->push('/connections/' . rawurlencode($connection), $data);
    }

    /** A frame to all subscribers of a topic; $except is the id of a socket that does not get it. */
    public function publish(string $topic, mixed $data, ?string $except = null): array
    {
        return $this->push('/topics/' . rawurlencode($topic), $data, $except);
    }

    /** A frame to all sockets of a user. */
    public function user(string $name, mixed $data, ?string $except = null): array
    {
        return $this->push('/users/' . rawurlencode($name), $data, $except);
    }

    /** A frame to every socket. */
    public function broadcast(mixed $data, ?string $except = null): array
    {
        return $this->push('/broadcast', $data, $except);
    }

    /** Closes a socket after everything that waits to be sent to it. */
    public function close(string $connection, int $code = 1000, string $reason = ''): void
    {
        $query = http_build_query(['code' => $code, 'reason' => $reason], '', '&', PHP_QUERY_RFC3986);
        $this->request('DELETE', '/connections/' . rawurlencode($connection) . "?$query");
    }

    /**
     * Any request of the control API.
     * @return array the JSON of the answer; empty for 204
     * @throws GatewayException
     */
    public function request(string $method, string $path, string $body = '', string $type = 'application/json'): array
    {
        $headers = ["$method $path HTTP/1.0", 'host: gateway', "content-type: $type", 'content-length: ' . strlen($body)];
        if ($this->token !== '' && !str_starts_with($this->url, 'unix:')) {
            $headers[] = "authorization: Bearer $this->token";
        }
        $traceparent = $_SERVER['HTTP_TRACEPARENT'] ?? ''; // of the event, if this script answers one
        if (preg_match('/^[0-9a-f-]+$/D', $traceparent)) {
            $headers[] = "traceparent: $traceparent";
        }
        $request = implode("\r\n", $headers) . "\r\n\r\n" . $body;
        $answer = $this->exchange($request);
        if (self::status($answer) === 503) {
            $answer = $this->exchange($request); // a worker that shuts down after a reload has done nothing
        }
        $status = self::status($answer);
        $json = json_decode(explode("\r\n\r\n", $answer, 2)[1] ?? '', true);
        if ($status < 200 || $status > 299) {
            throw new GatewayException($json['detail'] ?? "the gateway answered $status", $status);
        }
        return is_array($json) ? $json : [];
    }

    /** @return array ['delivered' => …, 'dropped' => …] */
    private function push(string $path, mixed $data, ?string $except = null): array
    {
        $query = $except === null ? '' : '?except=' . rawurlencode($except);
        $isText = is_string($data) && preg_match('//u', $data) === 1;
        $type = $isText ? 'text/plain' : (is_string($data) ? 'application/octet-stream' : 'application/json');
        return $this->request('POST', $path . $query, is_string($data) ? $data : encode($data), $type);
    }

    private static function status(string $answer): int
    {
        return (int) substr($answer, strlen('HTTP/1.1 '), 3);
    }

    private function exchange(string $request): string
    {
        $address = preg_replace(['~^unix:(//)?~', '~^http://(.*?)/?$~'], ['unix://', 'tcp://$1'], $this->url);
        $socket = @stream_socket_client($address, $code, $message, $this->timeout);
        if ($socket === false) {
            throw new GatewayException("the gateway at $this->url cannot be reached: $message");
        }
        stream_set_timeout($socket, (int) $this->timeout, (int) (fmod($this->timeout, 1) * 1e6));
        for ($rest = $request; $rest !== ''; $rest = substr($rest, $written)) {
            $written = @fwrite($socket, $rest);
            if (!$written) {
                break; // it may have answered already
            }
        }
        $answer = stream_get_contents($socket);
        $isLate = stream_get_meta_data($socket)['timed_out'];
        fclose($socket);
        if ($isLate || !str_starts_with((string) $answer, 'HTTP/1.')) {
            throw new GatewayException("the gateway at $this->url did not answer" . ($isLate ? ' in time' : ''));
        }
        return $answer;
    }
}

/** A frame as JSON of an effect: a string that is UTF-8 is text, another is binary, anything else is JSON. */
function text(mixed $data): array
{
    if (is_string($data) && preg_match('//u', $data) !== 1) {
        return ['base64' => base64_encode($data)];
    }
    return ['text' => is_string($data) ? $data : encode($data)];
}

function encode(mixed $data): string
{
    return json_encode($data, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_PRESERVE_ZERO_FRACTION);
}
