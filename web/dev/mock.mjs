/**
 * A server that speaks the console's part of the HTTP contract, for work on pages without the
 * real one. Kept in memory, forgotten at the end. Never part of the product.
 *
 *   node dev/mock.mjs            PORT=7070 MQTT_PORT=1883 MQTTS_PORT=8883 DEVICES=13 EVERY_MS=1000
 *   AUTH=setup-token|token       asks for a token, "own-token"; the setup token is "setup-1"
 *   IDENTITY=empty               no claim and no certificate yet
 *   STREAM=websocket|sse|buffered|none   what the stream allows, to try the fall-backs
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import { existsSync, readFileSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';
import * as claims from './claims.mjs';
import { Money } from './money.mjs';
import { World } from './world.mjs';
import { acceptSocket } from './socket.mjs';
import { listenMqtt, listenTls } from './mqtt.mjs';

const port = Number(process.env.PORT ?? 7070);
const mqttPort = Number(process.env.MQTT_PORT ?? 1883);
const mqttsPort = Number(process.env.MQTTS_PORT ?? 8883);
const streams = process.env.STREAM ?? 'websocket';
const auth = process.env.AUTH ?? 'none';
const root = process.env.IOTBIZ_WEB_OUT ?? join(import.meta.dirname, '../../target/web');
const body_bytes_max = 1_000_000;

const world = new World({
  devices: Number(process.env.DEVICES ?? 13),
  every_ms: Number(process.env.EVERY_MS ?? 1000),
  ports: { http: port, mqtt: mqttPort, mqtts: mqttsPort },
  identity: process.env.IDENTITY ?? 'filled',
});

const money = new Money(world);

class Refused extends Error {
  constructor(status, code, title, detail, more = {}) {
    super(title);
    this.status = status;
    this.body = { type: 'about:blank', title, status, detail, code, errors: [], fix: [], ...more };
  }
}

const notFound = (what, id) =>
  new Refused(404, 'not_found', `there is no such ${what}`, `no ${what} ${id}`, {
    fix: [`iotbiz ${what} list`],
  });

const routes = [
  ['GET', '/api/v1/status', () => ({ ...world.status(), loopback_owner: auth === 'none' })],
  ['POST', '/api/v1/session', (r) => signIn(r)],
  ['DELETE', '/api/v1/session', () => [204, null, 'iotbiz_session=; Path=/; Max-Age=0']],
  ['POST', '/api/v1/setup', (r) => setUp(r)],
  ['GET', '/api/v1/ventures', () => ({ items: [world.venture()], next_cursor: null })],
  ['GET', '/api/v1/sites', () => ({ items: world.sites, next_cursor: null })],
  ['GET', '/api/v1/refusals', (r) => list(world.refusals.slice(0, limit(r, 100)))],
  ['GET', '/api/v1/devices', (r) => devices(r)],
  ['POST', '/api/v1/devices', (r) => [201, addDevice(r.body)]],
  ['POST', '/api/v1/quarantine/replay', () => [202, { frames: 3 }]],
  ['GET', '/api/v1/ventures/:id/blueprint', () => world.blueprint],
  ['GET', '/api/v1/ventures/:id/case/actual', (r) => claims.actual(r.params.id)],
  ['GET', '/api/v1/ventures/:id/next', () => claims.next()],
  ['GET', '/api/v1/ventures/:id/forecasts', () => claims.forecasts()],
  ['POST', '/api/v1/ventures/:id/forecasts', () => claims.freeze()],
  ['PUT', '/api/v1/ventures/:id/blueprint', (r) => putBlueprint(r)],
  ['GET', '/api/v1/devices/:id', (r) => world.detail(device(r))],
  ['PATCH', '/api/v1/devices/:id', (r) => patch(r)],
  ['DELETE', '/api/v1/devices/:id', (r) => [204, world.remove(device(r))]],
  ['GET', '/api/v1/devices/:id/twin', (r) => world.twin(device(r))],
  ['PATCH', '/api/v1/devices/:id/desired', (r) => [202, desired(r)]],
  ['POST', '/api/v1/desired', (r) => [202, desiredOfMany(r)]],
  ['GET', '/api/v1/alarms/held-back', () => ({ items: [] })],
  ['GET', '/api/v1/delivery', (r) => delivery(r.search)],
  ['GET', '/api/v1/maintenance/windows', () => list(windows().filter((one) => Date.parse(one.until) > Date.now()))],
  ['POST', '/api/v1/maintenance/windows', (r) => [201, { window: planWindow(r.body), failed: [] }]],
  ['DELETE', '/api/v1/maintenance/windows/:id', (r) => takeBack(r.params.id)],
  ['GET', '/api/v1/maintenance', () => list(world.devices.filter((one) => one.care && (one.care.maintenance || Object.keys(one.care.ignored).length > 0 || one.care.planned.length > 0)).map((one) => ({ device: { id: one.id, name: one.name }, ...one.care })))],
  ['GET', '/api/v1/devices/:id/maintenance', (r) => care(r)],
  ['PUT', '/api/v1/devices/:id/maintenance', (r) => care(r, (now, until) => (now.maintenance = until))],
  ['DELETE', '/api/v1/devices/:id/maintenance', (r) => care(r, (now) => (now.maintenance = null))],
  ['PUT', '/api/v1/devices/:id/ignored/:reading', (r) => care(r, (now, until) => (now.ignored[r.params.reading] = until))],
  ['DELETE', '/api/v1/devices/:id/ignored/:reading', (r) => care(r, (now) => delete now.ignored[r.params.reading])],
  ['GET', '/api/v1/devices/:id/commands', (r) => world.commands(device(r))],
  ['POST', '/api/v1/devices/:id/commands', (r) => [202, world.command(device(r), r.body)]],
  ['POST', '/api/v1/devices/:id/credentials', (r) => [201, world.credential(device(r))]],
  ['GET', '/api/v1/devices/:id/credentials', (r) => list(world.identity.list(device(r)))],
  ['DELETE', '/api/v1/devices/:id/credentials/:credential', (r) => revoke(r)],
  ['POST', '/api/v1/devices/:id/certificates', (r) => [201, world.identity.certificate(device(r), r.body)]],
  ['POST', '/api/v1/devices/:id/replace', (r) => replace(r)],
  ['POST', '/api/v1/devices/:id/retire', (r) => retire(r)],
  ['GET', '/api/v1/claims', () => list(world.identity.claims)],
  ['POST', '/api/v1/claims', (r) => [201, addClaim(r.body)]],
  ['DELETE', '/api/v1/claims/:id', (r) => revokeClaim(r)],
  ['GET', '/api/v1/expiry', () => world.identity.expiry()],
  ['GET', '/api/v1/ca', () => ({ root: world.identity.root, tenant: world.identity.root })],
  ['POST', '/provision/v1/csr', (r) => turnAway(r.body)],
  ['POST', '/mock/refuse', (r) => [201, refuse(r.body)]],
  ['GET', '/api/v1/devices/:id/history', (r) => world.history(device(r), r.search)],
  ['GET', '/api/v1/devices/:id/messages', (r) => list(device(r).messages.slice(0, limit(r, 100)))],
  ['GET', '/api/v1/devices/:id/connect', (r) => world.connect(device(r))],
  ['GET', '/api/v1/alarms', (r) => world.alarms.list(r.search)],
  ['GET', '/api/v1/alarms/:id', (r) => alarm(r)],
  ['POST', '/api/v1/alarms/:id/:act', (r) => world.alarms.act(alarm(r), r.params.act, r.body)],
  ['GET', '/api/v1/devices/:id/rules/:rule/explain', (r) => world.alarms.explain(device(r), r.params.rule)],
  ['POST', '/api/v1/ventures/:id/rules/dry-run', (r) => world.alarms.dry(r.body)],
  ['GET', '/api/v1/people', () => list([{ id: 'usr_01J0000000000000000000ANNA', name: 'anna', email: null, role: 'owner', notify: world.alarms.notify }])],
  ['GET', '/api/v1/people/:id/notify', (r) => person(r) && world.alarms.notify],
  ['PATCH', '/api/v1/people/:id/notify', (r) => person(r) && world.alarms.told(r.body)],
  ['GET', '/api/v1/notify/status', () => world.alarms.sender()],
  ['POST', '/api/v1/notify/enable', () => [204, null]],
  ['POST', '/api/v1/notify/retry', () => [204, null]],
  ['GET', '/api/v1/entities', () => list(money.entities)],
  ['PUT', '/api/v1/entities/:id', (r) => money.putEntity(r.params.id, r.body)],
  ['GET', '/api/v1/customers', () => list(money.customers)],
  ['POST', '/api/v1/customers', (r) => [201, addCustomer(r.body)]],
  ['GET', '/api/v1/contracts', () => list(money.contracts)],
  ['POST', '/api/v1/contracts', (r) => [201, addContract(r.body)]],
  ['PATCH', '/api/v1/contracts/:id', (r) => money.changeContract(r.params.id, r.body)],
  ['PUT', '/api/v1/customers/:id', (r) => Object.assign(money.customers.find((one) => one.name === r.params.id), r.body)],
  ['GET', '/api/v1/usage/events', () => money.events()],
  ['GET', '/api/v1/usage/quarantine', () => list(money.held())],
  ['GET', '/api/v1/billing/revenue', (r) => list(money.revenue(r.search.get('month')))],
  ['GET', '/api/v1/ventures/:name/economics', (r) => money.economics(r.params.name, r.search.get('month'), r.search.get('by'), limit(r, 50))],
  ['POST', '/api/v1/billing/close', (r) => money.close(r.body)],
  ['POST', '/api/v1/billing/compare', (r) => money.compare(r.search.get('month'), r.body)],
  ['GET', '/api/v1/billing/explain', (r) => explainLine(r.search.get('line'))],
  ['GET', '/api/v1/invoices', (r) => list(money.list(r.search.get('month')).map((one) => ({ ...one, lines: one.lines.map((line) => ({ ...line, id: null })) })))],
  ['GET', '/api/v1/invoices/:id', (r) => invoice(r)],
  ['GET', '/api/v1/invoices/:id/verification', (r) => ({ invoice: invoice(r).id, number: null, equal: true, differences: [], usage: invoice(r).usage })],
  ['GET', '/api/v1/invoices/:id/document', (r) => ({ stamp: 'simulated', invoice: invoice(r).id, format: r.search.get('format') })],
  ['POST', '/api/v1/invoices/:id/steps', (r) => step(r)],
  ['GET', '/healthz', () => ({ ok: true })],
  ['GET', '/readyz', () => ({ ready: true, reasons: [] })],
  ['POST', '/ingest/v1/telemetry', (r) => ingest(r)],
];

const list = (items) => ({ items, next_cursor: null });
const limit = (r, otherwise) => Math.min(1000, Number(r.search.get('limit') ?? otherwise));

function putBlueprint(r) {
  const answer = world.putBlueprint(r.body, r.search);
  if (!answer.refused) return answer;
  const [first] = answer.refused;
  throw new Refused(422, 'E0305', 'blueprint has errors', '1 errors', {
    errors: [{ pointer: `${first.line}:${first.column}`, message: first.message }],
    fix: ['iotbiz check blueprint.toml'],
    diagnostics: answer.refused,
  });
}

function signIn(r) {
  if (r.body.token !== 'own-token') throw new Refused(401, 'E0101', 'not signed in', 'the token is not accepted');
  return [200, { role: 'owner' }, `iotbiz_session=${r.body.token}; Path=/; HttpOnly; SameSite=Strict`];
}

function setUp(r) {
  if (r.body.setup_token !== 'setup-1') throw new Refused(401, 'E0104', 'setup token refused', 'the setup token is wrong');
  return [201, { tenant: 'ten_1', user: 'usr_1', token: 'own-token' }];
}

function signedIn(request, path) {
  if (auth === 'none' || !path.startsWith('/api/v1/') || /\/(session|setup)$/.test(path)) return true;
  return (request.headers.cookie ?? '').includes('iotbiz_session=own-token');
}

function device(r) {
  const found = world.find(r.params.id);
  if (!found) throw notFound('device', r.params.id);
  return found;
}

function alarm(r) {
  const found = world.alarms.all.find((one) => one.id === r.params.id);
  if (!found) throw notFound('alarm', r.params.id);
  return found;
}

function person(r) {
  if (r.params.id === 'me') throw invalid('person', 'you are no person of the records here');
  return true;
}

function devices(r) {
  const found = world.filter(r.search.get('filter') ?? '');
  if (found.error) {
    throw new Refused(422, 'E0303', 'filter not understood', found.error, {
      errors: [{ pointer: 'filter', message: found.error }],
    });
  }
  const from = Number(r.search.get('cursor') ?? 0);
  const size = limit(r, 100);
  const items = found.slice(from, from + size).map((one) => world.summary(one));
  const next = from + size < found.length ? String(from + size) : null;
  return { items, next_cursor: next, total_matching: found.length };
}

function addDevice(body) {
  if (!/^[a-z0-9._-]{1,64}$/.test(body?.name ?? '')) {
    const message = 'a device name has 1 to 64 of a-z, 0-9, "-", "_" and "."';
    throw new Refused(422, 'E0301', 'invalid', message, { errors: [{ pointer: '/name', message }] });
  }
  if (world.find(body.name)) {
    throw new Refused(409, 'E0202', 'conflict', `the name ${body.name} is taken`, {});
  }
  const made = world.add(body);
  return { device: world.summary(made), credential: world.credential(made) };
}

function revoke(r) {
  if (!world.identity.revoke(device(r), r.params.credential)) throw notFound('credential', r.params.credential);
  return [204, null];
}

function replace(r) {
  const one = device(r);
  const revoked = world.identity.revokeAll(one);
  one.retired = false;
  if (r.body.hardware) one.hardware = r.body.hardware;
  return { credential: world.credential(one), revoked };
}

function retire(r) {
  const one = device(r);
  one.retired = true;
  return { revoked: world.identity.revokeAll(one) };
}

function invalid(pointer, message) {
  return new Refused(422, 'E0301', 'invalid', message, { errors: [{ pointer, message }] });
}

function addClaim(body) {
  if (!/^[a-z0-9._-]{1,64}$/.test(body?.name ?? '')) throw invalid('/name', 'a device name has 1 to 64 of a-z, 0-9, "-", "_" and "."');
  if (!(body.uses_max >= 1 && body.uses_max <= 1_000_000)) throw invalid('/uses_max', `${body.uses_max} is not 1 to USES_MAX = 1000000`);
  if (world.identity.claims.some((one) => one.name === body.name)) throw new Refused(409, 'E0202', 'conflict', `the name ${body.name} is taken`);
  return world.identity.addClaim(body);
}

function revokeClaim(r) {
  const found = world.identity.claims.find((one) => one.id === r.params.id);
  if (!found) throw notFound('claim', r.params.id);
  found.revoked ??= new Date().toISOString();
  return [204, null];
}

/** The mock's claims are for no serial number at all. */
function turnAway({ serial }) {
  world.refuse({ claimed: serial, device: null, peer: '', reason: 'unlisted_serial' });
  throw new Refused(403, 'E0102', 'not allowed', `serial number "${serial}" is not in the claim's list`);
}

