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
    open: (socket) => socket.subscribe(TOPIC),
    message() {},
  },
});

console.log(`127.0.0.1:${server.port}`);
