/** The process of a gateway worker; its supervisor starts it. */
import { startWorker } from './worker.ts';
import { runWorker } from './worker-process.ts';

await runWorker(startWorker);