/** Only here: lets a page show what the real server would refuse. */
function refuse({ reason, claimed = '', device: name = null }) {
  world.refuse({ claimed, device: name && world.find(name)?.id, peer: claimed.startsWith('SN-') ? '' : '10.0.0.7:50312', reason });
  return {};
}

function addCustomer(body) {
  if (money.customers.some((one) => one.name === body.name)) throw new Refused(409, 'E0202', 'conflict', `the name ${body.name} is taken`, {});
  if (!body.timezone.includes('/') && body.timezone !== 'UTC') throw invalid('/timezone', `${body.timezone} is no time zone`);
  return money.addCustomer(body);
}

function addContract(body) {
  const made = money.addContract(body);
  if (made.error) throw invalid(made.pointer, made.error);
  return made;
}

function invoice(r) {
  const found = money.find(r.params.id);
  if (!found) throw notFound('invoice', r.params.id);
  return found;
}

function explainLine(line) {
  const told = money.explain(line);
  if (!told) throw notFound('line', line);
  return told;
}

/** Only what needs no second person: the mock has one. */
function step(r) {
  const found = invoice(r);
  if (r.body.step !== 'discard') throw new Refused(403, 'E0102', 'not allowed', `${r.body.step}: ${found.id} was drafted by the same person`, { fix: ['let a second person do it, with a token of their own'] });
  found.state = 'discarded';
  return found;
}

