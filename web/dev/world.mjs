/** The mock's fleet: cold boxes that warm up, one that is silent, one that sends nonsense. */
import { Alarms } from './alarms.mjs';
import { Identity } from './identity.mjs';

const kinds = {
  box: { temperature: 'Cel', battery: '%', lid_open: null, position: null },
  base: { signal: 'dBm' },
};
const history_max = 20_000;
const intervalSetting = { name: 'interval', title: null, type: 'number', unit: 's', min: 10, max: 3600, default: null, drives: 'temperature.every', limits: [] };

export class World {
  constructor({ devices, every_ms, ports, identity }) {
    this.identity = new Identity({ filled: identity !== 'empty' });
    this.every_ms = every_ms;
    this.ports = ports;
    this.offset = 1000;
    this.messages = 88_000;
    this.readings = 120_000;
    this.devices = [];
    this.byId = new Map();
    this.refusals = [];
    this.listeners = new Set();
    this.started = new Date().toISOString();
    this.sites = ['Lyon Est', 'Halle Süd', 'Graz'].map((name, at) => ({ id: `sit_${at}`, name, timezone: 'Europe/Berlin' }));
    this.blueprint = { venture: 'coolbox', revision: 9, text: blueprintText, diagnostics: [b520] };
    for (let at = 0; at < devices; at += 1) {
      const kind = at % 13 === 12 ? 'base' : 'box';
      const name = kind === 'box' ? `box-${String(at + 1).padStart(4, '0')}` : `base-${at}`;
      const made = this.add({ name, kind, origin: 'virtual', tags: at % 3 === 0 ? ['pilot'] : [] });
      made.site = this.sites[at % 3];
      made.firmware = at % 4 === 0 ? '2.4.0' : '2.4.1';
      made.mute = at % 11 === 5;
      made.speaks = true;
      if (at === 9) made.retired = true;
      this.begin(made);
      if (at < 4 && identity !== 'empty') this.identity.begin(made);
    }
    this.alarms = new Alarms(this);
    this.alarms.fill();
    const first = this.devices[0];
    if (first) {
      first.desired = { interval: setting(60, 's', 3, 'owner') };
      first.desired_version = 3;
    }
  }

  add({ name, kind, origin = 'real', tags = [] }) {
    const at = this.devices.length;
    const id = `dev_01M79NRFA${String(at).padStart(6, '0')}QY40YGECYY`;
    const device = {
      id, name, kind, origin, tags, venture: 'coolbox', site: null, firmware: null, hardware: null,
      readings: {}, last: null, messages: [], tokens: [], series: {}, desired: {}, desired_version: 0,
      reported: kind === 'box' && origin === 'virtual' ? { interval: setting(10, 's'), lid_beep_after: setting(90, 's'), display_unit: setting('celsius') } : {},
      quarantined: 0, mute: false, phase: at * 0.7, sent: 0, filled: false,
    };
    this.devices.push(device);
    this.byId.set(id, device);
    return device;
  }

  remove(device) {
    this.devices = this.devices.filter((one) => one !== device);
    this.byId.delete(device.id);
  }

  find(text) {
    return this.byId.get(text) ?? this.devices.find((one) => one.name === text);
  }

  byToken(token) {
    return this.devices.find((one) => one.tokens.includes(token));
  }

  credential(device) {
    const token = `tok_${Math.random().toString(36).slice(2)}${Math.random().toString(36).slice(2)}k4Qe`;
    device.tokens.push(token);
    this.identity.hold(device, token);
    return { username: device.id, token };
  }

  signal(device, at) {
    const hours = at / 3_600_000;
    const wave = 0.75 * Math.sin(hours * 40 + device.phase) + 0.3 * Math.sin(hours * 7);
    const opened = Math.sin(hours * 3 + device.phase) > 0.97 ? 5 : 0;
    return Math.round((4 + wave + opened + 0.12 * Math.sin(at / 900)) * 100) / 100;
  }

