/** The mock's alarms: some that were, some that are, and those a warm reading raises. Invented. */
const id = (at, nth) => `alm_01M${Math.floor(at / 1000).toString(32).toUpperCase().padStart(10, '0')}${String(nth).padStart(12, '0')}`;
const iso = (ms) => (ms === null ? null : new Date(ms).toISOString());

export class Alarms {
  constructor(world) {
    this.world = world;
    this.all = [];
    this.nth = 0;
    this.notify = { roles: ['operator'], severity: 'warning', timezone: 'Europe/Berlin', quiet: { from: '22:00', to: '06:00', except: 'critical' }, digest: { burst: 5, window: '10 min' }, channels: ['mail'], mail: 'ann@example.org', webhook: null, webhook_secrets: 0, mqtt: null };
  }

  fill() {
    const now = Date.now();
    const minute = 60_000;
    const of = (at) => this.world.devices[at];
    const add = (at, rule, severity, from, to, more = {}) => of(at) && this.raise(of(at), rule, { severity, value: 9.3, at: now - from * minute, cleared: to === null ? null : now - to * minute, ...more });
    add(5, 'lost', 'warning', 9, null);
    add(12, 'lost', 'warning', 16, null, { taken: now - 12 * minute });
    add(2, 'too_warm', 'critical', 13, null);
    add(3, 'too_warm', 'critical', 150, 112, { taken: now - 140 * minute, verdict: 'false', note: 'defrost' });
    add(7, 'too_warm', 'critical', 95, 70, { verdict: 'test' });
    add(2, 'too_warm', 'critical', 1700, 1660, { taken: now - 1690 * minute, verdict: 'real', note: 'lid left open' });
    this.all.sort((a, b) => b.id.localeCompare(a.id));
  }

  raise(device, rule, { severity, name = 'temperature', value, at, cleared = null, taken = null, verdict = null, note = null }) {
    const warm = rule !== 'lost';
    const condition = warm ? this.rules().find((one) => one.name === rule)?.when ?? 'temperature > 8 °C' : 'silent(30 min)';
    const input = warm ? { name, value, text: null, time: iso(at) } : { name: 'silent(30 min)', value: 1, text: null, time: iso(at - 1_800_000) };
    const trace = { condition, holds: true, inputs: [input] };
    const why = warm ? `${condition} for 10 min: ${name} = ${value}` : `silent(30 min): nothing since ${iso(at - 1_800_000)}`;
    const alarm = {
      id: id(at, (this.nth += 1)), device: { id: device.id, name: device.name }, venture: 'coolbox', rule, title: warm ? 'Too warm' : 'Nothing heard', origin: device.origin,
      severity, worst: severity, state: 'raised', role: 'operator', raised: iso(at), raised_log: iso(at + 900), cleared: null,
      acknowledged: null, verdict: null, shelved: null, escalated: null, why, changes: [{ transition: 'raised', severity, at: iso(at), log: iso(at + 900), why, by: null, trace }], changes_left_out: 0,
    };
    this.all.unshift(alarm);
    if (taken) this.change(alarm, 'acknowledged', taken, { by: 'usr_01J0000000000000000000ANNA' });
    if (cleared) this.clear(alarm, cleared, 6.8);
    if (verdict) this.change(alarm, 'judged', (cleared ?? at) + 60_000, { verdict, note, by: 'usr_01J0000000000000000000ANNA' });
    this.tell(alarm);
    return alarm;
  }

  clear(alarm, at, value) {
    alarm.cleared = iso(at);
    this.change(alarm, 'cleared', at, { trace: { condition: 'temperature < 7 °C', holds: true, inputs: [{ name: 'temperature', value, text: null, time: iso(at) }] }, why: `temperature < 7 °C: temperature = ${value}` });
  }

  change(alarm, transition, at, { by = null, note = null, verdict = null, until = null, trace = null, why } = {}) {
    const signed = { by, note, at: iso(at) };
    if (transition === 'acknowledged') alarm.acknowledged = signed;
    if (transition === 'judged') alarm.verdict = { verdict, ...signed };
    if (transition === 'shelved') alarm.shelved = iso(until);
    if (transition === 'unshelved') alarm.shelved = null;
    alarm.state = alarm.cleared ? 'cleared' : alarm.acknowledged ? 'acknowledged' : 'raised';
    alarm.changes.push({ transition, severity: alarm.severity, at: iso(at), log: iso(at), why: why ?? (note || verdict || ''), by, trace });
    this.tell(alarm);
  }

  tell(alarm) {
    this.world.offset += 1;
    this.world.emit('alarm', { device: alarm.device.id, transition: alarm.changes.at(-1).transition, alarm: this.short(alarm) });
  }

  short({ changes, changes_left_out, ...alarm }) {
    return alarm;
  }

