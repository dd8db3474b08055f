// Runs before the first paint, so a dark room never sees a white flash. Kept out of index.html
// because a page without inline script can be served under a strict content policy.
(() => {
  const read = (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  };
  const wanted = read('iotbiz.theme');
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const root = document.documentElement;
  root.dataset.theme = wanted === 'light' || wanted === 'dark' ? wanted : dark ? 'dark' : 'light';
  root.dataset.density = read('iotbiz.density') === 'compact' ? 'compact' : 'comfortable';
})();
