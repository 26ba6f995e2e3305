-- The headers of a handshake that every event of its socket carries. HANDSHAKE_HEADERS adds others.

--- Names in lower case, in the order in which events have them.
return { "cookie", "authorization", "origin", "user-agent", "accept-language", "sec-websocket-protocol", "traceparent" }
