// A phone as a device: joins once by the claim of the QR code, then sends readings with its token.
// Written for old browsers without HTTPS: no modules, no service worker, nothing from elsewhere.
'use strict';

var KEPT = 'iotbiz-box';
var SEND_EVERY_MS = 2000;
var SEND_SOON_MS = 300;
var WAIT_MAX_MS = 10000;

var byId = function (id) { return document.getElementById(id); };
var slider = byId('slider');
var me = null;
var acked = 0;
var battery = null;
var sending = false;
var again = null;
var warm = false;
var open = false;

function say(state, fix) {
  if (byId('state').textContent !== state) byId('state').textContent = state;
  byId('fix').textContent = fix || '';
}

function kept() {
  try { return JSON.parse(localStorage.getItem(KEPT)); } catch (_unreadable) { return null; }
}

function keep(device) {
  // A private window may refuse; then this phone is a new device next time.
  try {
    if (device) localStorage.setItem(KEPT, JSON.stringify(device));
    else localStorage.removeItem(KEPT);
  } catch (_refused) { return; }
}

function post(path, headers, body) {
  headers['content-type'] = 'application/json';
  var asked = { method: 'POST', headers: headers, body: JSON.stringify(body) };
  if (window.AbortController) {
    var giveUp = new AbortController();
    asked.signal = giveUp.signal;
    setTimeout(function () { giveUp.abort(); }, WAIT_MAX_MS);
  }
  return fetch(path, asked).then(function (answer) {
    return answer.json().catch(function () { return {}; }).then(function (said) {
      return { status: answer.status, said: said };
    });
  });
}

function join() {
  var claim = (location.hash.match(/claim=([^&]+)/) || [])[1];
  if (!claim) {
    say('This page needs the QR code.', 'Scan the code that the terminal or the console shows.');
    return;
  }
  say('Joining ...');
  post('/box/claim', {}, { claim: claim }).then(function (answer) {
    if (answer.status === 201) {
      me = answer.said;
      keep(me);
      start();
    } else {
      say(answer.said.detail || 'The server did not take this phone.', answer.said.fix);
    }
  }).catch(function () {
    say('The server cannot be reached.', 'Is this phone in the same network? It tries again.');
    setTimeout(join, SEND_EVERY_MS);
  });
}

function show() {
  byId('value').textContent = Number(slider.value).toFixed(1) + ' ' + me.slider.shown;
}

function start() {
  byId('name').textContent = me.name;
  byId('slider-name').textContent = me.slider.name;
  slider.min = me.slider.from;
  slider.max = me.slider.to;
  slider.step = 0.1;
  slider.value = me.slider.start;
  byId('switch').hidden = !me.switch;
  var watched = me.watched || [];
  byId('watched').hidden = watched.length === 0;
  byId('watched').textContent = watched.join('. ') + ': it appears on page Alarms of the console, with what it was decided on.';
  byId('panel').hidden = false;
  say('Connected. Move the slider and look at the console.');
  show();
  send();
}

function readings() {
  var values = {};
  values[me.slider.name] = Math.round(Number(slider.value) * 10) / 10;
  if (me.switch) values[me.switch] = open;
  if (me.battery && battery !== null) values[me.battery] = battery;
  return values;
}

function soon(wait) {
  clearTimeout(again);
  again = setTimeout(send, wait);
}

function send() {
  if (sending || document.hidden) { soon(SEND_EVERY_MS); return; }
  sending = true;
  var began = Date.now();
  post('/ingest/v1/telemetry', { authorization: 'Bearer ' + me.token }, readings()).then(function (answer) {
    sending = false;
    if (answer.status === 200 && answer.said.durable) {
      acked += 1;
      byId('acked').textContent = String(acked);
      byId('offset').textContent = String(answer.said.offset);
      byId('took').textContent = (Date.now() - began) + ' ms';
      say('Connected. Move the slider and look at the console.');
    } else if (answer.status === 401) {
      // The demo was begun anew, or somebody removed this device.
      me = null;
      keep(null);
      byId('panel').hidden = true;
      join();
      return;
    } else {
      say(answer.said.detail || 'The server did not take the reading.', answer.said.fix);
    }
    soon(SEND_EVERY_MS);
  }).catch(function () {
    sending = false;
    say('The server cannot be reached.', 'It tries again; nothing is kept meanwhile.');
    soon(SEND_EVERY_MS);
  });
}

slider.addEventListener('input', function () {
  slider.dataset.warmed = 'no';
  show();
  soon(SEND_SOON_MS);
});

byId('warm').addEventListener('click', function () {
  warm = !warm;
  byId('warm').setAttribute('aria-pressed', String(warm));
});

byId('switch').addEventListener('click', function () {
  open = !open;
  byId('switch').setAttribute('aria-pressed', String(open));
  soon(0);
});

// A hand warms a box in half a minute; left alone it cools as fast.
setInterval(function () {
  if (!me) return;
  var now = Number(slider.value);
  var aim = warm ? Math.min(Number(me.slider.to), me.slider.start + 20) : me.slider.start;
  if (!warm && slider.dataset.warmed !== 'yes') return;
  var far = aim - now;
  slider.dataset.warmed = warm || Math.abs(far) > 0.1 ? 'yes' : 'no';
  // Less than a step of the slider would be no step.
  if (Math.abs(far) > 0.1) slider.value = now + Math.sign(far) * Math.max(0.1, Math.abs(far) * 0.06);
  show();
}, 500);

if (navigator.getBattery) {
  navigator.getBattery().then(function (found) {
    var read = function () {
      battery = Math.round(found.level * 100);
      byId('battery').textContent = battery + ' %';
    };
    found.addEventListener('levelchange', read);
    read();
  }).catch(function () { return null; });
}

// Browsers give motion to pages with HTTPS only; where they do, a shake opens the lid.
function listen() {
  var last = 0;
  window.addEventListener('devicemotion', function (event) {
    var felt = event.accelerationIncludingGravity;
    if (!felt || !me || !me.switch) return;
    var force = Math.sqrt(felt.x * felt.x + felt.y * felt.y + felt.z * felt.z);
    if (force > 22 && Date.now() - last > 1000) {
      last = Date.now();
      byId('switch').click();
    }
  });
}
if (window.isSecureContext && window.DeviceMotionEvent) {
  if (DeviceMotionEvent.requestPermission) {
    byId('motion').hidden = false;
    byId('motion').addEventListener('click', function () {
      DeviceMotionEvent.requestPermission().then(function (said) {
        if (said === 'granted') listen();
        byId('motion').hidden = true;
      }).catch(function () { byId('motion').hidden = true; });
    });
  } else {
    listen();
  }
}

me = kept();
if (me && me.token && me.slider) start(); else { me = null; join(); }