function patch(r) {
  const one = device(r);
  if (typeof r.body.name === 'string') one.name = r.body.name;
  if (Array.isArray(r.body.tags)) one.tags = r.body.tags;
  return world.detail(one);
}

function desiredOfMany(r) {
  const known = r.body.devices.map((name) => world.find(name)).filter((one) => one !== undefined);
  const set = known.map((one) => ({ device: one.id, name: one.name, desired_version: desired({ ...r, params: { id: one.id }, body: r.body.set }).desired_version }));
  return { offset: world.offset, set, failed: [] };
}

/** What was due: one device misses some, all others deliver. */
function delivery(search) {
  const only = search?.get('device');
  const chosen = world.devices.filter((one) => !only || one.id === only || one.name === only);
  const of = (due, on_time, complete) => ({ due, on_time, complete, on_time_share: due ? on_time / due : null, completeness: due ? complete / due : null });
  const missed = chosen.some((one) => one === world.devices[3]) ? 21 : 0;
  const due = chosen.length * 672;
  const worst = missed ? [{ device: { id: world.devices[3].id, name: world.devices[3].name }, ...of(672, 672 - missed, 672 - missed + 5) }] : [];
  return { devices: chosen.length, ...of(due, due - missed, due - missed + (missed ? 5 : 0)), days: [], worst };
}

