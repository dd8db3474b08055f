/** Lets `node --test` import the TypeScript of `src`: types are stripped, nothing is checked. */
import { register } from 'node:module';

register('./loader.mjs', import.meta.url);
