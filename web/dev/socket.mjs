/** The mock's WebSocket: text frames under 64 kB, ping every 15 s (RFC 6455, section 5.2). */

export function acceptSocket(socket, accept, world) {
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  );
  let end = () => {};
  let seq = 0;
  const ping = setInterval(() => socket.write(Buffer.from([0x89, 0])), 15_000);
  const close = () => {
    clearInterval(ping);
    end();
  };
  let rest = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const frame = decode(rest);
      if (!frame) return;
      rest = rest.subarray(frame.length);
      if (frame.opcode === 8) return socket.end();
      if (frame.opcode !== 1) continue;
      const asked = JSON.parse(frame.text);
      end();
      end = () => {};
      if (!asked.subscribe) continue;
      const wanted = { devices: asked.subscribe.devices ?? null, kinds: asked.subscribe.kinds ?? [] };
      const missed = (world.byId.get(wanted.devices?.[0])?.messages ?? []).filter((one) => asked.subscribe.after != null && one.offset > asked.subscribe.after);
      for (const one of missed.reverse()) socket.write(encode(JSON.stringify({ kind: 'message', seq: (seq += 1), offset: one.offset, data: { ...one, device: wanted.devices[0] } })));
      end = world.listen(wanted, (kind, data) => {
        seq += 1;
        socket.write(encode(JSON.stringify({ kind, seq, offset: world.offset, data })));
      });
    }
  });
  socket.on('close', close);
  socket.on('error', close);
}

function decode(buffer) {
  if (buffer.length < 2) return null;
  let size = buffer[1] & 0x7f;
  let at = 2;
  if (size === 126) {
    if (buffer.length < 4) return null;
    size = buffer.readUInt16BE(2);
    at = 4;
  }
  if (buffer.length < at + 4 + size) return null;
  const mask = buffer.subarray(at, at + 4);
  const text = Buffer.from(buffer.subarray(at + 4, at + 4 + size)).map((byte, i) => byte ^ mask[i % 4]);
  return { opcode: buffer[0] & 0xf, text: text.toString(), length: at + 4 + size };
}

function encode(text) {
  const body = Buffer.from(text);
  const head = body.length < 126 ? Buffer.from([0x81, body.length]) : Buffer.alloc(4);
  if (body.length >= 126) {
    head[0] = 0x81;
    head[1] = 126;
    head.writeUInt16BE(body.length, 2);
  }
  return Buffer.concat([head, body]);
}