  /** The newest readings at once; the history only when it is looked at, for fleets of 20,000. */
  begin(device) {
    if (device.kind !== 'box') return;
    const at = Date.now() - (device.mute ? 12 * 60_000 : 0);
    device.last = at;
    device.sent = 7300;
    this.set(device, 'temperature', this.signal(device, at), at);
    this.set(device, 'battery', 86, at - 40_000);
    this.set(device, 'lid_open', false, at - 40_000);
    const nth = this.devices.indexOf(device);
    // Every seventeenth has told no place yet.
    if (nth % 17 !== 16) this.set(device, 'position', place(nth), at - 40_000);
  }

  backfill(device) {
    if (device.filled || device.kind !== 'box' || device.origin !== 'virtual') return;
    device.filled = true;
    const live = device.series.temperature ?? [];
    const now = live[0]?.[0] ?? Date.now();
    const rows = [];
    for (let at = now - 2 * 3_600_000; at < now; at += this.every_ms) {
      const minute = (now - at) / 60_000;
      if (minute > 31 && minute < 37) continue;
      if (device.mute && minute < 12) continue;
      rows.push([at, this.signal(device, at)]);
    }
    device.series.temperature = [...rows, ...live];
    device.series.battery = rows.filter((_, i) => i % 60 === 0).map(([at], i, all) => [at, Math.round(100 - 14 * (i / all.length))]);
  }

  set(device, name, value, at) {
    const unit = kinds[device.kind]?.[name] ?? null;
    device.readings[name] = { value, unit, at: new Date(at).toISOString(), origin: device.origin, mark: 'log_time', offset: this.offset };
  }

  start() {
    // A large fleet speaks in turn, so that the mock does not stand still for a tick.
    const slices = Math.max(1, Math.ceil(this.devices.length / 500));
    let turn = 0;
    setInterval(() => {
      const now = Date.now();
      this.devices.forEach((device, at) => {
        if (device.mute || device.retired || device.origin !== 'virtual' || at % slices !== turn % slices) return;
        if (device.kind === 'base') this.receive(device, 'me/telemetry', '{"signal":-71}');
        else this.receive(device, 'me/telemetry', JSON.stringify({ temperature: this.signal(device, now) }));
      });
      turn += 1;
    }, this.every_ms / slices);
    setInterval(() => {
      if (this.devices[0]) this.receive(this.devices[0], 'me/telemetry', '{"evap":-7.1}');
    }, 15_000);
  }

  receive(device, topic, text) {
    this.offset += 1;
    this.messages += 1;
    device.sent += 1;
    const now = Date.now();
    const was = this.statusOf(device);
    device.last = now;
    const message = { at: new Date(now).toISOString(), offset: this.offset, direction: 'up', topic: topic.replace('me/', ''), bytes: text.length, text, outcome: 'ok', reason: null };
    const taken = topic === 'me/telemetry' ? this.take(device, message, now) : {};
    device.messages.unshift(message);
    device.messages.length = Math.min(device.messages.length, 300);
    this.emit('message', { ...message, device: device.id });
    if (Object.keys(taken).length > 0) this.emit('reading', { device: device.id, offset: this.offset, readings: taken });
    if (was !== 'live') this.emit('status', { device: device.id, status: 'live', last_seen: message.at });
  }

  take(device, message, now) {
    const taken = {};
    let values;
    try {
      values = JSON.parse(message.text);
    } catch {
      return this.quarantine(device, message, 'is not JSON');
    }
    for (const [name, value] of Object.entries(values)) {
      if (!(name in kinds[device.kind])) {
        this.quarantine(device, message, `"${name}" is no reading of ${device.kind}`);
        continue;
      }
      this.set(device, name, value, now);
      this.readings += 1;
      taken[name] = { value, at: message.at, mark: 'log_time' };
      this.alarms.heard(device, name, value);
      if (typeof value !== 'number') continue;
      const rows = (device.series[name] ??= []);
      rows.push([now, value]);
      if (rows.length > history_max) rows.shift();
    }
    return taken;
  }

