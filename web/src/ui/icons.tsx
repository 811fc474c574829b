// Drawn here, so that nothing is loaded. 24 by 24, lines of the text's colour.

const PATHS = {
  menu: 'M4 6.5h16M4 12h16M4 17.5h16',
  plus: 'M12 5v14M5 12h14',
  search: 'M11 4.5a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM20 20l-4.300-4.300',
  gear: 'M4 7h9M19 7h1M4 17h1M11 17h9M16 4.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5zM8 14.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5z',
  columns: 'M5 5h14a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1zM12 5v14',
  send: 'M12 19V5M5.500 11.500 12 5l6.500 6.500',
  stop: 'M7 7h10v10H7z',
  copy: 'M9 9h10v11H9zM15 9V4H5v11h4',
  edit: 'M4.500 19.500l1-4L16 5l3.500 3.500-10.500 10.500-4.500.500zM13.500 7.500 17 11',
  again: 'M19.500 12a7.500 7.500 0 1 1-2.200-5.300L19.500 9M19.500 4v5h-5',
  more: 'M5.500 12h.01M12 12h.01M18.500 12h.01',
  left: 'M14.500 6l-6 6 6 6',
  right: 'M9.500 6l6 6-6 6',
  down: 'M12 5v14M5.500 12.500 12 19l6.500-6.500',
  close: 'M6 6l12 12M18 6 6 18',
  clip: 'M19 11.500l-7.500 7.500a4.500 4.500 0 0 1-6.500-6.500l8-8a3 3 0 0 1 4.300 4.300l-7.800 7.800a1.500 1.500 0 0 1-2.200-2.200l7-7',
  file: 'M7 3.500h7l4 4v13H7zM14 3.500v4h4',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M5.300 18.700l1.400-1.400M17.300 6.700l1.400-1.400',
  moon: 'M19.500 14.500A8 8 0 0 1 9.500 4.500a8 8 0 1 0 10 10z',
  auto: 'M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16',
  out: 'M12 4v11M7.500 10.500 12 15l4.500-4.500M5 19.500h14',
  in: 'M12 15V4M7.500 8.500 12 4l4.500 4.500M5 19.500h14',
  keys: 'M4 7h16v10H4zM7 10h.01M10 10h.01M13 10h.01M16 10h.01M8 14h8',
  play: 'M8 5.500l10 6.500-10 6.500z',
  check: 'M5 12.500l4.500 4.500L19 7.500',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class={`icon icon-${name}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d={PATHS[name]} /></svg>
  );
}

export function Star() {
  return (
    <svg class="star" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="9" />
      <path d="M16 4.500c1 7 4.500 10.500 11.500 11.500-7 1-10.500 4.500-11.500 11.500-1-7-4.500-10.500-11.500-11.500 7-1 10.500-4.500 11.500-11.500z" />
    </svg>
  );
}
