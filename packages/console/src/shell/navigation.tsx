import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';
import classes from './navigation.module.css';
import { places } from './places.ts';
import { useSession } from './use-session.ts';

export function Navigation() {
  const { t } = useTranslation();
  const { role } = useSession();
  return (
    <nav aria-label={t('shell.pages')}>
      {places.map(({ group, places }) => {
        const shown = places.filter(({ adminOnly }) => adminOnly !== true || role === 'admin');
        if (shown.length === 0) return null;
        return (
          <section key={group} className={classes.group} aria-labelledby={`places-${group}`}>
            <h2 id={`places-${group}`} className={classes.heading}>
              {t(`places.groups.${group}`)}
            </h2>
            <ul className={classes.list}>
              {shown.map(({ to, name, icon: Icon }) => (
                <li key={to}>
                  <Link to={to} className={classes.link} activeProps={{ 'aria-current': 'page' }}>
                    <Icon size={18} stroke={1.6} aria-hidden />
                    {t(`places.${name}`)}
                  </Link>
                </li>
              ))}
            </ul>
          </section>
        );
      })}
    </nav>
  );
}
