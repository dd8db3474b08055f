/**
 * The mock's customers, contracts and bills: days with a reading at 0.30 EUR, in whole cents, over
 * invented days. Nothing here is ever part of the product, and no rule of the ledger is proven by it.
 */
import { createHash, randomBytes } from 'node:crypto';

const day_ms = 86_400_000;
const id = (kind) => `${kind}_01M7B${randomBytes(11).toString('hex').toUpperCase().slice(0, 21)}`;
const cents = (minor) => `${minor < 0 ? '-' : ''}${Math.floor(Math.abs(minor) / 100)}.${String(Math.abs(minor) % 100).padStart(2, '0')}`;
const hash = (text) => createHash('sha256').update(text).digest('hex');
const first = (month) => Date.parse(`${month}-01T00:00:00Z`);
const after = (month) => Date.parse(new Date(first(month) + 31 * day_ms).toISOString().slice(0, 8) + '01T00:00:00Z');

export class Money {
  constructor(world) {
    this.world = world;
    this.entities = [];
    this.customers = [];
    this.contracts = [];
    this.invoices = [];
  }

  putEntity(name, body) {
    const known = this.entities.find((one) => one.name === name);
    if (known) return Object.assign(known, body, { revision: known.revision + 1 });
    const made = { name, revision: 1, mode: 'shadow', grace_days: 2, due_days: 14, invoice_prefix: 'RE-', credit_prefix: 'GS-', invoices: 0, credits: 0, profile: 'core', identifiers: {}, ...body };
    this.entities.push(made);
    return made;
  }

  addCustomer(body) {
    const made = { id: id('cus'), revision: 1, ...body };
    this.customers.push(made);
    return made;
  }

  addContract(body) {
    const customer = this.customers.find((one) => one.name === body.customer || one.id === body.customer);
    const found = this.world.filter(body.filter ?? '');
    if (!customer || found.error || found.length === 0) return { error: customer ? 'no device matches' : `no customer ${body.customer}`, pointer: customer ? '/filter' : '/customer' };
    const made = {
      id: id('ctr'), name: body.name, customer: customer.id, customer_name: customer.name, venture: 'coolbox', plan: body.plan, revision: 1, plan_revision: 9,
      devices: found.map((one) => ({ device: one.id, kind: one.kind, name: one.name })), filter: body.filter, from: `${body.from}T00:00:00Z`,
      accepted_by: body.accepted_by, accepted_at: new Date().toISOString(),
    };
    this.contracts.push(made);
    return made;
  }

  /** Usage that was sent from outside: one kept, one put aside. */
  events() {
    const contract = this.contracts[0]?.name;
    if (!contract) return { kept: 0, quarantined: 0, newest: [] };
    return { kept: 1, quarantined: 1, newest: [{ contract, usage: 'tickets', device: null, time: new Date().toISOString(), value: '2', id: 't-3', source: 'desk' }] };
  }
  held() {
    if (this.contracts.length === 0) return [];
    return [{ at: new Date().toISOString(), status: 409, reason: 'its id is known with another content', event: '{"id":"t-3","value":3}' }];
  }
  changeContract(name, body) {
    const known = this.contracts.find((one) => one.name === name);
    known.revision += 1;
    if (body.to) known.to = new Date(`${body.to}T00:00:00+01:00`).toISOString();
    known.coupons = [...(known.coupons ?? []), ...(body.coupons ?? [])];
    known.prepaid = [...(known.prepaid ?? []), ...(body.prepaid ?? [])];
    return known;
  }

  /** Days of the month with a reading: all that have passed since the contract began. */
  days(contract, month) {
    const from = Math.max(first(month), Date.parse(contract.from));
    const to = Math.min(after(month), Date.now());
    return Math.max(0, Math.ceil((to - from) / day_ms));
  }

  line(contract, month) {
    const count = this.days(contract, month) * contract.devices.length;
    if (count === 0) return [];
    const amount = cents(count * 30);
    return [{
      id: `${contract.name}/${month}-01/1`, charge: 'boxes', part: 'charge', plan: contract.plan, revision: 9,
      from: new Date(first(month)).toISOString(), to: new Date(after(month)).toISOString(), amount, quantity: String(count), unit: 'device*day',
      readings: count * 1440, receipt: hash(`${contract.name} ${month}`), formula: 'days with a reading of each device x 0.30 EUR',
      steps: [{ what: 'base', quantity: String(count), price: '0.30', amount }], exact: amount, rounding: 'half_up', tax: 'S 19 %',
    }];
  }

