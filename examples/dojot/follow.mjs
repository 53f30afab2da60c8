// Follows a topic of dojot's Kafka WS in Node.js (22 or later, nothing to install), as its documentation says: log in, fetch a
// ticket, open the topic with it. Prints each message as a line, and in the end how the connection was closed.
//
//   node follow.mjs http://localhost:8080 USER PASSWORD admin.device-data 'where=attrs.temperature=gt:30;' 'fields=attrs'

const [base, username, passwd, topic, ...filters] = process.argv.slice(2);

async function json(path, request) {
  const answer = await fetch(base + path, request);
  const body = await answer.json();
  if (!answer.ok) {
    console.error(path, answer.status, body.message);
    process.exit(1);
  }
  return body;
}

const { jwt } = await json("/auth", { method: "POST", body: JSON.stringify({ username, passwd }) });
const { ticket } = await json("/kafka-ws/v1/ticket", { headers: { Authorization: `Bearer ${jwt}` } });

const query = [...filters, `ticket=${ticket}`].join("&");
const socket = new WebSocket(`${base.replace(/^http/, "ws")}/kafka-ws/v1/topics/${topic}?${query}`);
socket.onopen = () => console.log("open");
socket.onmessage = (message) => console.log(message.data);
socket.onclose = (close) => {
  console.log("closed", close.code, close.reason);
  process.exit(0);
};
