// Follows streams of Octave in Node.js (22 or later, nothing to install), as its documentation says: a session, a socket, a
// subscription for each path. Prints the elements of each event as a line, and in the end how the connection was closed.
//
//   node follow.mjs http://localhost:8080 COMPANY USER TOKEN /COMPANY/devices/DEVICE/STREAM ..

const [base, company, user, token, ...paths] = process.argv.slice(2);

const headers = { "X-Auth-Company": company, "X-Auth-Token": token };
if (user) headers["X-Auth-User"] = user;
const answer = await fetch(`${base}/session`, { method: "POST", headers });
const { head, body } = await answer.json();
if (answer.status !== 201) {
  console.error(head.status, head.errors[0]);
  process.exit(1);
}

const socket = new WebSocket(`${base.replace(/^http/, "ws")}/session/${body.id}/ws`);
socket.onopen = () => {
  paths.forEach((path, number) => {
    socket.send(JSON.stringify({ msgId: number, object: "event", type: "subscribe", path }));
  });
};
let waiting = paths.length;
socket.onmessage = (message) => {
  const frame = JSON.parse(message.data);
  if (frame.type === "message") {
    console.log(frame.value.path, JSON.stringify(frame.value.elems));
  } else if (!frame.head.ok) {
    console.error(paths[frame.head.msgId], frame.head.status, frame.head.errors[0]);
    process.exit(1);
  } else if (--waiting === 0) {
    console.log("subscribed");
  }
};
socket.onclose = (close) => {
  console.log("closed", close.code, close.reason);
  process.exit(0);
};
