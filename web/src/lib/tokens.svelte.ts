/**
 * Tokens made on this page. Invariant: they live in memory only and are gone with the page; the
 * server keeps hashes, so nobody can show them again.
 */
import { SvelteMap } from 'svelte/reactivity';
import type { Credential } from '../api.ts';

export const tokens = new SvelteMap<string, Credential>();
