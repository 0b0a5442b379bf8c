/** What a restore needs of the running server: that it stands still meanwhile, and begins anew afterwards. */
export interface Lifecycle {
  /** Nothing is done to environments from now on. @returns what lets it go on */
  pauseReconciler(): Promise<() => Promise<void>>;
  /** Has the process end and started again by whoever started it. */
  restart(): void;
}
