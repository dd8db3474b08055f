/** The mock's MQTT 3.1.1: CONNECT and PUBLISH, enough for the ear of the connect page. */
import { createServer } from 'node:net';

export function listenMqtt(port, world) {
  const server = createServer((socket) => {
    let rest = Buffer.alloc(0);
    let device = null;
    socket.on('error', () => {});
    socket.on('close', () => {
      for (const one of world.identity.sessions) if (one.socket === socket) world.identity.sessions.delete(one);
    });
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 2) {
        const size = rest[1];
        if (size > 127 || rest.length < 2 + size) return;
        const packet = rest.subarray(0, 2 + size);
        rest = rest.subarray(2 + size);
        if (packet[0] >> 4 === 1) device = connect(packet, socket, world);
        else if (packet[0] >> 4 === 3 && device) publish(packet, socket, world, device);
        else if (packet[0] >> 4 === 14) socket.end();
      }
    });
  });
  server.on('error', (error) => console.error(`mock mqtt: ${error.message}`));
  server.listen(port, '127.0.0.1');
}

function field(packet, at) {
  const size = packet.readUInt16BE(at);
  return [packet.subarray(at + 2, at + 2 + size).toString(), at + 2 + size];
}

function connect(packet, socket, world) {
  let at = 12;
  let user = '';
  let token = '';
  [, at] = field(packet, at);
  if (packet[9] & 0x80) [user, at] = field(packet, at);
  if (packet[9] & 0x40) [token, at] = field(packet, at);
  const device = world.find(user);
  if (device && device.tokens.includes(token)) {
    world.identity.sessions.add({ device, token, socket });
    socket.write(Buffer.from([0x20, 2, 0, 0]));
    return device;
  }
  const peer = `${socket.remoteAddress}:${socket.remotePort}`;
  const reason = device ? 'wrong token' : 'unknown id';
  world.refuse({ claimed: user, device: device?.id ?? null, peer, reason });
  socket.end(Buffer.from([0x20, 2, 0, 5]));
  return null;
}

function publish(packet, socket, world, device) {
  let [topic, at] = field(packet, 2);
  if (packet[0] & 0x06) {
    socket.write(Buffer.from([0x40, 2, packet[at], packet[at + 1]]));
    at += 2;
  }
  world.receive(device, topic, packet.subarray(at).toString());
}

/** Where TLS would be: whoever comes is refused as one that does not speak it. */
export function listenTls(port, world) {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      world.refuse({ claimed: '', device: null, peer: `${socket.remoteAddress}:${socket.remotePort}`, reason: 'not_tls' });
      socket.end();
    });
  });
  server.on('error', (error) => console.error(`mock tls: ${error.message}`));
  server.listen(port, '127.0.0.1');
}
