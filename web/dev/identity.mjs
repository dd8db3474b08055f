/**
 * The mock's claims, credentials and ends: what the pages for identity need, with invented numbers.
 * Certificates are no real ones; nothing here is ever part of the product.
 */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';

const day_ms = 86_400_000;
/** As long as the real server needs to close a connection, about. */
const close_ms = 60;

const at = (days) => new Date(Date.now() + days * day_ms).toISOString();
const id = (kind) => `${kind}_01M7B${randomBytes(11).toString('hex').toUpperCase().slice(0, 21)}`;
const pem = (what, bytes) => `-----BEGIN ${what}-----\n${bytes.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END ${what}-----\n`;

export class Identity {
  constructor({ filled }) {
    this.root = pem('CERTIFICATE', randomBytes(420));
    this.held = new Map();
    this.sessions = new Set();
    const claim = (name, kind, uses_max, uses, days, more = {}) => ({ id: id('clm'), name, venture: 'coolbox', kind, uses_max, uses, serials: 0, expires: at(days), revoked: null, made_by: 'owner', made_at: at(-30), ...more });
    this.claims = !filled ? [] : [
      claim('2026-48', 'box', 500, 412, 70),
      claim('halle-3', 'base', 1000, 268, 11.4, { serials: 1000 }),
      claim('lab', 'box', 20, 3, 220),
      claim('graz-1', 'box', 200, 200, -8),
      claim('lost-reel', 'box', 50, 12, 40, { revoked: at(-2) }),
    ];
    this.byMonth = filled ? [41, 51, 22, 64, 47, 71, 88, 30, 59, 44, 66, 29] : Array(12).fill(0);
  }

  of(device) {
    return this.held.get(device.id) ?? this.held.set(device.id, []).get(device.id);
  }

  hold(device, token) {
    this.of(device).push({ id: id('crd'), kind: 'token', serial: null, issued_by: 'owner', issued_at: at(0), expires: null, revoked: null, rotate_by: null, token });
  }

  /** A token from the bench, a certificate in its last third and its follower, and one that was revoked. */
  begin(device) {
    this.hold(device, `tok_${randomBytes(12).toString('hex')}`);
    for (const [issued, ends, revoked] of [[-300, 65, null], [-20, 345, null], [-420, -55, at(-290)]]) {
      const rotate_by = at(issued + ((ends - issued) * 2) / 3);
      this.of(device).push({ id: id('crd'), kind: 'certificate', serial: randomBytes(10).toString('hex'), issued_by: 'owner', issued_at: at(issued), expires: at(ends), revoked, rotate_by });
    }
  }

  list(device) {
    return this.of(device).map(({ token, ...one }) => ({ ...one, state: one.revoked ? 'revoked' : one.expires && Date.parse(one.expires) <= Date.now() ? 'expired' : 'valid' }));
  }

  certificate(device, { days = 365, overlap_days } = {}) {
    for (const one of this.of(device)) {
      if (overlap_days !== undefined && one.kind === 'certificate' && !one.revoked) one.expires = at(overlap_days);
    }
    const made = { id: id('crd'), kind: 'certificate', serial: randomBytes(10).toString('hex'), issued_by: 'owner', issued_at: at(0), expires: at(days), revoked: null, rotate_by: at((days * 2) / 3) };
    this.of(device).push(made);
    const leaf = pem('CERTIFICATE', randomBytes(380));
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return {
      id: made.id, serial: made.serial, certificate: leaf, chain: leaf + pem('CERTIFICATE', randomBytes(400)), ca: this.root,
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }), not_before: made.issued_at, not_after: made.expires, dropped: [],
    };
  }

  /** Ends one credential and closes what came in with it; false when there is none. */
  revoke(device, credential) {
    const found = this.of(device).find((one) => one.id === credential);
    if (!found) return false;
    found.revoked ??= at(0);
    device.tokens = device.tokens.filter((token) => token !== found.token);
    setTimeout(() => {
      for (const session of this.sessions) if (session.token === found.token) session.socket.destroy();
    }, close_ms);
    return true;
  }

  revokeAll(device) {
    const open = this.of(device).filter((one) => !one.revoked);
    for (const one of open) this.revoke(device, one.id);
    return open.length;
  }

  connected(device) {
    return [...this.sessions].some((one) => one.device === device) || (device.speaks === true && !device.mute && !device.retired);
  }

  addClaim(body) {
    const { name, kind, uses_max, days = 90, serials = [] } = body;
    const made = { id: id('clm'), name, venture: 'coolbox', kind, uses_max, uses: 0, serials: serials.length, expires: at(days), revoked: null, made_by: 'owner', made_at: at(0) };
    this.claims.push(made);
    return { ...made, token: `clm_${randomBytes(24).toString('base64url')}` };
  }

  expiry() {
    const open = this.claims.filter((one) => !one.revoked && one.uses < one.uses_max && Date.parse(one.expires) > Date.now());
    const items = [
      { kind: 'root', name: 'root of this server', at: at(7295), note: 'what devices trust' },
      { kind: 'authority', name: 'authority of this tenant', at: at(3645), note: 'replaced by itself 400 days before; both are trusted until it ends' },
      ...open.map((one) => ({ kind: 'claim', name: one.name, at: one.expires, note: `${one.uses_max - one.uses} of ${one.uses_max} devices not yet claimed` })),
    ].sort((a, b) => a.at.localeCompare(b.at));
    const devices = this.byMonth.reduce((sum, one) => sum + one, 0);
    return { items, devices_by_month: this.byMonth, due: this.byMonth.slice(0, 4).reduce((sum, one) => sum + one, 0), devices };
  }

  sha256() {
    return createHash('sha256').update(this.root).digest('hex');
  }
}