/** Held back until then; "2 h" as the server reads it. */
function care(r, change = () => {}) {
  const own = device(r);
  own.care ??= { maintenance: null, ignored: {}, planned: [] };
  change(own.care, new Date(Date.now() + lengthOf(r.body?.for)).toISOString());
  return own.care;
}

function lengthOf(text) {
  const [, count, unit] = /^(\d+) (min|h|day)$/.exec(text ?? '') ?? [];
  return Number(count ?? 0) * { min: 60_000, h: 3_600_000, day: 86_400_000 }[unit ?? 'h'];
}

/** Windows as all devices have them, each once. */
function windows() {
  const all = new Map();
  for (const one of world.devices) {
    for (const window of one.care?.planned ?? []) {
      const of = all.get(window.id) ?? { ...window, state: Date.parse(window.from) <= Date.now() ? 'running' : 'planned', devices: 0, names: [] };
      of.devices += 1;
      of.names.push({ id: one.id, name: one.name });
      all.set(window.id, of);
    }
  }
  return [...all.values()].sort((a, b) => Date.parse(a.from) - Date.parse(b.from));
}

function planWindow(body) {
  const from = new Date(body.from ?? Date.now());
  const window = { id: `mnt_${Date.now()}`, from: from.toISOString(), until: new Date(from.getTime() + lengthOf(body.for)).toISOString(), by: 'this machine', note: body.note ?? null };
  for (const name of body.devices) {
    const own = world.find(name);
    own.care ??= { maintenance: null, ignored: {}, planned: [] };
    own.care.planned.push(window);
  }
  return windows().find((one) => one.id === window.id);
}