  quarantine(device, message, reason) {
    message.outcome = 'quarantined';
    message.reason = reason;
    device.quarantined += 1;
    return {};
  }

  refuse(one) {
    const details = {
      'wrong token': ['the token does not belong to this device', 'iotbiz device rotate NAME'],
      'unknown id': ['no device has this id', 'iotbiz device add NAME --kind box'],
      device_clock: ['the device says the server\'s certificate has expired or is not valid yet', 'set the device\'s clock (NTP) before it connects; a board without a battery starts in 1970'],
      device_distrusts_ca: ['the device does not trust this server\'s certificate (UnknownCA)', 'put the CA of `iotbiz ca show` on the device, whole and unchanged'],
      not_tls: ['the first bytes are not TLS', 'this port speaks TLS; turn it on in the client, or use the port without'],
      claim_token: ['this is a claim token, which only enrols new devices', 'enrol first: POST /provision/v1/csr gives the device a certificate of its own'],
      expired: ['the certificate of "box-0001" is refused: it expired at 2026-11-21T23:59:00Z', 'issue a new certificate and put it on the device; renew at two thirds of its life'],
      unlisted_serial: ['this serial number is not in the claim\'s list', 'add the serial number to the claim\'s list, if the device is really of this batch'],
      serial_taken: ['serial number "SN-4711" belongs to a device already', 'look at both devices: one may be a copy; remove the first one if it was reset'],
    };
    const [detail, fix] = details[one.reason];
    const refusal = { at: new Date().toISOString(), ...one, detail, fix };
    this.refusals.unshift(refusal);
    this.emit('refusal', refusal);
  }

  setDesired(device, body) {
    for (const [name, value] of Object.entries(body)) {
      const [, number, word] = /^(\d+) ?(s|min|h)?$/.exec(String(value)) ?? [];
      const seconds = Number(number) * ({ min: 60, h: 3600 }[word] ?? 1);
      if (name !== 'interval') return { error: `device kind ${device.kind} has no setting ${name}`, pointer: `/${name}` };
      if (value !== null && !(seconds >= 10 && seconds <= 3600)) return { error: `interval ${JSON.stringify(value)} is not between 10 s and 1 h`, pointer: '/interval' };
      device.desired_version += 1;
      if (value === null) delete device.desired[name];
      else device.desired[name] = setting(seconds, 's', device.desired_version, 'owner');
      this.offset += 1;
      const pending = this.pending(device);
      this.emit('twin', { device: device.id, desired_version: device.desired_version, pending });
      setTimeout(() => {
        if (device.mute || value === null) return;
        device.reported[name] = setting(seconds, 's');
        this.emit('twin', { device: device.id, desired_version: device.desired_version, pending: this.pending(device) });
      }, 4000);
    }
    return { offset: this.offset, desired_version: device.desired_version };
  }

  pending(device) {
    return Object.keys(device.desired).filter((name) => device.desired[name].value !== device.reported[name]?.value);
  }

  statusOf(device) {
    if (device.retired) return 'retired';
    if (device.last === null) return 'never';
    return Date.now() - device.last > this.silent_ms() ? 'silent' : 'live';
  }

  silent_ms() {
    return Math.max(30_000, 3 * this.every_ms);
  }

  summary(device) {
    const { id, name, kind, venture, origin, site, tags, firmware, hardware, readings, quarantined } = device;
    const last_seen = device.last === null ? null : new Date(device.last).toISOString();
    return { id, name, kind, venture, origin, site: site && { id: site.id, name: site.name }, tags, status: this.statusOf(device), last_seen, firmware, hardware, readings, desired_pending: this.pending(device).length, quarantined };
  }