  revenue(month) {
    return this.contracts.map((contract) => {
      const lines = this.line(contract, month);
      const own = (states) => this.invoices.filter((one) => one.contract === contract.name && one.from.startsWith(month) && states.includes(one.state));
      const net = (list) => cents(list.reduce((all, one) => all + Math.round(Number(one.net) * 100), 0));
      return {
        contract: contract.name, customer: contract.customer_name, venture: contract.venture, plan: contract.plan, devices: contract.devices.length, currency: 'EUR',
        rated: lines[0]?.amount ?? '0.00', recurring: lines[0]?.amount ?? '0.00', invoiced: net(own(['final', 'sent', 'overdue', 'paid', 'credited'])), drafted: net(own(['draft', 'approved'])),
        simulated: true, lines, per_device: lines.length === 0 ? [] : contract.devices.map((one) => ({ device: one.device, recurring: cents(this.days(contract, month) * 30), once: '0.00' })), why: null,
      };
    });
  }

  close({ month, shadow }) {
    const items = this.contracts.map((contract) => {
      const [line] = this.line(contract, month);
      const from = new Date(first(month)).toISOString();
      const to = new Date(after(month)).toISOString();
      const base = { contract: contract.name, from, to, mode: 'shadow', why: null };
      if (!line) return { ...base, what: 'settled', invoice: null, readings: 0, net: null };
      const known = this.invoices.find((one) => one.contract === contract.name && one.from === from && one.state !== 'discarded');
      if (known?.net === line.amount) return { ...base, what: 'unchanged', invoice: known.id, readings: line.readings, net: `${line.amount} EUR` };
      if (known) known.state = 'discarded';
      const made = this.draft(contract, line, { from, to, shadow });
      return { ...base, what: known ? 'replaced' : 'drafted', invoice: made.id, readings: line.readings, net: `${line.amount} EUR` };
    });
    return { month, items };
  }

  draft(contract, line, { from, to, shadow }) {
    const customer = this.customers.find((one) => one.id === contract.customer);
    const entity = this.entities.find((one) => one.name === customer.entity);
    const net = Math.round(Number(line.amount) * 100);
    const tax = Math.round(net * 0.19);
    const made = {
      id: id('inv'), revision: 1, kind: 'invoice', state: 'draft', mode: shadow || entity.mode === 'shadow' ? 'shadow' : 'live', simulated: true, number: null,
      contract: contract.name, customer: customer.name, entity: entity.name, from, to, date: null, due_date: null, currency: 'EUR',
      net: cents(net), tax: cents(tax), gross: cents(net + tax), due: cents(net + tax), paid: '0.00', drafted_by: 'usr_owner', drafted_at: new Date().toISOString(),
      approved_by: null, grace_until: new Date(Date.parse(to) + 2 * day_ms).toISOString(), originals: [], usage: [hash(`entry ${contract.name} ${from}`)],
      lines: [{ id: line.id, charge: line.charge, part: line.part, from, to, quantity: line.quantity, amount: line.amount, billed_before: '0.00', tax: line.tax, originals: [] }],
    };
    this.invoices.push(made);
    return made;
  }

  list(month) {
    return this.invoices.filter((one) => one.state !== 'discarded' && (!month || one.from.startsWith(month)));
  }

  find(text) {
    return this.invoices.find((one) => one.id === text || one.number === text);
  }

  explain(name) {
    const contract = this.contracts.find((one) => name.startsWith(`${one.name}/`));
    const month = name.split('/').at(-2)?.slice(0, 7);
    const [line] = contract ? this.line(contract, month) : [];
    if (!line) return null;
    const invoice = this.invoices.find((one) => one.contract === contract.name && one.from.startsWith(month) && one.state !== 'discarded');
    const told = [['line', name], ['charge', `boxes of plan ${line.plan}, revision 9`], ['period', `${line.from} to ${line.to}`], ['quantity', `${line.quantity} device*day`], ['formula', line.formula], ['', `base: ${line.quantity} x 0.3 = ${line.exact}`], ['exact', `${line.exact} EUR`], ['rounded', `half_up to ${line.amount} EUR`], ['tax', line.tax], ['readings', `${line.readings}, the first 40:`]];
    for (let at = 0; at < 40; at += 1) {
      const device = contract.devices[at % contract.devices.length];
      told.push(['', `${new Date(first(month) + at * 60_000).toISOString()} ${device.name} temperature ${(4 + Math.sin(at)).toFixed(1)} at ${100 + at}`]);
    }
    told.push(['receipt', `${line.receipt} agrees`]);
    return { line: name, invoice: invoice?.id ?? null, text: `${told.map(([what, value]) => `${what.padEnd(10)} ${value}`).join('\n')}\n` };
  }