function takeBack(id) {
  const found = windows().find((one) => one.id === id);
  if (!found) throw new Refused(404, 'E0201', 'not found', `there is no planned maintenance "${id}"`);
  for (const one of world.devices) if (one.care) one.care.planned = one.care.planned.filter((window) => window.id !== id);
  return found;
}

function desired(r) {
  const wrong = world.setDesired(device(r), r.body);
  if (wrong.error) {
    throw new Refused(422, 'E0301', 'invalid', wrong.error, { errors: [{ pointer: wrong.pointer, message: wrong.error }] });
  }
  return wrong;
}

function ingest(r) {
  const token = (r.headers.authorization ?? '').replace(/^Bearer /, '');
  const one = world.byToken(token);
  if (!one) {
    world.refuse({ claimed: '', device: null, peer: '127.0.0.1', reason: 'wrong token' });
    throw new Refused(401, 'unauthorized', 'not authorised', '');
  }
  world.receive(one, 'me/telemetry', JSON.stringify(r.body));
  return { offset: world.offset };
}

function match(method, path) {
  for (const [verb, pattern, act] of routes) {
    if (verb !== method) continue;
    const want = pattern.split('/');
    const got = path.split('/');
    if (want.length !== got.length) continue;
    const params = {};
    const same = want.every((part, at) => {
      if (!part.startsWith(':')) return part === got[at];
      params[part.slice(1)] = decodeURIComponent(got[at]);
      return true;
    });
    if (same) return { act, params };
  }
  return null;
}