  detail(device) {
    const base = this.devices.find((one) => one.kind === 'base');
    const links = base && device.kind === 'box' ? { base: { id: base.id, name: base.name } } : {};
    const expected_every = device.kind === 'box' ? { temperature: this.every_ms, battery: 3_600_000 } : { signal: this.every_ms };
    const children = device === base ? this.devices.filter((one) => one.kind === 'box').slice(0, 100).map(({ id, name }) => ({ id, name })) : [];
    return { ...this.summary(device), blueprint_revision: 9, links, children, path: null, expected_every, silent_after_ms: this.silent_ms(), connected: this.identity.connected(device), messages: device.sent, duplicates: 0, late: 0 };
  }

  twin(device) {
    const { readings, reported, desired, desired_version } = device;
    return { offset: this.offset, readings, reported, desired, desired_version, pending: this.pending(device), links: {} };
  }

  history(device, search) {
    this.backfill(device);
    const property = search.get('property');
    const to = Date.parse(search.get('to') ?? '') || Date.now();
    const from = Date.parse(search.get('from') ?? '') || to - 3_600_000;
    const px = Math.max(10, Number(search.get('px') ?? 800));
    const bucket_ms = Math.max(1000, Math.ceil((to - from) / px / 1000) * 1000);
    const rows = (device.series[property] ?? []).filter(([at]) => at >= from && at <= to);
    const buckets = [];
    const gaps = [];
    let before = null;
    for (const [at, value] of rows) {
      const start = Math.floor(at / bucket_ms) * bucket_ms;
      const last = buckets.at(-1);
      if (last?.[0] === start) {
        last[1] = Math.min(last[1], value);
        last[2] = Math.max(last[2], value);
        last[4] = value;
        last[5] += 1;
      } else buckets.push([start, value, value, value, value, 1]);
      if (before !== null && property === 'temperature' && at - before > 60_000) gaps.push([before, at]);
      before = at;
    }
    return { property, unit: kinds[device.kind]?.[property] ?? null, from: new Date(from).toISOString(), to: new Date(to).toISOString(), points: rows.length, bucket_ms, buckets, gaps, source: 'memory', note: 'kept in memory' };
  }

  connect(device) {
    const { http, mqtt } = this.ports;
    const user = device.id;
    const payload = device.kind === 'box' ? '{"temperature":3.9}' : '{"signal":-71}';
    const snippets = [
      ['mosquitto_pub', `mosquitto_pub -h 127.0.0.1 -p ${mqtt} -q 1 \\\n  -u ${user} \\\n  -P {TOKEN} \\\n  -t me/telemetry \\\n  -m '${payload}'`],
      ['curl', `curl http://127.0.0.1:${http}/ingest/v1/telemetry \\\n  -H 'Authorization: Bearer {TOKEN}' \\\n  -d '${payload}'`],
      ['python', `import paho.mqtt.publish as publish\n\npublish.single("me/telemetry", '${payload}', qos=1,\n    hostname="127.0.0.1", port=${mqtt},\n    auth={"username": "${user}", "password": "{TOKEN}"})`],
      ['c', `/* esp-idf */\nesp_mqtt_client_config_t cfg = {\n  .broker.address.uri = "mqtt://127.0.0.1:${mqtt}",\n  .credentials.username = "${user}",\n  .credentials.authentication.password = "{TOKEN}",\n};`],
      ['iotbiz', `iotbiz send ${device.name} temperature=3.9`],
    ].map(([id, code]) => ({ id, title: id, code }));
    return { username: user, host: '127.0.0.1', mqtt_port: mqtt, mqtts_port: this.ports.mqtts, http_port: http, http_scheme: 'http', ca_sha256: this.identity.sha256(), example_payload: JSON.parse(payload), snippets };
  }

  venture() {
    const counts = this.counts();
    const of = (kind) => this.devices.filter((one) => one.kind === kind);
    const rows = Object.keys(kinds).map((name) => ({ name, devices: of(name).length, live: of(name).filter((one) => this.statusOf(one) === 'live').length, settings: name === 'box' ? [intervalSetting] : [] }));
    return { venture: 'coolbox', title: 'Coolbox: proof of temperature, door to door', problem: 'Regional pharmacies throw away vaccines because nobody can prove the cold chain held', segment: 'pharmacies with 2 to 20 branches', blueprint_revision: this.blueprint.revision, kinds: rows, devices: counts.devices, live: counts.live, silent: counts.silent };
  }

