/** Colours, faces and sizes. One quiet ink for what is done, one blue for what leads somewhere, and the states' own. */
import { createTheme, defaultVariantColorsResolver } from '@mantine/core';
import type { CSSVariablesResolver, MantineColorsTuple, VariantColorsResolver } from '@mantine/core';

const ink: MantineColorsTuple = [
  '#eef1f4',
  '#dde3e8',
  '#c9d1d9',
  '#a9b4bf',
  '#8492a0',
  '#647280',
  '#4b5865',
  '#36414c',
  '#243039',
  '#16202b',
];
const gray: MantineColorsTuple = [
  '#f6f7f8',
  '#eef1f3',
  '#e4e8ec',
  '#d3d9df',
  '#bcc5cd',
  '#8b97a3',
  '#5d6975',
  '#465260',
  '#2d3843',
  '#16202b',
];
/** As Mantine uses it in the dark: 0 is text, 7 the ground, 4 lines, 6 fields. */
const dark: MantineColorsTuple = [
  '#dfe5ea',
  '#b8c2cb',
  '#9aa7b3',
  '#76838f',
  '#2f3942',
  '#232c34',
  '#161d23',
  '#0f1418',
  '#0b0f12',
  '#07090b',
];

const chinese = "'PingFang SC', 'Noto Sans SC', 'Noto Sans CJK SC', 'Microsoft YaHei'";

/** On ink that is dark in the light and light in the dark, which Mantine's own choice of contrast does not know. */
const onInk = 'var(--mantine-primary-color-contrast)';
const colorsOfVariant: VariantColorsResolver = (input) => {
  const colors = defaultVariantColorsResolver(input);
  const isInk = input.variant === 'filled' && (input.color === undefined || input.color === 'ink');
  return isInk ? { ...colors, color: onInk } : colors;
};

export const theme = createTheme({
  colors: { ink, gray, dark },
  primaryColor: 'ink',
  primaryShade: { light: 9, dark: 0 },
  autoContrast: true,
  variantColorResolver: colorsOfVariant,
  black: '#16202b',
  fontFamily: `'IBM Plex Sans', ${chinese}, system-ui, sans-serif`,
  fontFamilyMonospace: `'IBM Plex Mono', ui-monospace, ${chinese}, monospace`,
  headings: {
    fontWeight: '600',
    sizes: {
      h1: { fontSize: '1.5rem', lineHeight: '1.3' },
      h2: { fontSize: '1.0625rem', lineHeight: '1.4' },
      h3: { fontSize: '0.9375rem', lineHeight: '1.4' },
    },
  },
  fontSizes: { xs: '0.8125rem', sm: '0.875rem', md: '0.9375rem', lg: '1.0625rem', xl: '1.25rem' },
  defaultRadius: 'sm',
  radius: { sm: '0.3rem' },
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Tooltip: { defaultProps: { events: { hover: true, focus: true, touch: true }, withArrow: true } },
    Checkbox: { defaultProps: { iconColor: onInk } },
    Radio: { defaultProps: { iconColor: onInk } },
    // White, as Mantine has it, is not seen on ink that is light.
    Switch: { styles: { thumb: { backgroundColor: 'var(--mantine-color-body)' } } },
    Modal: { defaultProps: { centered: true }, styles: { title: { fontWeight: 600 } } },
    // Their element is `header`, which beside the page's own would be a second banner.
    ModalHeader: { defaultProps: { role: 'presentation' } },
    DrawerHeader: { defaultProps: { role: 'presentation' } },
    Button: { styles: { label: { fontWeight: 500 } } },
  },
});

export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-anchor': 'var(--berth-accent)',
    '--mantine-color-dimmed': '#55616e',
    '--mantine-color-placeholder': '#66727e',
    '--mantine-color-error': '#b3261e',
    '--mantine-color-red-outline': '#b3261e',
    '--mantine-color-yellow-outline': '#8a5a00',
    '--mantine-color-default-border': '#c5cdd5',
  },
  dark: {
    '--mantine-color-anchor': 'var(--berth-accent)',
    '--mantine-color-dimmed': '#9aa7b3',
    '--mantine-color-placeholder': '#8794a1',
    '--mantine-color-error': '#ff9a90',
    '--mantine-color-red-outline': '#ff9a90',
    '--mantine-color-yellow-outline': '#f0b955',
    '--mantine-color-default-border': '#3b4650',
  },
});
