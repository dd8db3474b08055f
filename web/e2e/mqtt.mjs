/** A device in a few bytes: MQTT 3.1.1 CONNECT, one PUBLISH with QoS 1, DISCONNECT; or one that stays. */
import { connect } from 'node:net';

const answer_ms_max = 8000;

const text = (value) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
};

function packet(type, body) {
  const size = [];
  let rest = body.length;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    size.push(rest > 0 ? low | 128 : low);
  } while (rest > 0);
  return Buffer.concat([Buffer.from([type, ...size]), body]);
}

/** Resolves with what the server said: `{ connack, puback }`; a refusal is not an exception. */
export function send({ host, port, user, token, topic, payload }) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    const said = { connack: null, puback: false };
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(said);
    };
    const timer = setTimeout(() => reject(new Error('the server did not answer')), answer_ms_max);
    socket.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.on('close', end);
    socket.on('connect', () => {
      const head = Buffer.concat([text('MQTT'), Buffer.from([4, 0xc2, 0, 30])]);
      socket.write(packet(0x10, Buffer.concat([head, text(`e2e${port}`), text(user), text(token)])));
    });
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= 4) {
        const [type, , , code] = rest;
        rest = rest.subarray(4);
        if (type === 0x20) {
          said.connack = code;
          if (code !== 0) return end();
          const body = Buffer.concat([text(topic), Buffer.from([0, 1]), Buffer.from(payload)]);
          socket.write(packet(0x32, body));
        } else if (type === 0x40) {
          said.puback = true;
          socket.write(Buffer.from([0xe0, 0]));
          return end();
        }
      }
    });
  });
}

/** Stays connected until somebody ends it; `closed` resolves with the moment the server did. */
export function hold({ host, port, user, token }) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    const closed = new Promise((done) => socket.on('close', () => done(performance.now())));
    const timer = setTimeout(() => reject(new Error('the server did not answer')), answer_ms_max);
    socket.on('error', reject);
    socket.on('connect', () => {
      const head = Buffer.concat([text('MQTT'), Buffer.from([4, 0xc2, 0, 120])]);
      socket.write(packet(0x10, Buffer.concat([head, text(`e2e-held-${user}`), text(user), text(token)])));
    });
    socket.once('data', (chunk) => {
      clearTimeout(timer);
      if (chunk[3] !== 0) reject(new Error(`CONNACK says ${chunk[3]}`));
      resolve({ closed, end: () => socket.destroy() });
    });
  });
}

/** Says something else than TLS at a port of TLS. */
export function speakPlainly({ host, port }) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => socket.write('GET / HTTP/1.1\r\n\r\n'));
    socket.on('error', (error) => (error.code === 'ECONNRESET' ? resolve() : reject(error)));
    socket.on('close', resolve);
    socket.on('data', () => {});
  });
}
