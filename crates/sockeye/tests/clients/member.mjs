// A member of a group in Node.js, as anybody would write it: prints the number of each event. It knows nothing of receipts.
const [url] = process.argv.slice(2);
const socket = new WebSocket(url);
socket.onopen = () => console.log("open");
socket.onmessage = (message) => console.log("number", JSON.parse(message.data).data.number);
socket.onclose = (close) => {
  console.log("closed", close.code, close.reason);
  process.exit(0);
};
