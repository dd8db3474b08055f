// The client of the JavaScript world: does one thing, prints one line of JSON, ends.
// CommonJS, because NODE_PATH is only looked at for `require`.
const mqtt = require("mqtt");

const order = JSON.parse(process.argv[2]);
const client = mqtt.connect(`mqtt://${order.host}:${order.port}`, {
  protocolVersion: order.version,
  clientId: `node-${order.what}`,
  username: order.user,
  password: order.password,
  reconnectPeriod: 0,
});

let told = false;
function tell(answer) {
  if (told) return;
  told = true;
  clearTimeout(timer);
  console.log(JSON.stringify(answer));
  // In order, so that what was published with QoS 0 has left before the socket goes.
  client.end(false, () => process.exit(0));
}

const messages = [];
let granted = null;
const timer = setTimeout(() => tell({ code: granted ?? "silent", messages }), order.wait_ms);

function tellWhenComplete() {
  if (granted !== null && messages.length >= order.count) tell({ code: granted, messages });
}

client.on("message", (topic, payload) => {
  messages.push([topic, payload.toString()]);
  tellWhenComplete();
});
client.on("error", (error) => tell({ code: error.code ?? String(error), messages }));
client.on("close", () => tell({ code: "closed", messages }));
client.on("connect", () => {
  if (order.what === "connect") {
    tell({ code: 0 });
  } else if (order.what === "publish") {
    client.publish(order.topic, order.payload, { qos: order.qos }, (error, packet) => {
      tell({ code: error ? (error.code ?? String(error)) : (packet?.reasonCode ?? null) });
    });
  } else {
    client.subscribe(order.topic, { qos: 1 }, (error, granting) => {
      granted = error ? (error.code ?? 0x80) : granting[0].qos;
      tellWhenComplete();
    });
  }
});