  /** One line a contract, by its amount alone. */
  compare(month, csv) {
    const theirs = csv.trim().split('\n').slice(1).map((row) => row.split(','));
    const items = theirs.map(([contract, charge, , amount]) => {
      const our = this.list(month).find((one) => one.contract === contract)?.net ?? null;
      const difference = Math.round(Number(our ?? 0) * 100) - Math.round(Number(amount) * 100);
      const causes = difference === 0 ? [] : [{ kind: our === null ? 'missing_here' : 'quantity', amount: cents(difference), words: our === null ? 'no such line here' : 'another quantity was counted' }];
      return { contract, charge, ours: our, theirs: amount, difference: cents(difference), causes };
    });
    const all = (key) => cents(items.reduce((sum, one) => sum + Math.round(Number(one[key] ?? 0) * 100), 0));
    return { month, ours: all('ours'), theirs: all('theirs'), difference: all('difference'), differing: items.filter((one) => one.causes.length > 0).length, items };
  }

  /** Each device with a radio that costs more the later its number: invented, but it adds up. */
  economics(venture, month, by, limit) {
    const simulated = (minor, formula) => ({ amount: cents(minor), currency: 'EUR', basis: 'simulated', formula });
    const sum = (rows) => {
      const [revenue, cost] = ['revenue', 'cost'].map((key) => rows.reduce((all, one) => all + one[key], 0));
      return {
        revenue: simulated(revenue, `recurring lines of ${rows.length} devices`), cost: simulated(cost, 'radio'),
        margin: simulated(revenue - cost, `${cents(revenue)} - ${cents(cost)}`),
        margin_per_device_month: rows.length === 0 ? null : ((revenue - cost) / 100 / rows.length).toFixed(4),
        once_revenue: simulated(0, 'lines charged once'), once_cost: simulated(0, 'nothing'), credited: '0.00', device_months: String(rows.length),
      };
    };
    const rows = this.contracts.flatMap((contract) => contract.devices.map((one, at) => ({
      device: one.device, name: one.name, customer: contract.customer_name, contract: contract.name,
      revenue: this.days(contract, month) * 30, cost: this.days(contract, month) === 0 ? 0 : 40 + (at % 7) * 160,
    })));
    const radio = (minor) => ({ name: 'radio', recurring: true, as_written: '0.40 EUR/device/month + 0.02 EUR/MB for each begun 10 kB', said_by: null, places: [{ path: 'case.cost.radio', line: 71, column: 1, text: 'radio' }, { path: 'device.box.readings.temperature.every', line: 11, column: 57, text: 'temperature' }], ...simulated(minor, '0.40 EUR x 1 months + 432 MB x 0.02 EUR/MB') });
    const names = [...new Set(rows.map((row) => row[by === 'customer' ? 'customer' : 'name']))];
    const items = names.map((name) => {
      const own = rows.filter((row) => row[by === 'customer' ? 'customer' : 'name'] === name);
      return {
        device: by === 'customer' ? null : own[0].device, name, customer: own[0].customer, contracts: [own[0].contract], devices: own.length, ...sum(own),
        costs: [radio(own.reduce((all, one) => all + one.cost, 0))],
        sources: [{ contract: own[0].contract, document: null, number: null, state: 'rated from the readings of now', plan: 'care', revision: 9 }],
      };
    }).sort((a, b) => Number(a.margin.amount) - Number(b.margin.amount));
    return {
      venture, month, currency: 'EUR', revision: 9, offset: 4711, simulated: true, closed: false, until: null, ...sum(rows),
      costs: rows.length === 0 ? [] : [radio(rows.reduce((all, one) => all + one.cost, 0))],
      left_out: ['the case has no cost for cloud, support, returns: counted as nothing'],
      items: items.slice(0, limit), next_cursor: null, total_matching: items.length,
    };
  }
}