  rules() {
    return [...this.world.blueprint.text.matchAll(/\[alarm\.(\w+)\]([^[]*)/g)].map(([, name, body]) => ({ name, when: /when\s*=\s*"([^"]*)"/.exec(body)?.[1], severity: /severity\s*=\s*"([^"]*)"/.exec(body)?.[1] ?? 'warning' }));
  }

  /** A reading raises at once what says `NAME > N`; below N - 1 it is over. */
  heard(device, name, value) {
    const held = (until) => until && Date.parse(until) > Date.now();
    const quiet = held(device.care?.maintenance) || held(device.care?.ignored[name]);
    if (device.origin === 'virtual') return;
    for (const rule of this.rules()) {
      const [, property, number] = /^(\w+) > (-?[\d.]+)/.exec(rule.when ?? '') ?? [];
      if (property !== name) continue;
      const bar = Number(number);
      const open = this.all.find((one) => one.device.id === device.id && one.rule === rule.name && !one.cleared);
      if (value > bar && !open && !quiet) this.raise(device, rule.name, { severity: rule.severity, name, value, at: Date.now() });
      else if (value < bar - 1 && open) this.clear(open, Date.now(), value);
    }
  }

  list(search) {
    const rank = ['info', 'warning', 'critical'];
    const device = search.get('device');
    const found = this.all.filter((one) =>
      (search.get('state') === 'all' || !one.cleared) && rank.indexOf(one.severity) >= rank.indexOf(search.get('severity') ?? 'info') &&
      (!device || device === one.device.id || device === one.device.name) && (!search.get('rule') || search.get('rule') === one.rule) &&
      (!search.get('cursor') || one.id < search.get('cursor')));
    const size = Number(search.get('limit') ?? 50);
    return { items: found.slice(0, size).map((one) => this.short(one)), next_cursor: found.length > size ? found[size - 1].id : null };
  }

  act(alarm, what, body) {
    const by = 'this machine';
    const now = Date.now();
    const units = { min: 60_000, h: 3_600_000, day: 86_400_000 };
    const [, number, unit] = /^(\d+) (min|h|day)$/.exec(body.for ?? '') ?? [];
    if (what === 'acknowledge') this.change(alarm, 'acknowledged', now, { by, note: body.note });
    else if (what === 'verdict') this.change(alarm, 'judged', now, { by, ...body });
    else if (what === 'shelve') this.change(alarm, 'shelved', now, { by, until: now + Number(number) * units[unit] });
    else this.change(alarm, 'unshelved', now, { by });
    return alarm;
  }

  explain(device, rule) {
    const open = this.all.find((one) => one.device.id === device.id && one.rule === rule && !one.cleared);
    const at = device.readings.temperature?.at ?? null;
    const value = device.readings.temperature?.value ?? null;
    const trace = (condition, holds) => ({ condition, holds, inputs: [{ name: 'temperature', value, text: null, time: at }] });
    if (rule === 'lost') return { rule, state: open ? 'raised' : 'calm', why: open ? 'silent(30 min) holds' : 'silent(30 min) does not hold', when: { condition: 'silent(30 min)', holds: !!open, inputs: [{ name: 'silent(30 min)', value: open ? 1 : 0, text: null, time: at }] }, clear: null, unless: { condition: 'silent(base, 20 min)', holds: false, inputs: [] } };
    return { rule, state: open ? 'raised' : 'calm', why: open ? 'it stays until temperature < 7 °C' : 'temperature > 8 °C does not hold', when: trace('temperature > 8 °C', value > 8), clear: trace('temperature < 7 °C', value < 7), unless: null };
  }

  /** More often when the bar is lower: enough to see the words change. */
  dry(body) {
    const bar = Number(/temperature > (-?[\d.]+)/.exec(body.text ?? this.world.blueprint.text)?.[1] ?? 8);
    const fired = Math.max(0, Math.round((9.4 - bar) * 3));
    const to = Date.now();
    const examples = Array.from({ length: fired }, (_, nth) => ({ time: iso(to - (nth + 1) * 5.3 * 86_400_000), device: nth === 0 ? 'box-0004' : 'box-0003', why: `temperature > ${bar} °C for 10 min` }));
    const devices = fired > 1 ? [{ device: 'box-0003', count: fired - 1 }, { device: 'box-0004', count: 1 }] : fired === 1 ? [{ device: 'box-0004', count: 1 }] : [];
    const rule = body.rule ?? 'too_warm';
    const summary = fired === 0 ? `${rule} would not have fired` : `${rule} would have fired ${fired} times, ${fired - 1} times on box-0003`;
    return { from: iso(to - 30 * 86_400_000), to: iso(to), limit: null, rows: 1_300_000, rules: [{ rule, fired, devices, examples, summary }] };
  }

  told(change) {
    const { new_secret, ...rest } = change;
    const fresh = change.webhook && change.webhook !== this.notify.webhook;
    Object.assign(this.notify, rest);
    if (fresh || new_secret) this.notify.webhook_secrets = 1;
    return { ...this.notify, ...(fresh || new_secret ? { webhook_secret: 'whsec_bW9jayBtb2NrIG1vY2sgbW9jayBtb2NrIG1vY2s=' } : {}) };
  }

  sender() {
    const at = iso(Date.now() - 400_000);
    const route = { person: 'usr_01J0000000000000000000ANNA', channel: 'mail', state: 'failing', waiting: 2, held: 0, told: 41, next_try: iso(Date.now() + 90_000), last_success: iso(Date.now() - 9_000_000), last_error: { at, why: 'mail.example.org:587 did not answer within 10 s' }, disabled: null, failed: [], forgotten: 0 };
    return { closed: 'a demo sends nothing to the outside', routes: [route], last_unheard: null, taken: 44, overflow: 0, disk: null };
  }
}
