/** The pages that the navigation and the command palette lead to. A page is added here, in ../routes.tsx and in contract's `pages`. */
import {
  IconArchive,
  IconBuilding,
  IconCertificate,
  IconDatabase,
  IconGauge,
  IconGridDots,
  IconHeartbeat,
  IconKey,
  IconListDetails,
  IconLock,
  IconPlugConnected,
  IconServer2,
  IconSettings,
  IconShieldCheck,
  IconStack2,
  IconUser,
  IconUsers,
} from '@tabler/icons-react';
import type { Icon } from '@tabler/icons-react';
import type { LinkProps } from '@tanstack/react-router';
import type { shell } from '../i18n/en/shell.ts';

type Names = typeof shell.places;
type Group = keyof Names['groups'];

export interface Place {
  to: LinkProps['to'] & string;
  /** Its string is `places.<name>`. */
  name: Exclude<keyof Names, 'groups'>;
  icon: Icon;
  adminOnly?: true;
}

/** Each group under its heading `places.groups.<group>`. */
export const places: { group: Group; places: Place[] }[] = [
  {
    group: 'work',
    places: [
      { to: '/environments', name: 'environments', icon: IconServer2 },
      { to: '/connections', name: 'connections', icon: IconPlugConnected },
      { to: '/images', name: 'images', icon: IconStack2 },
      { to: '/datasets', name: 'datasets', icon: IconDatabase },
      { to: '/storage', name: 'keptStorage', icon: IconArchive },
      { to: '/quotas', name: 'quotas', icon: IconGauge },
    ],
  },
  {
    group: 'access',
    places: [
      { to: '/ssh-keys', name: 'sshKeys', icon: IconKey },
      { to: '/ssh-authorities', name: 'sshAuthorities', icon: IconCertificate },
      { to: '/allowlist', name: 'allowlist', icon: IconShieldCheck },
      { to: '/lockouts', name: 'lockouts', icon: IconLock },
      { to: '/ports', name: 'ports', icon: IconGridDots },
    ],
  },
  {
    group: 'administration',
    places: [
      { to: '/customers', name: 'customers', icon: IconBuilding, adminOnly: true },
      { to: '/accounts', name: 'accounts', icon: IconUsers, adminOnly: true },
      { to: '/audit', name: 'audit', icon: IconListDetails, adminOnly: true },
      { to: '/health', name: 'health', icon: IconHeartbeat, adminOnly: true },
      { to: '/settings', name: 'settings', icon: IconSettings, adminOnly: true },
    ],
  },
  { group: 'mine', places: [{ to: '/account', name: 'account', icon: IconUser }] },
];
