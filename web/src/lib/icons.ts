/** Paths of the line icons, on a 16 x 16 grid. */
export const icons = {
  ventures: 'M2 13h12M4 13V9h3v4M9 13V4h3v9',
  fleet: 'M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM9 9h4v4H9z',
  alarms: 'M8 2.5l6 11H2zM8 7v3M8 11.8v.1',
  connect: 'M6 10l4-4M5 7L3.5 8.5a2.5 2.5 0 003.5 3.5L8.5 10.5M7.5 5.5L9 4a2.5 2.5 0 013.5 3.5L11 9',
  revenue: 'M2.5 13.5h11M3 10.5l3.5-4 2.5 2.5L13 4M10 4h3v3',
  ideas: 'M6 13h4M6.5 15h3M5.2 10.4a4.2 4.2 0 115.6 0c-.5.5-.8 1-.8 1.6H6c0-.6-.3-1.1-.8-1.6',
  search: 'M11 7a4 4 0 11-8 0 4 4 0 018 0M10 10l4 4',
  help: 'M6 6a2 2 0 113 1.7c-.7.4-1 .8-1 1.6M8 12v.1',
  pause: 'M5 3v10M11 3v10',
  play: 'M5 3l8 5-8 5z',
  copy: 'M6 6h7v7H6zM4 10H3V3h7v1',
  close: 'M4 4l8 8M12 4l-8 8',
  more: 'M3 5h10M3 8h10M3 11h10',
  up: 'M8 13V3M4 7l4-4 4 4',
  down: 'M8 3v10M4 9l4 4 4-4',
  edit: 'M3 13l1-3 7-7 2 2-7 7zM9.5 4.5l2 2',
  out: 'M9 3H4v10h5M7 8h7M11.5 5.5L14 8l-2.5 2.5',
  plus: 'M8 3v10M3 8h10',
} as const;
export type IconName = keyof typeof icons;
