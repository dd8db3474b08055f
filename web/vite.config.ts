/**
 * Build of the console: one static folder that the server embeds.
 *
 * Invariant: the output needs no other host; nothing here reads the network.
 */
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

const server = process.env.IOTBIZ_URL ?? 'http://127.0.0.1:7070';

export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: process.env.IOTBIZ_WEB_OUT ?? '../target/web',
    emptyOutDir: true,
    manifest: true,
    modulePreload: { polyfill: false },
    target: 'es2022',
  },
  server: {
    port: 5173,
    proxy: {
      '/api': { target: server, ws: true, changeOrigin: true },
      '/healthz': server,
      '/readyz': server,
    },
  },
});
