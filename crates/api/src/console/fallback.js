// The plain page of a program that was built without its console: devices, every two seconds.
const body = document.getElementById('devices');
const cell = (text) => Object.assign(document.createElement('td'), { textContent: text });
async function show() {
  try {
    const answer = await fetch('/api/v1/devices?limit=200');
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const { items } = await answer.json();
    const rows = items.map((device) => {
      const row = document.createElement('tr');
      row.append(cell(device.name), cell(device.kind), cell(device.status), cell(device.last_seen ?? 'never'));
      return row;
    });
    const none = document.createElement('tr');
    none.append(cell('no devices yet: iotbiz device add NAME --kind KIND'));
    body.replaceChildren(...(rows.length ? rows : [none]));
  } catch (error) {
    const row = document.createElement('tr');
    row.append(cell(`cannot read devices: ${error.message}`));
    body.replaceChildren(row);
  }
}
show();
setInterval(show, 2000);
