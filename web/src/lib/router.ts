/**
 * Addresses of the console. Invariant: `parse(href(route))` is the route again.
 */

export type Route =
  | { page: 'home' }
  | { page: 'ventures' }
  | { page: 'ideas' }
  | { page: 'suggest'; tenant: string }
  | { page: 'venture'; venture: string }
  | { page: 'fleet' }
  | { page: 'device'; id: string }
  | { page: 'alarms' }
  | { page: 'connect' }
  | { page: 'revenue' }
  | { page: 'missing'; path: string };

export function parse(path: string): Route {
  const parts = path.split('/').filter((part) => part !== '');
  const [first, second] = parts;
  if (parts.length === 0) return { page: 'home' };
  if (parts.length === 1 && first === 'ventures') return { page: 'ventures' };
  if (parts.length === 1 && first === 'ideas') return { page: 'ideas' };
  if (parts.length === 1 && first === 'fleet') return { page: 'fleet' };
  if (parts.length === 1 && first === 'alarms') return { page: 'alarms' };
  if (parts.length === 1 && first === 'connect') return { page: 'connect' };
  if (parts.length === 1 && first === 'revenue') return { page: 'revenue' };
  if (parts.length === 2 && second) {
    const id = decode(second);
    if (id !== null && first === 'devices') return { page: 'device', id };
    if (id !== null && first === 'suggest') return { page: 'suggest', tenant: id };
    if (id !== null && first === 'ventures') return { page: 'venture', venture: id };
  }
  return { page: 'missing', path };
}

export function href(route: Route): string {
  switch (route.page) {
    case 'home':
      return '/';
    case 'venture':
      return `/ventures/${encodeURIComponent(route.venture)}`;
    case 'device':
      return `/devices/${encodeURIComponent(route.id)}`;
    case 'suggest':
      return `/suggest/${encodeURIComponent(route.tenant)}`;
    case 'missing':
      return route.path;
    default:
      return `/${route.page}`;
  }
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
