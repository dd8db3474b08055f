/** Starts the console. */
import './styles/tokens.css';
import './styles/base.css';
import './styles/app.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { app } from './lib/app.svelte.ts';
import { live } from './lib/live.svelte.ts';

const target = document.getElementById('console');
if (target) {
  app.begin();
  live.begin();
  mount(App, { target });
}
