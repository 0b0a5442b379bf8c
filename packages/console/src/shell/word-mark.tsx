/** The name with its mark: a quay around a mooring. */
import { Link } from '@tanstack/react-router';
import classes from './word-mark.module.css';

const name = 'Berth';

export function WordMark() {
  return (
    <Link to="/environments" className={classes.link}>
      <Mark />
      {name}
    </Link>
  );
}

export function Mark() {
  return (
    <svg className={classes.mark} viewBox="0 0 32 32" aria-hidden="true">
      <path d="M4 6v14a6 6 0 0 0 6 6h12a6 6 0 0 0 6-6V6" />
      <circle cx="16" cy="14" r="4" />
    </svg>
  );
}
