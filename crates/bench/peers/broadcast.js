// Bun's WebSockets (uWebSockets): all sockets subscribe to one topic, each POST is published to it.
const TOPIC = "all";

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request, server) {
    if (request.method === "POST") {
      server.publish(TOPIC, await request.text());
      return new Response(null, { status: 202 });
    }
    return server.upgrade(request) ? undefined : new Response("a WebSocket is expected", { status: 400 });
  },
  websocket: {
    perMessageDeflate: false,
    // A Ping every 8 s (its timer has steps of 4 s); Sockeye sends one every 5 s. By default it is every two minutes.
    idleTimeout: 9,
    open: (socket) => socket.subscribe(TOPIC),
    message() {},
  },
});

console.log(`127.0.0.1:${server.port}`);
