/** Pauses between starts of something that ends by itself: none at first, then longer and longer. */
const firstMs = 100;
const longestMs = 10_000;
/** Whoever lived as long as this begins anew. */
const healthyMs = 30_000;

export class GrowingPause {
  #failures = 0;

  /** @param livedMs how long it ran this time */
  next(livedMs: number): number {
    if (livedMs >= healthyMs) this.#failures = 0;
    const pauseMs = this.#failures === 0 ? 0 : Math.min(longestMs, firstMs * 2 ** (this.#failures - 1));
    this.#failures += 1;
    return pauseMs;
  }
}