  counts() {
    const counts = { devices: this.devices.length, live: 0, silent: 0, never: 0, retired: 0, quarantined: 0, refused: this.refusals.length };
    for (const device of this.devices) {
      counts[this.statusOf(device)] += 1;
      counts.quarantined += device.quarantined;
    }
    return counts;
  }

  status() {
    return { version: '0.1.0', tenant: { id: 'ten_1', name: 'Nordwind Cooling', demo: true }, mode: 'demo', mqtt: { host: '127.0.0.1', port: this.ports.mqtt }, http: { port: this.ports.http }, offset: this.offset, log_time: new Date().toISOString(), clock: 'ok', console: 'full', started_at: this.started, role: 'owner', loopback_owner: true, counts: { ...this.counts(), messages: this.messages, readings: this.readings } };
  }

  /** The part of the filter language that the pages and their tests use. */
  filter(text) {
    const terms = text.match(/(?:[^\s"]|"[^"]*")+/g) ?? [];
    let found = this.devices;
    for (const term of terms.map((one) => one.replaceAll('"', ''))) {
      const [, not, key, op, want] = /^(-?)(?:([a-z_]\w*):)?(<=|>=|<|>|=)?(.*)$/i.exec(term);
      if (key && want === '') return { error: `${key}: needs a value` };
      if (key === 'status' && !/^(live|silent|never|retired)$/.test(want)) return { error: `"${want}" is no status: use live, silent, never or retired` };
      found = found.filter((one) => this.holds(one, key, op ?? '', want.toLowerCase()) === (not === ''));
    }
    return found;
  }

  holds(device, key, op, want) {
    if (!key) return `${device.name} ${device.id} ${device.tags.join(' ')}`.toLowerCase().includes(want);
    if (key === 'tag') return device.tags.includes(want);
    const own = { kind: device.kind, venture: device.venture, origin: device.origin, status: this.statusOf(device), fw: device.firmware ?? '', name: device.name, site: device.site?.name ?? '' };
    const value = key in own ? own[key] : device.readings[key]?.value;
    if (value === undefined) return false;
    if (key === 'site' || key === 'name') return value.toLowerCase().includes(want);
    if (op === '' || op === '=') return String(value).toLowerCase() === want;
    const [a, b] = key === 'fw' ? [String(value), want] : [Number(value), Number(want)];
    return op === '<' ? a < b : op === '>' ? a > b : op === '<=' ? a <= b : a >= b;
  }

  putBlueprint(body, search) {
    const before = this.blueprint.text.split('\n');
    const after = body.text.split('\n');
    const diff = [];
    after.forEach((line, at) => {
      if (line !== before[at]) diff.push({ path: `line ${at + 1}`, kind: 'changed', before: before[at] ?? '', after: line, breaking: false, words: `line ${at + 1} changes` });
    });
    const bad = after.findIndex((line) => line.includes('parsec'));
    const diagnostics = bad < 0 ? [b520] : [{ code: 'B104', severity: 'error', message: 'no such unit', line: bad + 1, column: 1, end_column: 8, label: 'not a UCUM unit', notes: [], help: 'use °C', source_line: after[bad] }];
    if (bad >= 0) return { refused: diagnostics };
    if (search.get('dry_run')) return { diff, consequences: [], diagnostics, revision: null };
    this.blueprint = { ...this.blueprint, revision: this.blueprint.revision + 1, text: body.text };
    return { diff, consequences: [], diagnostics, revision: this.blueprint.revision };
  }

  listen(wanted, send) {
    const entry = { wanted, send };
    this.listeners.add(entry);
    return () => this.listeners.delete(entry);
  }

  /** What a device can be asked to do, and what became of it. */
  commands(device) {
    const args = [{ name: 'times', title: null, type: 'number', unit: null, min: 1, max: 9 }];
    const available = [
      { name: 'beep', title: null, timeout_ms: 30_000, args, limits: ['6 per 1 h'] },
      { name: 'locate', title: 'Locate', timeout_ms: 30_000, args: [], limits: [] },
    ];
    return { offset: this.offset, items: device.commands ?? [], available };
  }
  command(device, { name, args = {} }) {
    const at = Date.now();
    const command = {
      id: `cmd_${at}`, device: { id: device.id, name: device.name }, name, args, by: 'this machine', offset: (this.offset += 1),
      at: new Date(at).toISOString(), expires: new Date(at + 30_000).toISOString(), state: 'queued', reason: null, answer: null,
    };
    device.commands = [command, ...(device.commands ?? [])];
    setTimeout(() => {
      command.state = 'done';
      command.answer = { ok: true, body: { ok: true, result: 'beeped' }, at: new Date().toISOString(), offset: (this.offset += 1), late: false };
      this.emit('command', { device: device.id, command });
    }, 600);
    return command;
  }

  emit(kind, data) {
    for (const { wanted, send } of this.listeners) {
      if (!wanted.kinds.includes(kind)) continue;
      if (wanted.devices && kind !== 'refusal' && !wanted.devices.includes(data.device)) continue;
      send(kind, data);
    }
  }
}

/** Around the three sites, near ones often and far ones seldom. */
function place(nth) {
  const [latitude, longitude] = [[45.76, 4.92], [51.48, 11.97], [47.07, 15.44]][nth % 3];
  const far = 0.02 + 1.6 * (((nth * 7919) % 1009) / 1009) ** 3;
  const way = nth * 2.39996;
  return [latitude + far * Math.sin(way), longitude + 1.5 * far * Math.cos(way)].map((one) => Math.round(one * 1e5) / 1e5);
}

function setting(value, unit = null, version, by) {
  return { value, unit, at: new Date(Date.now() - 400_000).toISOString(), ...(version ? { version, by } : {}) };
}

const b520 = {
  code: 'B520', severity: 'warning', message: 'the radio costs more than the plan earns', line: 11, column: 51, end_column: 66,
  label: '43,200 readings in 30 days',
  notes: ['assumed: readings due together share one radio session, each billed as 10 kB', '432 MB x 0.02 EUR + 0.40 EUR = 9.04 EUR per box', 'plan.care earns                9.00 EUR per box'],
  help: 'every = "15 min" costs 0.98 EUR, but alarm.too_warm could then take up to 25 min instead of 11',
  source_line: 'temperature = { unit = "°C", min = -90, max = 80, every = "1 min" }',
};

const blueprintText = `#:schema http://127.0.0.1:7070/schemas/blueprint-1.json
blueprint = 1
venture   = "coolbox"
title     = "Coolbox: proof of temperature, door to door"
problem   = "Regional pharmacies throw away vaccines because nobody can prove the cold chain held"
segment   = "pharmacies with 2 to 20 branches"
currency  = "EUR"
timezone  = "Europe/Berlin"

[device.box.readings]
temperature = { unit = "°C", min = -90, max = 80, every = "1 min" }
lid_open    = "boolean"
battery     = { unit = "%", every = "1 h" }
position    = "position"
[device.box.settings]
interval = { min = "10 s", max = "1 h", drives = "temperature.every" }
[device.base.readings]
signal = { unit = "dBm", every = "15 min" }

[alarm.too_warm]
device   = "box"
when     = "temperature > 8 °C"
for      = "10 min"                          # a lid may stay open that long
clear    = "temperature < 7 °C"
severity = "critical"
notify   = "operator"
[alarm.lost]
device   = "box"
when     = "silent(30 min)"
unless   = "silent(base, 20 min)"
severity = "warning"

[usage.box_days]
device  = "box"
measure = "days_with_reading"
[plan.care]
boxes = { usage = "box_days", price = "0.30 EUR/device/day" }
`;
