/** JSch, the maintained one (com.github.mwiede:jsch), on a Java Development Kit. */
import { join } from 'node:path';
import { buildStep, built, driverClient } from './driver.ts';
import { printed } from './program.ts';

const version = '2.28.8';
const needs = 'needs a Java Development Kit 17 or later (default-jdk-headless) and Maven (maven), for JSch';

export const jschClient = driverClient({
  name: 'JSch',
  abilities: [
    ...(['password', 'keyboard-interactive', 'sequence', 'certificate', 'environment', 'pty'] as const),
    ...(['subsystem', 'sftp', 'parallel', 'connect', 'local-forward', 'remote-forward', 'x11'] as const),
    ...(['choose-key-exchange', 'choose-host-key', 'choose-cipher'] as const),
  ],
  knowsWhatItProposes: true,
  prepare: async () => {
    const compiler = await printed('javac', '-version');
    if (compiler === undefined) return needs;
    const result = await built('java', [version, compiler], async (folder, source) => {
      const copy = [
        'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy',
        `-Dartifact=com.github.mwiede:jsch:${version}`,
        `-DoutputDirectory=${folder}`,
      ];
      const jar = join(folder, `jsch-${version}.jar`);
      return (
        (await buildStep(needs, ['mvn', '--quiet', '--batch-mode', ...copy])) ??
        (await buildStep(needs, ['javac', '-d', folder, '-cp', jar, join(source, 'Driver.java')]))
      );
    });
    if (typeof result === 'string') return result;
    const classPath = `${join(result.folder, `jsch-${version}.jar`)}:${result.folder}`;
    // It lives for a moment: no time goes into making it fast.
    return [
      'java',
      '-XX:TieredStopAtLevel=1',
      '-XX:+UseSerialGC',
      '-Xshare:auto',
      '-cp',
      classPath,
      'Driver',
    ];
  },
});