async function read(request) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > body_bytes_max) throw new Refused(413, 'too_large', 'the body is too large', '');
  }
  if (request.headers['content-type'] === 'text/csv') return text;
  return text === '' ? {} : JSON.parse(text);
}

function events(request, response, url) {
  if (streams === 'websocket-only' || streams === 'none') return json(response, 503, {});
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  response.flushHeaders();
  const devices = url.searchParams.get('devices');
  const wanted = { devices: devices ? devices.split(',') : null };
  wanted.kinds = (url.searchParams.get('kinds') ?? '').split(',');
  // "buffered" is a proxy that answers and then holds everything back.
  const end = world.listen(wanted, (kind, data) => {
    if (streams === 'buffered') return;
    response.write(`event: ${kind}\nid: ${world.offset}\ndata: ${JSON.stringify(data)}\n\n`);
  });
  const beat = setInterval(() => streams !== 'buffered' && response.write(': beat\n\n'), 10_000);
  request.on('close', () => {
    clearInterval(beat);
    end();
  });
}

function json(response, status, body, cookie) {
  const problem = status >= 400;
  response.writeHead(status, {
    ...(cookie ? { 'set-cookie': cookie } : {}),
    'content-type': problem ? 'application/problem+json' : 'application/json',
    'iotbiz-offset': String(world.offset),
    etag: `"${body?.revision ?? body?.version ?? 1}"`,
  });
  response.end(status === 204 ? '' : JSON.stringify(body));
}

const types = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.html': 'text/html' };

function file(response, path) {
  const name = normalize(path).replace(/^(\.\.[/\\])+/, '');
  const wanted = join(root, name);
  const found = extname(name) !== '' && existsSync(wanted) ? wanted : join(root, 'index.html');
  if (!existsSync(found)) return json(response, 404, { title: 'the console is not built' });
  response.writeHead(200, {
    'content-type': types[extname(found)] ?? 'application/octet-stream',
    'content-security-policy': "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:",
  });
  response.end(readFileSync(found));
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://mock');
  if (!signedIn(request, url.pathname)) {
    return json(response, 401, { title: 'not signed in', status: 401, detail: 'the request carries no token', code: 'E0101', errors: [], fix: [] });
  }
  if (url.pathname === '/api/v1/stream') return events(request, response, url);
  const found = match(request.method, url.pathname);
  if (!found) {
    if (url.pathname.startsWith('/api/')) return json(response, 404, notFound('route', url.pathname).body);
    return file(response, url.pathname);
  }
  try {
    const body = request.method === 'GET' ? {} : await read(request);
    const answer = await found.act({ ...found, body, search: url.searchParams, headers: request.headers });
    if (Array.isArray(answer)) json(response, ...answer);
    else json(response, 200, answer);
  } catch (error) {
    if (error instanceof Refused) json(response, error.status, error.body);
    else json(response, 400, { title: 'the request is not valid', status: 400, detail: String(error), code: 'bad_request' });
  }
});

server.on('upgrade', (request, socket) => {
  if (!streams.startsWith('websocket')) return socket.destroy();
  const key = request.headers['sec-websocket-key'] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  acceptSocket(socket, accept, world);
});

server.listen(port, '127.0.0.1', () => console.log(`mock: http://127.0.0.1:${port}/`));
listenMqtt(mqttPort, world);
listenTls(mqttsPort, world);
world.start();
