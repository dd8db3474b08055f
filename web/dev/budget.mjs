/**
 * Fails the build when the first route grows over its budget: 65 kB gzip for the shell with its
 * largest page, 120 kB for any chunk (docs: console, budgets). The font blocks nothing (the
 * system's is shown until it is there) and has its own limit.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

const first_route_bytes_max = 65_000;
const chunk_bytes_max = 120_000;
const font_bytes_max = 50_000;
const out = process.env.IOTBIZ_WEB_OUT ?? join(import.meta.dirname, '../../target/web');
const manifest = JSON.parse(readFileSync(join(out, '.vite/manifest.json'), 'utf8'));
const size = (file) => gzipSync(readFileSync(join(out, file)), { level: 9 }).length;

function closure(key, seen = new Set()) {
  const entry = manifest[key];
  if (!entry || seen.has(entry.file)) return seen;
  seen.add(entry.file);
  for (const css of entry.css ?? []) seen.add(css);
  for (const other of entry.imports ?? []) closure(other, seen);
  return seen;
}

const sum = (files) => [...files].reduce((total, file) => total + size(file), 0);
const entry = Object.keys(manifest).find((key) => manifest[key].isEntry);
let failed = false;
for (const key of Object.keys(manifest).filter((name) => name.startsWith('src/pages/'))) {
  const bytes = sum(closure(key, closure(entry)));
  const over = bytes > first_route_bytes_max;
  failed ||= over;
  console.log(`${over ? 'OVER ' : ''}${key}: ${(bytes / 1000).toFixed(2)} kB gzip of ${first_route_bytes_max / 1000}`);
}
for (const { file } of Object.values(manifest)) {
  if (size(file) <= chunk_bytes_max) continue;
  failed = true;
  console.log(`OVER ${file}: ${size(file)} bytes gzip of ${chunk_bytes_max}`);
}
const fonts = readdirSync(join(out, 'assets')).filter((file) => file.endsWith('.woff2'));
const font_bytes = fonts.reduce((total, file) => total + statSync(join(out, 'assets', file)).size, 0);
failed ||= font_bytes > font_bytes_max;
console.log(`fonts: ${(font_bytes / 1000).toFixed(1)} kB of ${font_bytes_max / 1000}, after the first paint`);
process.exit(failed ? 1 : 0);
